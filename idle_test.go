package kabench

import (
	"bytes"
	"strings"
	"testing"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/text"
)

func printed(t *testing.T, run *results.Run) string {
	t.Helper()
	var b bytes.Buffer
	if err := text.RenderRun(&b, run); err != nil {
		t.Fatal(err)
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// Traffic so steady that no connection is idle for long meets no timer, and the run
// says so with the longest it saw.
func TestNoTimerMet(t *testing.T) {
	t.Parallel()
	run, err := Run(t.Context(), load(t, "", "load.rate=200/s", "load.duration=1s", "load.max_lag=0", "load.arrivals=constant", "target.lab={idle_timeout: 20s}"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	i := run.Idle
	if i.AtLease.Count != run.Reuse.Reused || i.AtLease.Count == 0 || i.AtPeerClose == nil || i.AtPeerClose.Count != 0 {
		t.Errorf("%+v, reused %d", i, run.Reuse.Reused)
	}
	if i.AtLease.P50 <= 0 || i.AtLease.P50 > i.AtLease.Max || i.Longest < i.AtLease.Max || i.Longest > run.End.Sub(run.Start).Seconds() {
		t.Errorf("%+v", i)
	}
	if text := printed(t, run); !strings.Contains(text, "No connection was idle for more than "+results.FormatSeconds(i.Longest)+": idle timers above that") {
		t.Errorf("the text does not say that no timer was met:\n%s", text)
	}
}

// A server that closes what is idle for 300 ms meets a pool that asks for less: the
// idle times at its closes are its timer.
func TestIdleTimesAtThePeersClose(t *testing.T) {
	t.Parallel()
	for _, liveness := range []string{"events", "none", "probe"} {
		run, err := Run(t.Context(), load(t, "", "load.rate=2/s", "load.duration=4s", "load.max_lag=0", "load.arrivals=constant", "pool.liveness="+liveness, "target.lab={idle_timeout: 300ms}"), Options{})
		if err != nil {
			t.Fatal(err)
		}
		q := run.Idle.AtPeerClose
		if q == nil || q.Count < 4 || q.Min < 0.2 || q.P50 > 0.45 || run.Idle.Longest < q.P50 {
			t.Errorf("%s: at the peer's close %+v, longest %v", liveness, q, run.Idle.Longest)
		}
		if text := printed(t, run); strings.Contains(text, "never met") || !strings.Contains(text, "at the peer's close 30") {
			t.Errorf("%s: the text:\n%s", liveness, text)
		}
	}
}
