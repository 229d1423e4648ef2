package kabench

import (
	"path/filepath"
	"sync"
	"testing"

	"github.com/kabench/kabench/results"
)

// told keeps the standings and failures of a run.
type told struct {
	mu        sync.Mutex
	standings []Standing        // guarded by mu
	failures  map[uint64]string // guarded by mu: phase and cause by number
}

func (o *told) follow(opts Options) Options {
	o.failures = map[uint64]string{}
	opts.Standing = func(s Standing) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.standings = append(o.standings, s)
	}
	opts.Failure = func(e *results.Exchange) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.failures[e.Seq] = e.Phase.String() + "/" + e.Cause.String()
	}
	return opts
}

// check checks that the last standing is the finished document, with the timings of all
// exchanges, that counters never fall, and that each failure was passed on.
func (o *told) check(t *testing.T, run *results.Run) {
	t.Helper()
	if len(o.standings) < 2 {
		t.Fatalf("%d standings", len(o.standings))
	}
	var before results.Counts
	for i, s := range o.standings {
		c := s.Run.Counts
		if c.Due < before.Due || c.OK < before.OK || c.Failed < before.Failed || c.WarmUp < before.WarmUp || !c.Balance() || s.Over != (i == len(o.standings)-1) || s.Run.Name != run.Name || s.Run.Start.IsZero() {
			t.Errorf("standing %d: %+v after %+v, over %v, %s", i, c, before, s.Over, s.Run.Name)
		}
		before = c
	}
	last := o.standings[len(o.standings)-1]
	if last.Run.Counts != run.Counts || last.Run.Connections.Opened != run.Connections.Opened || last.Run.Valid != run.Valid {
		t.Errorf("%+v at the end, not %+v", last.Run.Counts, run.Counts)
	}
	if x := last.Timings; x.Exchanges() != run.Counts.OK+run.Counts.Failed || x.Lag.Count != run.Counts.Started || x.Failed.Count != run.Counts.Failed || x.Check() != nil {
		t.Errorf("timings of %d exchanges, %d failed, %d started, %v; %+v", x.Exchanges(), x.Failed.Count, x.Lag.Count, x.Check(), run.Counts)
	}
	if x := last.Timings.Lives; x == nil || x.Count != run.Connections.Opened {
		t.Errorf("%+v: the lives of %d connections", x, run.Connections.Opened)
	}
	if last.Server == "" || last.Method != "GET" || last.Sample == nil || last.Sample.Opened != run.Connections.Opened {
		t.Errorf("%q, %q, %+v", last.Server, last.Method, last.Sample)
	}
	if uint64(len(o.failures)) != run.Counts.Failed || run.Counts.Failed == 0 {
		t.Errorf("%d failures were passed on, of %d", len(o.failures), run.Counts.Failed)
	}
	seen := map[string]uint64{}
	for _, kind := range o.failures {
		seen[kind]++
	}
	for _, out := range run.Outcomes {
		seen[out.Phase.String()+"/"+out.Cause.String()] -= out.Count
	}
	for kind, n := range seen {
		if n != 0 && kind != "done/" {
			t.Errorf("%s: %d too many were passed on", kind, int64(n))
		}
	}
}

// raced is a pool that uses connections which the server has closed.
var raced = []string{"load.arrivals=constant", "load.rate=40/s", "load.duration=1500ms", "load.warm_up=250ms", "pool.liveness=none", "target.lab.idle_timeout=5ms"}

func TestARunTellsHowItStands(t *testing.T) {
	t.Parallel()
	var o told
	run, err := Run(t.Context(), load(t, "quick", raced...), o.follow(Options{Out: filepath.Join(t.TempDir(), "out")}))
	if err != nil {
		t.Fatal(err)
	}
	o.check(t, run)
	if len(o.standings[0].Run.Kernel.Counters) == 0 != (len(run.Kernel.Counters) == 0) {
		t.Errorf("the kernel's counters: %v, %v", o.standings[0].Run.Kernel, run.Kernel)
	}
}

func TestARunInANetworkTellsHowItStands(t *testing.T) {
	t.Parallel()
	needSandbox(t)
	var o told
	p := networked(t, "name: n\nload: {arrivals: constant, rate: 40/s, duration: 1500ms}\nnetwork: {hosts: [{name: server}]}\ntarget: {lab: {idle_timeout: 5ms}}\npool: {liveness: none}")
	run, err := Run(t.Context(), p, o.follow(Options{Out: filepath.Join(t.TempDir(), "out")}))
	if err != nil {
		t.Fatal(err)
	}
	o.check(t, run)
}

func TestAFleetTellsHowItStands(t *testing.T) {
	t.Parallel()
	var o told
	// Agents take turns, so that each connection is idle twice as long.
	run, err := Run(t.Context(), load(t, "quick", raced...), o.follow(Options{Out: filepath.Join(t.TempDir(), "out"), Fleet: &together{n: 2}}))
	if err != nil {
		t.Fatal(err)
	}
	o.check(t, run)
}
