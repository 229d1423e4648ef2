package external

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kabench/kabench/dialers"
	"github.com/kabench/kabench/dialers/external/process"
	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/results"
)

// maxErrors is how many kinds of errors a report lists.
const maxErrors = 100

// maxErrorText bounds the texts of a report's errors, in bytes.
const maxErrorText = 500

// seen is what was seen of a driver during a run.
type seen struct {
	reader reader // judgeAll's

	mu                sync.Mutex                      // guards all below
	late, pickup, lag results.Durations               //
	answered          uint64                          //
	looked            bool                            //
	arrived, resent   uint64                          //
	disagreements     uint64                          //
	errors            map[string]*results.DriverError //
	conns             uint64                          // the largest number of a connection
}

// lags notes how late a request was called.
func (s *seen) lags(lag, pickup, late time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lag.Add(lag)
	s.pickup.Add(pickup)
	s.late.Add(late)
}

// note counts an exchange that is over.
func (s *seen) note(f *flight, t told, v verdict, sight Sight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looked = s.looked || sight.Seen
	n := uint64(len(sight.Attempts))
	s.arrived += n
	if n > 1 {
		s.resent += n - 1
	}
	for i := range sight.Attempts {
		s.conns = max(s.conns, sight.Attempts[i].Conn)
	}
	if f.end != byAnswer {
		return
	}
	s.answered++
	if v.differ != "" {
		s.disagreements++
	}
	if t.err != nil || v.differ != "" {
		s.noteError(f.record.Seq, t, v)
	}
}

// noteError counts an error of the client; mu is held.
func (s *seen) noteError(seq uint64, t told, v verdict) {
	told := t.err
	if told == nil {
		told = &Error{Text: fmt.Sprintf("(no error: status %d)", t.status)}
	}
	d := &results.DriverError{
		Class: process.Short(told.Class, maxErrorText), Text: process.Short(told.Text, maxErrorText), Causes: []results.DriverErrorCause{},
		Seq: seq, Agree: v.differ == "", Differ: v.differ,
	}
	for _, c := range told.Causes {
		d.Causes = append(d.Causes, results.DriverErrorCause{Class: process.Short(c.Class, maxErrorText), Text: process.Short(c.Text, maxErrorText)})
	}
	if v.wire != nil && v.last != nil && v.last.Basis != evidence.Unknown {
		d.Wire = &results.DriverErrorOutcome{Phase: v.wire.Phase, Cause: v.wire.Cause}
	}
	if len(t.said) > 0 {
		d.Words = &results.DriverErrorOutcome{Phase: t.said[0].Phase, Cause: t.said[0].Cause}
	}
	key := strings.Join([]string{masked(told), fmt.Sprint(v.wire), fmt.Sprint(d.Agree)}, "\x00")
	known := s.errors[key]
	if known == nil {
		if len(s.errors) >= maxErrors {
			key = "\x00"
			d = &results.DriverError{Text: "(further kinds of errors)", Causes: []results.DriverErrorCause{}, Seq: seq, Agree: true}
			known = s.errors[key]
		}
		if known == nil {
			s.errors[key], known = d, d
		}
	}
	known.Count++
}

// Report says what was seen of the driver: lags, faults, disagreements, re-sends.
func (e *Engine) Report() results.DriverSeen {
	e.mu.Lock()
	dispatched, gone := e.dispatched, e.gone
	e.mu.Unlock()
	d, s := e.driver, &e.seen
	s.mu.Lock()
	defer s.mu.Unlock()
	r := results.DriverSeen{
		Name: d.Name(), Driver: d.hello.Driver, Client: d.hello.Client, Version: d.hello.Version, Runtime: d.hello.Runtime,
		Settings: d.settings, Gauges: append([]string{}, d.hello.Gauges...), WarmUp: d.warmed,
		Late: s.late.Quantiles(), Pickup: s.pickup.Quantiles(), Lag: s.lag.Quantiles(), ClockError: d.clock.bound().Seconds(),
		Dispatched: dispatched, Answered: s.answered, Looked: s.looked, Arrived: s.arrived, Resends: s.resent,
		Faults: d.faults.list(), Disagreements: s.disagreements, Errors: []results.DriverError{}, Ended: gone,
	}
	for _, err := range slices.SortedFunc(maps.Values(s.errors), func(a, b *results.DriverError) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Seq, b.Seq))
	}) {
		r.Errors = append(r.Errors, *err)
	}
	return r
}

// Times returns the times of Report with their histograms.
func (e *Engine) Times() *results.DriverTimes {
	s := &e.seen
	s.mu.Lock()
	defer s.mu.Unlock()
	return &results.DriverTimes{Late: s.late.Clone(), Pickup: s.pickup.Clone(), Lag: s.lag.Clone()}
}

// The names by which a driver's gauges are known.
const (
	gaugeActive  = "active"
	gaugeIdle    = "idle"
	gaugePending = "pending"
)

// Stats returns the gauges and counts that are known: the Witness's if it is a Counter,
// else the connections that it named; idle, leased and pending from the driver's gauges,
// where the Witness has none.
func (e *Engine) Stats() dialers.Stats {
	var st dialers.Stats
	if counter, ok := e.witness.(Counter); ok {
		st = counter.Stats()
	} else {
		e.seen.mu.Lock()
		st.Opened = e.seen.conns
		e.seen.mu.Unlock()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, g := range []struct {
		name      string
		now, peak *int
	}{
		{gaugeActive, &st.Leased, &st.PeakLeased}, {gaugeIdle, &st.Idle, &st.PeakIdle}, {gaugePending, &st.Pending, &st.PeakPending},
	} {
		if *g.now == 0 && *g.peak == 0 {
			*g.now, *g.peak = int(e.gaugesAt[g.name]), int(e.peaks[g.name])
		}
	}
	return st
}

// Fill sets run.Connections and run.Pool. Set run.Driver to what Report returns.
func (e *Engine) Fill(run *results.Run) { e.Stats().Fill(run) }

// trace calls the Tracer for what was seen of an exchange's last attempt.
func (e *Engine) trace(x *results.Exchange, v verdict) {
	a := v.last
	if e.Tracer == nil || a == nil {
		return
	}
	event := func(at time.Duration, state dialers.TraceState, with dialers.TraceEvent) {
		if at == results.Never {
			return
		}
		with.At, with.State, with.Conn, with.On, with.Seq = at, state, a.Conn, state > dialers.ConnectFailed, x.Seq
		e.Tracer(with)
	}
	if a.Use == 1 {
		event(a.Opened, dialers.Registered, dialers.TraceEvent{})
		event(a.Ready, dialers.Connected, dialers.TraceEvent{Took: a.Ready - a.Opened})
	}
	event(x.Leased, dialers.Acquired, dialers.TraceEvent{Took: a.Idle})
	event(x.Wrote, dialers.RequestSent, dialers.TraceEvent{})
	event(x.GotHeaders, dialers.ResponseReceived, dialers.TraceEvent{Status: x.Status, Took: x.GotHeaders - x.Wrote})
	switch {
	case x.OK():
		event(x.Done, dialers.ResponseCompleted, dialers.TraceEvent{Bytes: x.BytesIn})
	case x.FirstByte != results.Never:
		event(x.Done, dialers.ResponseIncomplete, dialers.TraceEvent{Phase: x.Phase, Cause: x.Cause})
	default:
		event(x.Done, dialers.RequestFailed, dialers.TraceEvent{Phase: x.Phase, Cause: x.Cause})
	}
}
