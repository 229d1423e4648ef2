package expect

import (
	"strings"
	"testing"

	"github.com/kabench/kabench/results"
)

// What only kabench's own pool knows is unknown of a real client, neither met nor missed,
// also as the figure that another one is compared with.
func TestUnknownOfARealClient(t *testing.T) {
	run := &results.Run{Driver: &results.DriverSeen{Client: "OkHttp", Gauges: []string{"pending"}, Counted: true}, Valid: true}
	run.Sockets.Available, run.Driver.Looked = true, true
	unseen := &results.Run{Driver: &results.DriverSeen{Client: "OkHttp"}}
	for _, c := range []struct {
		run        *results.Run
		path, want string
		unknown    bool
	}{
		{run, "pool.peak_dialing", "0", true},
		{run, "pool.peak_pending", "0", false},
		{run, "pool.peak_idle", "0", false},
		{run, "connections.evictions.expired", "0", true},
		{run, "connections.opened", "0", false},
		{run, "resends.count", "0", false},
		{run, "resends.maybe_twice", "0", false},
		{unseen, "resends.count", "0", true},
		{run, "counts.unbounded", "0", true},
		{run, "counts.ok", "0", false},
		{run, "sockets.time_wait_peak", "== connections.evictions.expired", true},
		{unseen, "connections.opened", "0", true},
		{unseen, "pool.peak_idle", "0", true},
		{unseen, "failures", "0", false},
	} {
		e := Check(c.run, map[string]string{c.path: c.want})[0]
		if e.Unknown != c.unknown || e.Met == c.unknown || c.unknown && !strings.Contains(e.Why, "unknown: OkHttp") {
			t.Errorf("%s %s: %+v", c.path, c.want, e)
		}
	}
}
