package external

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kabench/kabench/dialers"
	"github.com/kabench/kabench/generator"
	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/results"
)

// server is a loopback server that is its own witness, by request id.
type server struct {
	*httptest.Server
	mu    sync.Mutex
	saw   map[uint64][]Attempt
	conns map[string]int
	uses  map[string]int
}

func newServer(t *testing.T, handle http.HandlerFunc) *server {
	s := &server{saw: map[uint64][]Attempt{}, conns: map[string]int{}, uses: map[string]int{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seq, err := strconv.ParseUint(r.Header.Get(dialers.RequestID), 10, 64)
		if err != nil {
			t.Errorf("request id %q", r.Header.Get(dialers.RequestID))
		}
		s.mu.Lock()
		if s.conns[r.RemoteAddr] == 0 {
			s.conns[r.RemoteAddr] = len(s.conns) + 1
		}
		s.uses[r.RemoteAddr]++
		a := Attempt{Conn: uint64(s.conns[r.RemoteAddr]), Use: s.uses[r.RemoteAddr], Local: r.RemoteAddr, Opened: results.Never, Ready: results.Never,
			Secured: results.Never, Began: results.Never, Sent: results.Never, First: results.Never, Done: results.Never, Status: 200,
			Phase: results.PhaseDone, Basis: evidence.Seen}
		if r.URL.Path == "/cut" {
			a.Status, a.Phase, a.Cause = 0, results.PhaseBeforeResponse, results.CauseFIN
		}
		s.saw[seq] = append(s.saw[seq], a)
		s.mu.Unlock()
		if handle != nil {
			handle(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) Saw(seq uint64, _ time.Time) Sight {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Sight{Seen: true, Attempts: append([]Attempt(nil), s.saw[seq]...)}
}

// record keeps the exchanges of a run.
type record struct {
	mu  sync.Mutex
	all []results.Exchange
}

func (r *record) Observe(e *results.Exchange) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, *e)
}

// swift are limits for tests of drivers that hang. What every driver must do within them has
// more time: a busy machine needs it.
var swift = limits{hello: usual.hello, config: usual.config, clock: 3 * time.Second, read: 500 * time.Millisecond, bye: 300 * time.Millisecond, term: 200 * time.Millisecond}

func started(t *testing.T, mode string, l limits) *Driver {
	t.Helper()
	d, err := start(t.Context(), fakeDriver(mode), l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	if err := d.Configure(t.Context(), Config{Timeout: 5 * time.Second}); err != nil {
		t.Fatal(err)
	}
	return d
}

// played sends requests through a driver that is up to something, and returns what was
// seen.
func played(t *testing.T, mode string, requests int, path string, s *server, change func(*EngineConfig)) (results.DriverSeen, []results.Exchange) {
	t.Helper()
	l := usual
	if change != nil {
		l = swift
	}
	d := started(t, mode, l)
	method := "GET"
	request, err := dialers.NewRequest(method, s.URL+path, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := EngineConfig{Driver: d, Requests: []*dialers.Request{request.Numbered()}, Timeout: 20 * time.Second, Witness: s}
	if change != nil {
		change(&c)
	}
	e, err := NewEngine(c)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	r := &record{}
	o := generator.Open{Engine: e, Observer: r, Schedule: func(yield func(time.Duration) bool) {
		for i := range requests {
			if !yield(time.Duration(i) * 5 * time.Millisecond) {
				return
			}
		}
	}}
	o.Run(t.Context(), time.Now(), nil)
	if len(r.all) != requests {
		t.Errorf("%d of %d exchanges are over", len(r.all), requests)
	}
	return e.Report(), r.all
}

// A driver that keeps the rules: every request is on the wire once, and every figure is
// there.
func TestStory(t *testing.T) {
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte("hello")) })
	seen, all := played(t, "", 60, "/x?a=1&b=2", s, nil)
	for _, e := range all {
		if !e.OK() || e.Status != 200 || e.BytesIn != 5 || e.Attempts != 1 || e.Conn == 0 || e.Use == 0 || e.Done < e.Start || e.Err != nil {
			t.Errorf("%+v", e)
		}
	}
	if len(seen.Faults) > 0 || len(seen.Errors) > 0 || seen.Dispatched != 60 || seen.Answered != 60 || seen.Arrived != 60 || seen.Resends != 0 || !seen.Looked ||
		seen.Late.Count != 60 || seen.Lag.Count != 60 || seen.ClockError <= 0 || seen.Ended != "" || seen.Client != "Fake" {
		t.Errorf("%+v", seen)
	}
	t.Logf("late p50 %.0f us, p99 %.0f us; clock %.0f us", seen.Late.P50*1e6, seen.Late.P99*1e6, seen.ClockError*1e6)
}

// What a client says about an error is kept beside what was seen; here both are the same.
func TestErrorsAreHeldAgainstTheWire(t *testing.T) {
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) })
	seen, all := played(t, "", 5, "/cut", s, nil)
	for _, e := range all {
		if e.Phase != results.PhaseBeforeResponse || e.Cause != results.CauseFIN || !strings.Contains(e.Err.Error(), "EOF") {
			t.Errorf("%v/%v: %v", e.Phase, e.Cause, e.Err)
		}
	}
	if len(seen.Errors) != 1 || seen.Errors[0].Words == nil || seen.Errors[0].Count != 5 || !seen.Errors[0].Agree || seen.Disagreements != 0 {
		t.Errorf("%+v", seen.Errors)
	}
}

// A client that cannot connect says so; no wire shows the request.
func TestWhatNoWireShows(t *testing.T) {
	s := newServer(t, nil)
	s.Close()
	_, all := played(t, "", 3, "/", s, nil)
	for _, e := range all {
		if e.Phase != results.PhaseConnect || e.Cause != results.CauseRefused || e.Attempts != 0 || e.Conn != 0 {
			t.Errorf("%v/%v, %d attempts: %v", e.Phase, e.Cause, e.Attempts, e.Err)
		}
	}
}

// Each thing that a driver may not do is named, with an example; every exchange is over.
func TestFaults(t *testing.T) {
	quick := func(c *EngineConfig) { c.Timeout, c.Grace = 300*time.Millisecond, 200*time.Millisecond }
	for _, f := range []struct {
		mode   string
		fault  Fault
		says   string // in the example
		ended  string // in why the driver has ended; "": it has not
		change func(*EngineConfig)
	}{
		{"dies", FaultDied, "exit code 7", "OutOfMemoryError", nil},
		{"leaves", FaultDied, "exit code 1", "exit code 1", nil},
		{"closes", FaultDied, "closed its stdout", "closed its stdout", nil},
		{"line", FaultFloods, "1 MiB", "1 MiB", nil},
		{"frames", FaultFloods, `hm`, "nobody asked for", nil},
		{"gauges", FaultFloods, `gauges`, "nobody asked for", nil},
		{"unsent", FaultUnsent, "100000", "", nil},
		{"twice", FaultTwice, "number", "", nil},
		{"early", FaultTimes, "before it was dispatched", "", nil},
		{"late", FaultTimes, "after its done came", "", nil},
		{"backwards", FaultTimes, "before it was called", "", nil},
		{"jumps", FaultTimes, "after its done came", "", nil},
		{"garbage", FaultGarbage, "sending request", "", nil},
		{"claims", FaultStatus, "no request was seen", "", nil},
		{"forgets", FaultSilent, "nothing about number", "", quick},
		{"lacks", FaultGarbage, "without finished", "", quick},
		{"mute", FaultHangs, "did not respond to clock", "did not respond", func(c *EngineConfig) { c.Timeout = 0 }},
	} {
		t.Run(f.mode, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, nil)
			seen, all := played(t, f.mode, 10, "/", s, f.change)
			found := false
			for _, fault := range seen.Faults {
				found = found || fault.Name == string(f.fault) && strings.Contains(fault.Example, f.says) && fault.Count > 0
			}
			if !found {
				t.Errorf("want %s: %s; got %+v", f.fault, f.says, seen.Faults)
			}
			if f.ended == "" != (seen.Ended == "") || !strings.Contains(seen.Ended, f.ended) {
				t.Errorf("ended: %q, want %q", seen.Ended, f.ended)
			}
			for _, e := range all {
				if e.Phase == results.PhaseSchedule || e.Phase != results.PhaseDone && (e.Cause == results.CauseNone || e.Err == nil) || e.Done < e.Start {
					t.Errorf("not classified: %v/%v %v, start %v, done %v", e.Phase, e.Cause, e.Err, e.Start, e.Done)
				}
			}
		})
	}
}

// A driver that reads nothing does not block the generator; it is ended.
func TestDeaf(t *testing.T) {
	s := newServer(t, nil)
	d := started(t, "deaf", swift)
	request, err := dialers.NewRequest("POST", s.URL+"/"+strings.Repeat("long", 3000), nil, []byte("body"))
	if err != nil {
		t.Fatal(err)
	}
	e, err := NewEngine(EngineConfig{Driver: d, Requests: []*dialers.Request{request.Numbered()}, Witness: s})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	over := make(chan bool, 300)
	e.Begin(t.Context(), time.Now(), func(x *results.Exchange) { over <- x.Failed() })
	for i := range 300 { // 3.6 MB: more than a pipe holds
		x := &results.Exchange{}
		x.Reset(uint64(i), 0)
		x.Start = 1
		e.Start(x)
	}
	for range 300 {
		if !<-over {
			t.Error("an exchange did not fail")
		}
	}
	<-e.Broken()
	if seen := e.Report(); len(seen.Faults) != 1 || seen.Faults[0].Name != string(FaultHangs) {
		t.Errorf("%+v", seen.Faults)
	}
}

// When the run is aborted, exchanges end at once, and answers that come later are no fault.
func TestAbort(t *testing.T) {
	hold := make(chan struct{})
	s := newServer(t, func(http.ResponseWriter, *http.Request) { <-hold })
	d := started(t, "", usual)
	request, err := dialers.NewRequest("GET", s.URL, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	e, err := NewEngine(EngineConfig{Driver: d, Requests: []*dialers.Request{request.Numbered()}, Witness: s})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan results.Exchange, 2)
	e.Begin(ctx, time.Now(), func(x *results.Exchange) { over <- *x })
	x := &results.Exchange{}
	x.Reset(0, 0)
	e.Start(x)
	cancel()
	if x := <-over; x.Cause != results.CauseAborted || x.Done == results.Never {
		t.Errorf("%v/%v", x.Phase, x.Cause)
	}
	second := &results.Exchange{}
	second.Reset(1, 0)
	e.Start(second)
	if x := <-over; x.Cause != results.CauseAborted {
		t.Errorf("%v/%v", x.Phase, x.Cause)
	}
	close(hold)
	e.Close()
	if seen := e.Report(); len(seen.Faults) > 0 {
		t.Errorf("%+v", seen.Faults)
	}
}
