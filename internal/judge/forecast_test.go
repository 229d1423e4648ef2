package judge

import (
	"strings"
	"testing"

	"github.com/kabench/kabench/results"
)

func TestForecast(t *testing.T) {
	run := func(failed uint64, change func(*results.Run)) *results.Run {
		r := &results.Run{Valid: true, Complete: true, Counts: results.Counts{Due: 100, Started: 100, OK: 100 - failed, Failed: failed}}
		r.Connections.Opened = 40
		if change != nil {
			change(r)
		}
		return r
	}
	closes := func(after float64) func(*results.Run) {
		return func(r *results.Run) {
			r.Connections.ClosedByPeer = 30
			r.Idle.AtPeerClose = &results.Quantiles{Count: 30, P50: after}
		}
	}
	lateLink := func(r *results.Run) { r.Link = &results.LinkSeen{Late: results.Late{LateP99: 0.03}} }
	f := results.Forecast{Path: "failures", Mean: 20, Low: 15, High: 25, IdleFrom: 5, IdleTo: 5.01, LinkDelay: 0.005}
	for name, test := range map[string]struct {
		run    *results.Run
		inside bool
		says   string
	}{
		"inside":      {run(18, nil), true, "inside the interval"},
		"at its edge": {run(15, nil), true, "inside the interval"},
		"above":       {run(26, nil), false, "above the interval"},
		"own timer":   {run(0, func(r *results.Run) { r.Connections.Evictions = map[string]uint64{"expired": 30} }), false, "own timer is shorter and closed 30"},
		"said close":  {run(0, func(r *results.Run) { r.Connections.Evictions = map[string]uint64{"server_said_close": 40} }), false, "by another rule: it ended 40 of 40"},
		"other timer": {run(0, closes(2)), false, "closed idle connections after 2.00 s"},
		"noticed":     {run(0, closes(5.005)), false, "noticed 30 closes in time"},
		"too early": {run(0, func(r *results.Run) {
			r.Idle.AtLease = results.Quantiles{Count: 30, P50: 4.9, Max: 4.97}
		}), false, "had been idle for at most 4.97 s"},
		"never closes": {run(0, func(r *results.Run) {
			r.Idle.AtLease = results.Quantiles{Count: 30, P50: 5.005, Max: 5.01}
		}), false, "closed no connection"},
		"late link": {run(26, lateLink), false, "1 % of the deliveries of kabench's link were at least 30.0 ms late"},
		"late, few": {run(3, func(r *results.Run) { lateLink(r); r.Connections.Reset = 3 }), false, "were at least 30.0 ms late"},
		"late, noticed": {run(3, func(r *results.Run) {
			closes(5.005)(r)
			lateLink(r)
		}), false, "this machine was late"},
		"chance": {run(3, func(r *results.Run) { r.Connections.Reset = 3 }), false, "too few requests met it"},
	} {
		got := Forecast(&f, test.run)
		if got.Seen == nil || *got.Seen != test.run.Counts.Failed || got.Inside != test.inside || !strings.Contains(got.Says, test.says) {
			t.Errorf("%s: %+v; want %q", name, got, test.says)
		}
		if !strings.Contains(got.Says, "own link before the target") {
			t.Errorf("%s: the link is not mentioned: %s", name, got.Says)
		}
	}
	for name, r := range map[string]*results.Run{
		"no run": nil, "invalid": {}, "interrupted": {Valid: true, Interrupted: true},
	} {
		if got := Forecast(&f, r); got.Seen != nil || got.Says != "" {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// A queue says nothing about closes.
func TestForecastOfAQueue(t *testing.T) {
	f := results.Forecast{Path: "failures.acquire.queue_full", Mean: 20, Low: 15, High: 25, IdleFrom: 5, IdleTo: 5.01}
	for _, refused := range []uint64{3, 40} {
		r := &results.Run{Valid: true, Complete: true, Counts: results.Counts{Due: 100, Started: 100, OK: 100 - refused, Failed: refused}}
		r.Outcomes = []results.Outcome{{Phase: results.PhaseAcquire, Cause: results.CauseQueueFull, Count: refused}}
		if got := Forecast(&f, r); got.Seen == nil || got.Inside || strings.Contains(got.Says, "close") {
			t.Errorf("%d: %+v", refused, got)
		}
	}
}
