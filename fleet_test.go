package kabench

import (
	"context"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/profiles/script"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

// together is a fleet in this process: each agent is a run with a Share in a goroutine.
type together struct {
	n      int
	remote bool
	// spoil, if set, gets what an agent has left before the controller does.
	spoil func(i int, part *FleetPart, run *results.Run)
	// end, if set, is when an agent is killed: its record stays, and nothing else.
	end func(i int, job FleetJob) <-chan struct{}

	mu   sync.Mutex
	jobs []FleetJob // guarded by mu
	errs []error    // of agents; guarded by mu
}

func (f *together) Size() int   { return f.n }
func (f *together) Local() bool { return !f.remote }

func (f *together) Send(ctx context.Context, job FleetJob) ([]FleetPart, error) {
	f.mu.Lock()
	f.jobs = append(f.jobs, job)
	f.mu.Unlock()
	var ready, all sync.WaitGroup
	ready.Add(f.n)
	start := sync.OnceValue(func() time.Time {
		at := time.Now().Add(3 * time.Second)
		job.Begun(at)
		return at
	})
	beats, parts := make([]*Beat, f.n), make([]FleetPart, f.n)
	var mu sync.Mutex // guards beats, and that there is one call of Beats at a time
	for i := range f.n {
		all.Go(func() {
			dir := filepath.Join(job.Out, "agents", fmt.Sprint(i))
			parts[i] = FleetPart{Agent: results.Agent{Index: i, Name: fmt.Sprintf("agent-%d", i), Network: "here"}, Dir: dir}
			var readyOnce sync.Once
			run, err := Run(ctx, job.Profile, Options{Out: dir, Version: "v", Stop: job.Stop, Share: &Share{
				Index: i, Of: f.n, Follow: job.Follow, Timings: job.Timings, Looked: job.Looked,
				Await: func(ctx context.Context) (time.Time, error) {
					readyOnce.Do(ready.Done)
					ready.Wait()
					return start(), nil
				},
				Beat: func(b Beat) {
					mu.Lock()
					defer mu.Unlock()
					beats[i] = &b
					job.Beats(slices.Clone(beats))
				},
			}})
			readyOnce.Do(ready.Done)
			if err != nil {
				f.mu.Lock()
				f.errs = append(f.errs, err)
				f.mu.Unlock()
			}
			if f.spoil != nil {
				f.spoil(i, &parts[i], run)
			}
		})
	}
	all.Wait()
	for _, err := range f.errs {
		return nil, err
	}
	return parts, nil
}

// small is a profile of few requests, which take as long as they want.
func small(t *testing.T, sets ...string) *profiles.Profile {
	return load(t, "quick", append([]string{
		"load.arrivals=poisson", "load.rate=100/s", "load.duration=1s", "load.warm_up=200ms", "load.seed=7", "load.timeout=0", "pool.connect_timeout=0",
	}, sets...)...)
}

// joined is a run of p on n agents, and its directory.
func joined(t *testing.T, f *together, opts Options, sets ...string) (*results.Run, *record.Dir) {
	t.Helper()
	p := small(t, sets...)
	opts.Out, opts.Fleet = filepath.Join(t.TempDir(), "out"), f
	run, err := Run(t.Context(), p, opts)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := record.Open(opts.Out)
	if err != nil {
		t.Fatal(err)
	}
	return run, dir
}

// A run on several agents is the run of one process: the same requests are due at the same
// moments, the accounts balance, and percentiles are those over all records.
func TestFleetIsOneRun(t *testing.T) {
	t.Parallel()
	for name, sets := range map[string][]string{
		"plain":    {"expect.failures=0", "expect.counts.ok=> 50"},
		"tls":      {"target.lab.tls=true"},
		"tls link": {"target.lab.tls=true", "target.link.delay=1ms"},
		"link":     {"target.link.delay=1ms", "target.headers.Host=example.com"},
		"proxies":  {"target.proxies=[{}, {}]"},
		"stock":    {"client=stock", "pool=default"},
		"count":    {"load.count=50", "load.duration=0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &together{n: 3}
			run, dir := joined(t, f, Options{Version: "test"}, sets...)
			p := small(t, sets...)
			schedule, err := p.Load.Schedule()
			if err != nil {
				t.Fatal(err)
			}
			want := slices.Collect(schedule)
			var all results.Tally
			seen := map[uint64]bool{}
			for e, err := range dir.Exchanges() {
				if err != nil {
					t.Fatal(err)
				}
				if seen[e.Seq] || (e.Due-want[e.Seq]).Abs() > time.Microsecond || e.WarmUp != (want[e.Seq] < p.Load.WarmUp) {
					t.Errorf("exchange %d is due at %v, want %v", e.Seq, e.Due, want[e.Seq])
				}
				seen[e.Seq] = true
				all.Add(e)
			}
			c := run.Counts
			if len(seen) != len(want) || !c.Balance() || c.Due+c.WarmUp != uint64(len(want)) || c.OK != c.Due {
				t.Errorf("%d of %d exchanges, %+v", len(seen), len(want), c)
			}
			var whole results.Run
			all.Fill(&whole, time.Second)
			for _, name := range []string{results.LatencyResponse, results.LatencyService, results.LatencyLag} {
				got, want := run.Latency[name], whole.Latency[name]
				same := func(a, b float64) bool { return math.Abs(a-b) <= 2e-6+b/500 } // a record is in µs
				if got.Count != want.Count || !same(got.P50, want.P50) || !same(got.P99, want.P99) || !same(got.P999, want.P999) || !same(got.Max, want.Max) {
					t.Errorf("%s %+v, over all records %+v", name, got, want)
				}
			}
			if !run.Valid || len(run.Agents) != 3 || len(run.Unmet()) > 0 || run.Version != "test" || run.Name != p.Name {
				t.Errorf("valid %v %q, %d agents, unmet %v", run.Valid, run.Invalid, len(run.Agents), run.Unmet())
			}
			if n := uint64(len(endsIn(t, dir.Path()))); n != run.Connections.Opened || run.Recording.Connections.Written != n {
				t.Errorf("the record has %d ends of connections, and says %+v; %d were opened", n, run.Recording.Connections, run.Connections.Opened)
			}
			// No agent opened a connection to see whether it reaches the target.
			if run.Lab == nil || run.Lab.Requests != uint64(len(want)) || run.Proxy == nil && run.Lab.Connections != run.Connections.Opened {
				t.Errorf("the server saw %+v; connections %+v", run.Lab, run.Connections)
			}
			if text := strings.Join(run.Warnings, "\n"); strings.Contains(text, "TIME_WAIT before the run") {
				t.Errorf("warnings %q", text)
			}
			if files := namesIn(t, dir.Path()); slices.Contains(files, fileKept) || slices.Contains(files, fileCertificates) || !slices.Contains(files, "run.json") {
				t.Errorf("the directory holds %q", files)
			}
			if files := namesIn(t, filepath.Join(dir.Path(), "agents", "1")); slices.Contains(files, "exchanges.ndjson.zst") || !slices.Contains(files, "run.json") {
				t.Errorf("an agent's directory holds %q", files)
			}
		})
	}
}

func namesIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// The server gets the same bytes from agents as from one process.
func TestFleetSendsTheSameBytes(t *testing.T) {
	t.Parallel()
	for name, sets := range map[string][]string{
		"lab":  {},
		"link": {"target.link.delay=1ms"},
		"tls":  {"target.lab.tls=true", "target.link.delay=1ms", "target.headers.X-Mine=1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sets := append([]string{"target.lab.record_headers=true", "load.arrivals=constant"}, sets...)
			many, _ := joined(t, &together{n: 2}, Options{}, sets...)
			one, err := Run(t.Context(), small(t, sets...), Options{})
			if err != nil {
				t.Fatal(err)
			}
			if !maps.Equal(many.Lab.Headers, one.Lab.Headers) || len(one.Lab.Headers) == 0 {
				t.Errorf("headers %v from agents, %v from one process", many.Lab.Headers, one.Lab.Headers)
			}
		})
	}
}

// An agent whose run is invalid makes the run invalid, and is named; one that began late too.
func TestFleetNamesTheInvalidAgent(t *testing.T) {
	t.Parallel()
	f := &together{n: 2, spoil: func(i int, part *FleetPart, run *results.Run) {
		if i == 1 {
			part.Agent.Clock = results.Clock{Error: 0.002, Skew: -0.0035, Measures: 1}
			run.Valid, run.Invalid = false, []string{"kabench fell behind: too much to do"}
			data, err := os.Create(filepath.Join(part.Dir, "run.json"))
			if err == nil {
				err = record.EncodeRun(data, run)
			}
			if err != nil {
				t.Error(err)
			}
			data.Close()
		}
	}}
	run, _ := joined(t, f, Options{})
	text := strings.Join(run.Invalid, "\n")
	if run.Valid || !strings.Contains(text, "agent agent-1 (1): kabench fell behind") || !strings.Contains(text, "agent-1 (1) began its schedule 3.50 ms from the agreed start") || strings.Contains(text, "agent-0") {
		t.Errorf("valid %v: %q", run.Valid, run.Invalid)
	}
}

// The arrivals of an agent that was lost are dropped, and the run is worth less and valid.
func TestFleetLosesAnAgent(t *testing.T) {
	t.Parallel()
	f := &together{n: 3, spoil: func(i int, part *FleetPart, run *results.Run) {
		if i == 2 { // nothing of it survived
			part.Dir, part.Agent.Lost = "", &results.AgentLost{Why: "its process was killed", At: 0.5}
		}
	}}
	run, _ := joined(t, f, Options{}, "load.arrivals=constant", "load.warm_up=0", "load.rate=90/s")
	if c := run.Counts; !c.Balance() || c.Due != 90 || c.Dropped != 30 || c.OK != 60 {
		t.Errorf("%+v", c)
	}
	lost := run.Agents[2].Lost
	if !run.Valid || run.Instrument.Schedule.Overload != "" || lost == nil || lost.Arrivals != 30 || math.Abs(lost.Share-1./3) > 1e-9 {
		t.Errorf("valid %v %q, overload %q, lost %+v", run.Valid, run.Invalid, run.Instrument.Schedule.Overload, lost)
	}
	if text := strings.Join(run.Warnings, "\n"); !strings.Contains(text, "agent-2") {
		t.Errorf("no warning names the agent: %q", run.Warnings)
	}
}

// A baseline of another number of agents had another number of pools, and the run says so.
func TestFleetWithABaseline(t *testing.T) {
	t.Parallel()
	p := small(t)
	out := filepath.Join(t.TempDir(), "before")
	earlier, err := Run(t.Context(), p, Options{Out: out})
	if err != nil {
		t.Fatal(err)
	}
	run, _ := joined(t, &together{n: 2}, Options{Baseline: &Baseline{Dir: out, Run: earlier}}, "expect.failures=not worse than baseline", "expect.counts.ok=> 50% of baseline")
	if text := strings.Join(run.Warnings, "\n"); !strings.Contains(text, "the baseline had 1 pool, and this run has 2") {
		t.Errorf("%s", text)
	}
	for _, e := range run.Expect {
		if strings.Contains(e.Want, "baseline") && !e.Met {
			t.Errorf("%+v", e)
		}
	}
}

// A condition of abort_when is about all agents together, and stops all of them.
func TestFleetAborts(t *testing.T) {
	t.Parallel()
	f := &together{n: 2}
	run, _ := joined(t, f, Options{}, "load.duration=10m", "load.warm_up=0", "abort_when.counts.ok=> 150")
	if s := run.Stopped; s == nil || s.Path != "counts.ok" || !run.Interrupted || !run.Complete || run.Counts.OK <= 150 || run.Counts.OK > 30000 {
		t.Errorf("stopped %+v, %+v", s, run.Counts)
	}
	for _, a := range run.Agents {
		if a.Counts.Due > 15_000 || a.Counts.Due < 70 {
			t.Errorf("agent %d sent %d requests", a.Index, a.Counts.Due)
		}
	}
	if !run.Counts.Balance() || !run.Valid || run.Rate.Offered < 50 || run.Rate.Offered > 150 {
		t.Errorf("%+v, valid %v %q, rate %+v", run.Counts, run.Valid, run.Invalid, run.Rate)
	}
}

// follows is a Feed that counts.
type follows struct {
	mu      sync.Mutex
	calls   []string
	seen    map[uint64]int
	samples []results.Sample
}

func (f *follows) Begin(*results.Run) { f.calls = append(f.calls, "begin") }
func (f *follows) End(*results.Run)   { f.calls = append(f.calls, "end") }
func (f *follows) From(func())        {}
func (f *follows) Put([]byte, bool)   {}
func (f *follows) Observe(e *results.Exchange) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen[e.Seq]++
}
func (f *follows) Sample(s results.Sample) { f.samples = append(f.samples, s) }

// Progress and a page show the agents together.
func TestFleetIsFollowed(t *testing.T) {
	t.Parallel()
	page := &follows{seen: map[uint64]int{}}
	var shown []Progress
	run, _ := joined(t, &together{n: 3}, Options{Live: page, Progress: func(p Progress) { shown = append(shown, p) }}, "load.duration=2500ms", "pool.max_conns=5")
	due := run.Counts.Due + run.Counts.WarmUp
	if !slices.Equal(page.calls, []string{"begin", "end"}) || uint64(len(page.seen)) != due {
		t.Errorf("calls %q, %d exchanges shown of %d", page.calls, len(page.seen), due)
	}
	for seq, n := range page.seen {
		if n != 1 {
			t.Errorf("exchange %d was shown %d times", seq, n)
		}
	}
	last := page.samples[len(page.samples)-1]
	if last.Due != due || last.OK != run.Counts.OK+run.Counts.WarmUp || last.Opened != run.Connections.Opened {
		t.Errorf("the last sample is %+v; %+v, %+v", last, run.Counts, run.Connections)
	}
	if len(shown) == 0 {
		t.Fatal("no progress")
	}
	if want := "3 agents have 3 pools: pool.max_conns 5 means up to 15 connections"; !strings.Contains(strings.Join(run.Warnings, "\n"), want) {
		t.Errorf("no warning has %q: %q", want, run.Warnings)
	}
	if p := shown[len(shown)-1]; p.Totals.Due != due || p.MaxConns != 15 || p.Total != 2700*time.Millisecond || p.Pool.Opened != run.Connections.Opened {
		t.Errorf("%+v", p)
	}
}

// What cannot be divided is refused with the reason, and nothing is written or sent.
func TestFleetInputErrors(t *testing.T) {
	for name, test := range map[string]struct {
		sets   []string
		opts   Options
		remote bool
		n      int
		want   string
	}{
		"no agents":          {n: 0, want: "a fleet of no agents"},
		"bare":               {n: 2, opts: Options{Bare: true}, want: "--no-instruments"},
		"network":            {n: 2, sets: []string{"network={hosts: [{name: server}]}"}, want: "private network"},
		"own server":         {n: 2, remote: true, want: "give a server that they reach with target.url"},
		"own link":           {n: 2, remote: true, sets: []string{"target.lab=null", "target.url=http://192.0.2.1/", "target.link.delay=1ms"}, want: "the link in front of it"},
		"source addresses":   {n: 2, remote: true, sets: []string{"target.lab=null", "target.url=http://192.0.2.1/", "target.source_addresses=[192.0.2.2]"}, want: "addresses of one machine"},
		"too few requests":   {n: 5, sets: []string{"load.count=4"}, want: "4 requests after the warm-up, which are too few for 5 agents"},
		"an invalid profile": {n: 2, sets: []string{"load.rate=10/s", "load.duration=1s", "load.count=0"}, opts: Options{Share: &Share{Of: 1}}, want: "Await is not set"},
	} {
		t.Run(name, func(t *testing.T) {
			p := load(t, "quick", test.sets...)
			f := &together{n: test.n, remote: test.remote}
			test.opts.Fleet, test.opts.Out = f, filepath.Join(t.TempDir(), "out")
			run, err := Run(t.Context(), p, test.opts)
			if _, is := err.(*InputError); run != nil || !is || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an input error with %q", err, test.want)
			}
			if _, err := os.Stat(test.opts.Out); err == nil || len(f.jobs) > 0 {
				t.Errorf("the directory was made (%v), or %d jobs sent", err, len(f.jobs))
			}
		})
	}
	t.Run("directory in use", func(t *testing.T) {
		out := t.TempDir()
		if err := os.WriteFile(filepath.Join(out, "x"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		f := &together{n: 2}
		_, err := Run(t.Context(), load(t, "quick"), Options{Out: out, Fleet: f})
		if err == nil || !strings.Contains(err.Error(), "is not empty") || len(f.jobs) > 0 {
			t.Errorf("%v", err)
		}
	})
	t.Run("an agent that cannot", func(t *testing.T) {
		p, server := shared(t, script.Server{})
		server.Close()
		out := filepath.Join(t.TempDir(), "out")
		_, err := Run(t.Context(), p, Options{Out: out, Fleet: &together{n: 2, remote: true}})
		if _, is := err.(*InputError); !is || !strings.Contains(err.Error(), "is the server running") {
			t.Errorf("%v", err)
		}
	})
}
