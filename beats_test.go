package kabench

import (
	"testing"
	"time"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/expect"
)

// What the drivers of agents do not tell is unknown to abort_when, and not 0.
func TestAbortKnowsWhatDriversTell(t *testing.T) {
	t.Parallel()
	beat := func(d *results.DriverSeen) heard {
		return heard{beat: &Beat{Tally: &results.Tally{}, Driver: d}}
	}
	seen := func(counted bool, gauges ...string) *results.DriverSeen {
		return &results.DriverSeen{Client: "OkHttp", Counted: counted, Looked: counted, Gauges: gauges}
	}
	for name, test := range map[string]struct {
		agents       []heard
		opened, idle bool // known
	}{
		"kabench's own client": {[]heard{beat(nil), beat(nil)}, true, true},
		"all are counted":      {[]heard{beat(seen(true)), beat(seen(true))}, true, true},
		"one is not":           {[]heard{beat(seen(true)), beat(seen(false))}, false, false},
		"gauges of all":        {[]heard{beat(seen(false, "idle", "active")), beat(seen(false, "idle"))}, false, true},
		"gauges of one":        {[]heard{beat(seen(false, "idle")), beat(seen(false))}, false, false},
	} {
		b := &fleetBeats{f: &fleetRun{kept: &kept{}}, agents: test.agents}
		doc := b.soFar(time.Second, nil)
		for path, known := range map[string]bool{"connections.opened": test.opened, "pool.peak_idle": test.idle} {
			v, err := expect.Lookup(doc, path)
			if err != nil || (v.Why == "") != known {
				t.Errorf("%s: %s is %+v, %v", name, path, v, err)
			}
		}
	}
}
