package text

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/kabench/kabench/results"
)

// The sentence about idle timers that no connection could meet fits what the server did.
func TestNoTimerMet(t *testing.T) {
	run := func(change func(*results.Run)) *results.Run {
		r := &results.Run{Complete: true}
		r.Connections.Opened, r.Connections.Evictions = 600, map[string]uint64{}
		r.Idle.Longest = 2e-5
		change(r)
		return r
	}
	for name, c := range map[string]struct {
		run  *results.Run
		want string
	}{
		"kept": {run(func(r *results.Run) { r.Reuse.Reused, r.Idle.AtLease.Count = 5, 5 }), "use a lower load.rate"},
		"the server closes after each response": {run(func(r *results.Run) {
			r.Connections.Evictions["server_said_close"] = 600
		}), "No connection was used again"},
		"a timer ran out": {run(func(r *results.Run) { r.Connections.Evictions["expired"] = 1 }), ""},
		"never kept":      {run(func(r *results.Run) { r.Idle.Longest = 0 }), "No connection was used again"},
	} {
		if got := NoTimerMet(c.run); !strings.Contains(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// The tables show a bound where an idle or response time is longer than a histogram holds.
func TestOverflowIsABound(t *testing.T) {
	q := results.Quantiles{Count: 374, Min: 61, P50: 60, P90: 60, P99: 60, P999: 60, Max: 349, Overflow: 374}
	run := &results.Run{Latency: map[string]results.Quantiles{results.LatencyResponse: q}}
	run.Idle.AtLease, run.Counts.OK = q, 374
	var b bytes.Buffer
	renderIdle(&b, run)
	renderLatency(&b, run)
	for _, row := range []string{`at lease\s+> 60\.0 s\s+> 60\.0 s\s+> 60\.0 s\s+349 s\s+374`, `response\s+> 60\.0 s\s+> 60\.0 s\s+> 60\.0 s\s+> 60\.0 s\s+349 s\s+374`} {
		if !regexp.MustCompile(row).MatchString(b.String()) {
			t.Errorf("no row %s in\n%s", row, &b)
		}
	}
	if f := responseFigure(run); f.Value != "> 60.0 s" {
		t.Errorf("the headline has %+v", f)
	}
}
