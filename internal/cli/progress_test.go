package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/collectors"
	"github.com/kabench/kabench/results"
)

func aProgress() kabench.Progress {
	now := kabench.Progress{
		Elapsed: 12 * time.Second, Total: 35 * time.Second, WarmUp: 5 * time.Second, InFlight: 13, Offered: 400.4, Achieved: 398, Throughput: 396,
		Totals: collectors.Totals{Due: 4812, Started: 4810, OK: 4798, Failed: 12},
		Pool:   collectors.Gauges{Leased: 12, Idle: 4, Dialing: 1, Pending: 3}, MaxConns: 16, PendingMax: 32,
		Sockets: &results.SocketSample{Client: map[string]int{"TIME_WAIT": 217}, Server: map[string]int{"TIME_WAIT": 85}, PortsUsed: 233}, Ports: 28232,
	}
	now.Times = &kabench.TimesSoFar{P50: 12300 * time.Microsecond, P99: 80 * time.Millisecond, Lag: 1200 * time.Microsecond}
	now.Totals.Phases[results.PhaseBeforeResponse], now.Totals.Phases[results.PhaseConnect] = 10, 2
	return now
}

func TestProgressLines(t *testing.T) {
	want := `idle-race: 12 s of 35 s, 23 s left
rate       400/s offered, 398/s achieved, 396/s ok
requests   in flight 13, ok 4798, failed 12, dropped 2
times      p50 12.3 ms, p99 80.0 ms; lag p99 1.20 ms
pool       leased 12 of 16, idle 4, dialing 1, pending 3 of 32
failures   connect 2, before_response 10
sockets    TIME_WAIT client 217, server 85; ports used 233 of 28232`
	if got := strings.Join(progressLines("idle-race", aProgress(), runs{}), "\n"); got != want {
		t.Errorf("%s", got)
	}
	// Unknown figures are left out.
	now := kabench.Progress{Elapsed: 3 * time.Second, WarmUp: 5 * time.Second, PendingMax: -1, Buffered: 7}
	want = `3 s, warming up
rate       0/s offered, 0/s achieved, 0/s ok
requests   in flight 0, ok 0, failed 0, dropped 0, buffered 7
pool       leased 0, idle 0, dialing 0, pending 0`
	if got := strings.Join(progressLines("", now, runs{}), "\n"); got != want {
		t.Errorf("%s", got)
	}
	now = aProgress()
	now.Elapsed = 36 * time.Second
	if got := progressLines("", now, runs{})[0]; got != "all sent in 35 s, waiting for requests in flight" {
		t.Errorf("%s", got)
	}
	// A run that is taken up long after it has ended.
	now.Elapsed, now.InFlight = time.Hour, 0
	if got := progressLines("", now, runs{})[0]; got != "all sent in 35 s" {
		t.Errorf("%s", got)
	}
	for _, line := range progressLines("run 12 of 20, block 3, idle_timeout=500ms", aProgress(), runs{left: 8, each: 40 * time.Second}) {
		if len([]rune(line)) > 80 {
			t.Errorf("%q is wider than 80 columns", line)
		}
	}
}

// The end of all runs is computed from the mean length of those that have ended, or else from the
// length of the current one.
func TestEndOfAllRuns(t *testing.T) {
	var r runs
	start := time.Now()
	now := aProgress()
	for i, want := range []string{"all runs in 93 s", "all runs in 9 min", "23 s left"} {
		r.begin(start.Add(time.Duration(i)*500*time.Second), i+1, 3)
		if got := elapsed(now, r); got != "12 s of 35 s, "+want {
			t.Errorf("run %d: %s, want %s", i+1, got, want)
		}
	}
	for text, of := range map[string][3]int{"3 of 27, about 8 min left": {3, 27, 60}, "0 of 5": {0, 5, 9}, "5 of 5": {5, 5, 9}, "1 of 3, about 2.2 h left": {1, 3, 4000}} {
		if got := Countdown(of[0], of[1], time.Duration(of[2])*time.Second); got != text {
			t.Errorf("%s, want %s", got, text)
		}
	}
}

// Lines that only count are not printed each time.
func TestPlainPreparationIsThrottled(t *testing.T) {
	var b strings.Builder
	p := NewProgress(&Streams{Err: &b})
	for _, what := range []string{
		"waiting for agents: 0 of 3", "waiting for agents: 1 of 3", "preparing: 0 of 3 agents are ready", "preparing: 2 of 3 agents are ready", "all 3 agents are ready",
	} {
		p.Prepare(what)
	}
	if want := "waiting for agents: 0 of 3\npreparing: 0 of 3 agents are ready\nall 3 agents are ready\n"; b.String() != want {
		t.Error(b.String())
	}
}

// In the silence between bursts nothing is due, and no rate is printed.
func TestPlainProgressInASilence(t *testing.T) {
	now := aProgress()
	now.Offered, now.Achieved = 0, 0
	if got := plainProgress("", now, runs{}); !strings.HasPrefix(got, "12 s of 35 s, 23 s left · nothing due now · ok 4798") {
		t.Errorf("%s", got)
	}
}

func TestPlainProgressEveryTenSeconds(t *testing.T) {
	var b strings.Builder
	s := &Streams{Err: &b}
	p := NewProgress(s)
	p.Begin("run 1 of 2")
	for i := range 22 {
		now := aProgress()
		now.Elapsed = time.Duration(i) * time.Second
		p.Show(now)
	}
	p.End()
	want := `run 1 of 2
run 1 of 2: 10 s of 35 s, 25 s left · 398/s of 400/s started · ok 4798, failed 12 (connect 2, before_response 10), dropped 2 · p50 12.3 ms, p99 80.0 ms; lag p99 1.20 ms
run 1 of 2: 20 s of 35 s, 15 s left · 398/s of 400/s started · ok 4798, failed 12 (connect 2, before_response 10), dropped 2 · p50 12.3 ms, p99 80.0 ms; lag p99 1.20 ms
`
	if b.String() != want {
		t.Errorf("%s", b.String())
	}
	b.Reset()
	p = NewProgress(&Streams{Err: &b, JSON: true})
	p.Begin("x")
	p.Show(aProgress())
	p.End()
	if b.Len() > 0 {
		t.Errorf("with --json there is progress: %s", b.String())
	}
}

// A signal before the first request says that the preparation is waited for.
func TestWaitsFor(t *testing.T) {
	p := NewProgress(&Streams{Err: &strings.Builder{}})
	if got := p.WaitsFor(); got != "requests in flight" {
		t.Error(got)
	}
	p.Prepare("building the driver")
	if got := p.WaitsFor(); got != "the preparation" {
		t.Error(got)
	}
	p.Show(kabench.Progress{Elapsed: time.Second})
	if got := p.WaitsFor(); got != "requests in flight" {
		t.Error(got)
	}
	p.Prepare("building the driver")
	if p.End(); p.WaitsFor() != "requests in flight" {
		t.Error("the preparation does not end")
	}
}
