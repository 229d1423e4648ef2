package text

import (
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
