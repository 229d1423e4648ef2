package timings

import (
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/kabench/kabench/results"
)

// Key is how an exchange ended. Its text is "before_response/fin/0".
type Key struct {
	Phase  results.Phase
	Cause  results.Cause
	Status int // 0: the head of the response did not arrive
}

// MarshalText makes a Key the key of a JSON object.
func (k Key) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, "%s/%s/%d", k.Phase, k.Cause, k.Status), nil
}

// UnmarshalText reads what MarshalText has written.
func (k *Key) UnmarshalText(text []byte) (err error) {
	parts := strings.Split(string(text), "/")
	if len(parts) != 3 {
		return fmt.Errorf("%q is not how an exchange ends", text)
	}
	if err = k.Phase.UnmarshalText([]byte(parts[0])); err != nil {
		return err
	}
	if err = k.Cause.UnmarshalText([]byte(parts[1])); err != nil {
		return err
	}
	if k.Status, err = strconv.Atoi(parts[2]); err != nil || k.Status < 0 || k.Status > 999 {
		return fmt.Errorf("%q is not a status", parts[2])
	}
	return nil
}

// Timings are the durations of the exchanges that a results.Tally counts: those of the
// warm-up are left out. The zero Timings are empty and ready to use. They are not safe for
// concurrent use.
type Timings struct {
	// Service are the service times of the exchanges that are ok or failed. There are at
	// most as many keys as there are outcomes and statuses of three digits.
	Service  map[Key]*Histogram `json:"service,omitempty"`
	Response Histogram          `json:"response"` // of those that are ok, from when each was due
	Failed   Histogram          `json:"failed"`   // the same of those that failed
	Lag      Histogram          `json:"lag"`      // of all that were started
	// Lives are how long connections were open; nil: the client does not tell.
	Lives *Histogram `json:"lives,omitempty"`

	last    Key        // the newest of Service
	lastOne *Histogram // its value; nil: there is none
}

// Add counts e, which has ended. It does not keep e.
func (t *Timings) Add(e *results.Exchange) {
	if e.WarmUp || e.Phase == results.PhaseSchedule {
		return
	}
	t.Lag.Add(e.Lag())
	switch {
	case e.OK():
		t.Response.Add(e.ResponseTime())
	case e.Failed():
		t.Failed.Add(e.ResponseTime())
	default:
		return
	}
	key := Key{e.Phase, e.Cause, e.Status}
	if t.lastOne == nil || t.last != key {
		if t.lastOne = t.Service[key]; t.lastOne == nil {
			t.lastOne = t.make(key)
		}
		t.last = key
	}
	t.lastOne.Add(e.ServiceTime())
}

func (t *Timings) make(key Key) *Histogram {
	if t.Service == nil {
		t.Service = map[Key]*Histogram{}
	}
	h := &Histogram{}
	t.Service[key] = h
	return h
}

// Merge adds the durations of o, which may be nil, to t. It does not change o.
func (t *Timings) Merge(o *Timings) {
	if o == nil {
		return
	}
	for key, from := range o.Service {
		to := t.Service[key]
		if to == nil {
			to = t.make(key)
		}
		to.Merge(from)
	}
	t.Response.Merge(&o.Response)
	t.Failed.Merge(&o.Failed)
	t.Lag.Merge(&o.Lag)
	if o.Lives != nil {
		if t.Lives == nil {
			t.Lives = &Histogram{}
		}
		t.Lives.Merge(o.Lives)
	}
}

// Exchanges is how many exchanges have a service time.
func (t *Timings) Exchanges() (n uint64) {
	for _, h := range t.Service {
		n += h.Count
	}
	return n
}

// Check says what in t cannot be. It is for timings that another process sent.
func (t *Timings) Check() error {
	if t == nil {
		return nil
	}
	for h := range maps.Values(t.Service) {
		if h == nil {
			return fmt.Errorf("a histogram is missing")
		}
		if err := h.Check(); err != nil {
			return err
		}
	}
	for _, h := range []*Histogram{&t.Response, &t.Failed, &t.Lag, t.Lives} {
		if err := h.Check(); err != nil {
			return err
		}
	}
	return nil
}
