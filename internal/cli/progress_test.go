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
	now.Totals.Phases[results.PhaseBeforeResponse], now.Totals.Phases[results.PhaseConnect] = 10, 2
	return now
}

func TestProgressLines(t *testing.T) {
	want := `idle-race: 12 s of 35 s
rate       400/s offered, 398/s achieved, 396/s ok
requests   in flight 13, ok 4798, failed 12, dropped 2
pool       leased 12 of 16, idle 4, dialing 1, pending 3 of 32
failures   connect 2, before_response 10
sockets    TIME_WAIT client 217, server 85; ports used 233 of 28232`
	if got := strings.Join(progressLines("idle-race", aProgress()), "\n"); got != want {
		t.Errorf("%s", got)
	}
	// Unknown figures are left out.
	now := kabench.Progress{Elapsed: 3 * time.Second, WarmUp: 5 * time.Second, PendingMax: -1, Buffered: 7}
	want = `3 s, warming up
rate       0/s offered, 0/s achieved, 0/s ok
requests   in flight 0, ok 0, failed 0, dropped 0, buffered 7
pool       leased 0, idle 0, dialing 0, pending 0`
	if got := strings.Join(progressLines("", now), "\n"); got != want {
		t.Errorf("%s", got)
	}
	now = aProgress()
	now.Elapsed = 36 * time.Second
	if got := progressLines("", now)[0]; got != "36 s of 35 s, waiting for requests in flight" {
		t.Errorf("%s", got)
	}
}

// In the silence between bursts nothing is due, and no rate is printed.
func TestPlainProgressInASilence(t *testing.T) {
	now := aProgress()
	now.Offered, now.Achieved = 0, 0
	if got := plainProgress("", now); !strings.HasPrefix(got, "12 s of 35 s · nothing due now · due 4812") {
		t.Errorf("%s", got)
	}
}

func TestPlainProgressEveryFiveSeconds(t *testing.T) {
	var b strings.Builder
	s := &Streams{Err: &b}
	p := NewProgress(s)
	p.Begin("run 1 of 2")
	for i := range 12 {
		now := aProgress()
		now.Elapsed = time.Duration(i) * time.Second
		p.Show(now)
	}
	p.End()
	want := `run 1 of 2
run 1 of 2: 5 s of 35 s · 398/s of 400/s started · due 4812, ok 4798, failed 12 (connect 2, before_response 10), in flight 13 · leased 12 of 16, idle 4, dialing 1, pending 3 of 32 · TIME_WAIT 217, ports used 233
run 1 of 2: 10 s of 35 s · 398/s of 400/s started · due 4812, ok 4798, failed 12 (connect 2, before_response 10), in flight 13 · leased 12 of 16, idle 4, dialing 1, pending 3 of 32 · TIME_WAIT 217, ports used 233
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
