package forecast

import (
	"context"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
)

// poisson is a service with independent requests, and a server that closes after 20 s.
const poisson = `
load: {rate: 400/s, arrivals: poisson, duration: 10s, timeout: 5s}
pool: {liveness: events}
target: {lab: {idle_timeout: 20s, delay: 40ms}, link: {delay: 1ms}}
`

func profileFor(t testing.TB, text string, sets ...string) *profiles.Profile {
	t.Helper()
	p, err := profiles.Load("p.yaml", []byte(text), sets)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func factsFor(t testing.TB, text string, sets ...string) *facts {
	t.Helper()
	f, err := factsOf(profileFor(t, text, sets...), &Options{})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// document forecasts a profile, and returns its document.
func document(t testing.TB, o Options, text string, sets ...string) *results.Run {
	t.Helper()
	p := profileFor(t, text, sets...)
	r, err := Run(context.Background(), p, o)
	if err != nil {
		t.Fatal(err)
	}
	run, err := r.Document(p, "test")
	if err != nil {
		t.Fatal(err)
	}
	return run
}

func TestAccountsBalance(t *testing.T) {
	for name, sets := range map[string][]string{
		"plain":          nil,
		"few":            {"pool.max_conns=10", "pool.pending_max=5"},
		"slow":           {"target.lab.delay=exp 300ms", "pool.max_conns=50", "pool.pending_timeout=200ms"},
		"dropped":        {"load.max_in_flight=10"},
		"buffered":       {"load.max_in_flight=15", "load.buffer=10"},
		"timeout":        {"target.lab.delay=exp 300ms", "load.timeout=400ms"},
		"silent":         {"target.lab.fault=silent", "target.lab.fault_on=every 100", "load.timeout=400ms"},
		"faults":         {"target.lab.fault=reset_before_response", "target.lab.fault_on=every 7"},
		"resent":         {"target.lab.fault=close_before_response", "target.lab.fault_on=every 7", "pool.resend=[{on: any, after: [eof], methods: all, max: 2}]"},
		"threads":        {"target.lab.threads=12"},
		"overload":       {"target.lab.threads=12", "target.lab.delay=50ms", "load.timeout=300ms", "pool.response_timeout=200ms"},
		"no keep-alive":  {"pool.max_idle=0"},
		"shards":         {"pool.shards=3", "pool.max_conns=6"},
		"requests":       {"target.lab.max_requests=7"},
		"unannounced":    {"target.lab.max_requests=7", "target.lab.unannounced=true"},
		"reload":         {"target.lab.reload_every=700ms"},
		"announced":      {"target.lab.reload_every=700ms", "target.lab.reload=announce"},
		"probe":          {"pool.liveness=probe", "target.lab.idle_timeout=100ms", "load.rate=40/s"},
		"blind":          {"pool.liveness=none", "target.lab.idle_timeout=100ms", "load.rate=40/s"},
		"sweep":          {"pool.expiry=sweep", "pool.sweep_every=1s", "pool.idle_timeout=500ms"},
		"late bind":      {"pool.late_bind=true", "target.link.delay=30ms"},
		"late and short": {"pool.late_bind=true", "target.link.delay=60ms", "load.timeout=100ms"},
		"connect":        {"pool.connect_timeout=1ms"},
		"dial fails all": {"pool.connect_timeout=1ms", "pool.dial_fail=all_pending", "pool.max_conns=2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := document(t, Options{For: 3 * time.Second, Requests: 1}, poisson, sets...)
			c := run.Counts
			if !c.Balance() || c.Due < 50 || c.Unfinished != 0 {
				t.Errorf("%+v", c)
			}
			if n := run.Reuse.Fresh + run.Reuse.Reused + run.Reuse.NoConnection; n != c.Started {
				t.Errorf("reuse %+v of %d started", run.Reuse, c.Started)
			}
			left := uint64(0)
			for _, n := range run.Connections.Evictions {
				left += n
			}
			if open := run.Connections.Opened - left; left > run.Connections.Opened || open > uint64(run.Connections.MaxOpen) {
				t.Errorf("%d opened, %d left the pool, at most %d open", run.Connections.Opened, left, run.Connections.MaxOpen)
			}
		})
	}
}

// What arithmetic says must come out.
func TestKnownValues(t *testing.T) {
	run := document(t, Options{For: 10 * time.Second, Requests: 1}, poisson, "load.arrivals=constant", "pool.max_conns=10", "pool.pending_max=0")
	// 10 connections serve a request in 42 ms each: 238 of 400 per second.
	if ok := float64(run.Counts.OK) / 10; math.Abs(ok-10/0.042) > 5 {
		t.Errorf("%v served per second, want %.0f", ok, 10/0.042)
	}
	if o := run.FailureCounts(); len(o) != 1 || o["failures.rate.acquire.queue_full"] != run.Counts.Failed {
		t.Errorf("failures %v of %d", o, run.Counts.Failed)
	}

	run = document(t, Options{For: 10 * time.Second, Requests: 1}, poisson, "load.arrivals=constant", "pool.max_idle=0", "target.lab.delay=0ms")
	if run.Connections.Opened != run.Counts.Started || run.Connections.ClosedByUs < run.Connections.Opened-10 {
		t.Errorf("%+v of %d", run.Connections, run.Counts.Started)
	}
	if peak := run.Sockets.TimeWaitPeak; peak < 3980 || peak > 4000 { // nothing has left TIME_WAIT within 60 s
		t.Errorf("TIME_WAIT peak %d, want 4000", peak)
	}
	if p50 := run.Latency["response"].P50; math.Abs(p50-0.002) > 1e-4 { // one round trip of 2 ms: the link accepts by itself
		t.Errorf("response %v", p50)
	}
	wire := strings.Replace(poisson, ", link: {delay: 1ms}", "", 1) + "network: {hosts: [{name: server}], links: [{between: [client, server], delay: 1ms}]}\n"
	for tls, trips := range map[string]float64{"false": 2, "true": 3} {
		run = document(t, Options{For: 10 * time.Second, Requests: 1}, wire, "pool.max_idle=0", "target.lab.delay=0ms", "target.lab.tls="+tls)
		if p50 := run.Latency["response"].P50; math.Abs(p50-0.002*trips) > 1e-5 {
			t.Errorf("response %v, want %v round trips", p50, trips)
		}
	}
}

// 400 ports and 100 connections a second last 4 s.
func TestPortsRunOut(t *testing.T) {
	text := poisson + "network: {hosts: [{name: server}, {name: client, port_range: [40000, 40399], sysctls: {net.ipv4.tcp_tw_reuse: 0}}], links: [{between: [client, server], delay: 1ms}]}\n"
	text = strings.Replace(text, ", link: {delay: 1ms}", "", 1)
	run := document(t, Options{For: 10 * time.Second, Requests: 1}, text, "load.arrivals=constant", "load.rate=100/s", "pool.max_idle=0")
	got := run.FailureCounts()["failures.rate.connect.port_exhausted"]
	if got < 580 || got > 610 {
		t.Errorf("%d requests got no port, want 600: %v", got, run.FailureCounts())
	}
}

// The same seed gives the same bytes, however the spans are shared out.
func TestSeedDecides(t *testing.T) {
	one := func(seed uint64) string {
		run := document(t, Options{For: 3 * time.Hour, Seed: seed}, poisson, "load.rate=4/s", "target.lab.idle_timeout=200ms", "pool.lease_order=fifo")
		text, err := json.Marshal(run)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if a, b := one(5), one(5); a != b {
		t.Errorf("two plays of one seed differ:\n%.600s\n%.600s", a, b)
	}
	if one(5) == one(6) {
		t.Error("another seed gives the same")
	}
}

// Races that are integrated are as many as races that are counted, for each way in which a
// pool chooses and notices.
func TestExposureMeetsTheCount(t *testing.T) {
	for name, sets := range map[string][]string{
		"fifo":        {"pool.lease_order=fifo"},
		"lifo":        {"pool.lease_order=lifo"},
		"one":         {"pool.max_conns=1", "load.rate=4/s"},
		"probe":       {"pool.liveness=probe", "pool.lease_order=fifo"},
		"late":        {"target.lab.idle_late=uniform 0ms 50ms"},
		"own timer":   {"pool.idle_timeout=204ms", "pool.expiry=timer", "target.lab.idle_late=uniform 0ms 10ms"},
		"exponential": {"target.lab.delay=exp 40ms"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sets = append([]string{"load.rate=15/s", "target.lab.idle_timeout=200ms", "target.link.delay=4ms"}, sets...)
			run := document(t, Options{For: 2 * time.Hour}, poisson, sets...)
			r := run.Forecast.Races
			if r == nil || r.Counted < 100 {
				t.Fatalf("%+v", r)
			}
			// The count is nearly Poisson: four standard deviations hold for all cases and seeds.
			if off := math.Abs(float64(r.Counted) - r.Expected); off > 4*math.Sqrt(r.Expected)+(r.High-r.Low) {
				t.Errorf("%d counted, %.1f [%.1f, %.1f] expected", r.Counted, r.Expected, r.Low, r.High)
			}
			if run.Counts.Failed != r.Counted {
				t.Errorf("%d failed, %d met the close", run.Counts.Failed, r.Counted)
			}
		})
	}
}

// A pool that lets go first, or that may not use a connection again, has no races.
func TestNoRaces(t *testing.T) {
	for _, sets := range [][]string{
		{"pool.idle_timeout=100ms", "pool.expiry=[lease, timer]"},
		{"pool.max_idle=0"},
		{"target.lab.idle_timeout=0s"},
	} {
		run := document(t, Options{For: 2 * time.Hour}, poisson, append([]string{"load.rate=15/s", "target.lab.idle_timeout=200ms"}, sets...)...)
		if run.Counts.Failed != 0 || run.Forecast.First != nil {
			t.Errorf("%v: %+v, first %+v", sets, run.Counts, run.Forecast.First)
		}
	}
}

// A span that begins with a warm pool, or a span of twice the length, has the same rates as
// one long play.
func TestSpansAgreeWithOnePlay(t *testing.T) {
	f := factsFor(t, poisson, "load.rate=15/s", "target.lab.idle_timeout=200ms", "pool.lease_order=fifo")
	whole, err := f.play(span{seed: 3, warmUp: time.Minute, counts: 5 * time.Hour}, nil)
	if err != nil {
		t.Fatal(err)
	}
	parts := newCounter(200)
	for i := range 20 {
		n, err := f.play(span{seed: uint64(100 + i), warmUp: 10 * time.Second, counts: 15 * time.Minute}, nil)
		if err != nil {
			t.Fatal(err)
		}
		parts.add(n)
	}
	a, b := float64(whole.connections), float64(parts.connections)
	if off := math.Abs(a - b); off > 5*math.Sqrt(a+b) {
		t.Errorf("%v connections in one play, %v in parts", a, b)
	}
	if off := math.Abs(whole.races - parts.races); off > 5*math.Sqrt(whole.races+parts.races) {
		t.Errorf("%v races in one play, %v in parts", whole.races, parts.races)
	}
}

func TestUnsupportedNamesTheField(t *testing.T) {
	for set, want := range map[string]string{
		"target.lab.max_connections=5":  "target.lab.max_connections: ", // 17 are open at once
		"target.lab=null":               "target.url: ",
		"client=stock":                  "client: ",
		"target.lab.fault=garbage":      "target.lab.fault: ",
		"target.proxies=[{}]":           "target.proxies: ",
		"target.lab.version=http/1.0":   "target.lab.version: ",
		"target.lab.upload=answer_read": "target.lab.upload: ",
	} {
		p := profileFor(t, strings.Replace(poisson, ", link: {delay: 1ms}", "", 1), set, "target.url="+map[bool]string{true: "http://127.0.0.1:1/"}[strings.HasPrefix(set, "target.lab=null")])
		_, err := Run(context.Background(), p, Options{For: time.Minute, Requests: 1})
		u, is := err.(*Unsupported)
		if !is || len(u.Lines) != 1 || !strings.HasPrefix(u.Lines[0], want) {
			t.Errorf("%s: %v", set, err)
		}
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Run(ctx, profileFor(t, poisson), Options{For: 24 * time.Hour}); err != context.Canceled {
		t.Errorf("error %v", err)
	}
}

func TestIntervals(t *testing.T) {
	// Garwood's table: 0 seen gives 0 to 3.69, 10 seen give 4.80 to 18.39.
	for _, c := range [][3]float64{{0, 0, 3.689}, {1, 0.0253, 5.572}, {10, 4.795, 18.390}} {
		low, high := poissonInterval(c[0])
		if math.Abs(low-c[1]) > 0.001 || math.Abs(high-c[2]) > 0.001 {
			t.Errorf("%v seen: %v to %v", c[0], low, high)
		}
	}
	counts := make([]float64, 100)
	for i := range counts {
		counts[i] = float64(i)
	}
	if mean, low, high := ofRuns(counts); mean != 49.5 || low != 1 || high != 98 {
		t.Errorf("mean %v, %v to %v", mean, low, high)
	}
}

// Every event comes out in the order of its time, with ties in the order of planning within
// the ring.
func FuzzQueue(f *testing.F) {
	f.Add([]byte{1, 2, 3, 0, 0, 9, 5, 4})
	f.Fuzz(func(t *testing.T, steps []byte) {
		var q queue
		var want []time.Duration
		now := time.Duration(0)
		for _, b := range steps {
			if b%3 == 0 && len(want) > 0 {
				slices.Sort(want)
				if got := q.first(); got != want[0] {
					t.Fatalf("first %v, want %v", got, want[0])
				}
				if e := q.pop(); e.at != want[0] {
					t.Fatalf("pop %v, want %v", e.at, want[0])
				}
				now, want = want[0], want[1:]
				continue
			}
			at := now + time.Duration(b/3)
			q.push(event{at: at})
			want = append(want, at)
		}
		if len(want) == 0 && q.first() != never {
			t.Fatal("an empty queue has a first event")
		}
	})
}
