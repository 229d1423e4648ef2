package collectors

import (
	"testing"
	"time"

	"github.com/kabench/kabench/results"
)

// Ports are back when a connection could be made again: a request on one that
// was kept needs none.
func TestPortsAreBackWhenAConnectionIsMade(t *testing.T) {
	var x PortExhaustion
	see := func(start time.Duration, use int, cause results.Cause) {
		e := &results.Exchange{Start: start, Use: use, Phase: results.PhaseDone}
		if cause != results.CauseNone {
			e.Phase, e.Cause = results.PhaseConnect, cause
		}
		x.Observe(e)
	}
	see(1*time.Second, 1, results.CauseNone)
	see(2*time.Second, 0, results.CausePortExhausted)
	see(3*time.Second, 2, results.CauseNone)
	see(5*time.Second, 0, results.CausePortExhausted)
	see(7*time.Second, 1, results.CauseNone)
	see(6*time.Second, 1, results.CauseNone) // ends later than one that began after it
	var run results.Run
	x.Fill(&run)
	if got, want := *run.Ports, (results.Ports{FirstFail: 2, LastFail: 5, Back: 6, Recovered: 2}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}
