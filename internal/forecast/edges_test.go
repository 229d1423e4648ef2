package forecast

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"
)

// short is how the tests here play a profile: few runs, as long as it says.
var short = Options{Requests: 1}

// A refusal that comes with time makes a slot free, and a buffered request begins.
func TestBufferFillsAfterEachRefusal(t *testing.T) {
	for name, sets := range map[string][]string{
		"pending timeout": {"pool.max_conns=1", "pool.pending_timeout=50ms", "target.lab.delay=1s"},
		"no thread":       {"target.lab.threads=1", "target.lab.delay=5s", "load.timeout=100ms"},
	} {
		t.Run(name, func(t *testing.T) {
			run := document(t, short, poisson, append([]string{"load.max_in_flight=2", "load.buffer=100000", "load.duration=2s"}, sets...)...)
			if c := run.Counts; !c.Balance() || c.Due != c.Started || c.Waited < c.Due/2 {
				t.Errorf("%+v", c)
			}
		})
	}
}

// A pool that is warm when the counting begins has what it has, even if nothing changes.
func TestPeaksOfAWarmPool(t *testing.T) {
	run := document(t, Options{For: 3 * time.Hour}, poisson, "load.rate=2/s", "load.arrivals=constant", "target.lab.idle_timeout=0s")
	if run.Connections.Opened != 0 || run.Connections.MaxOpen != 1 || run.Sockets.PortsUsedPeak != 1 {
		t.Errorf("%+v, %+v", run.Connections, run.Sockets)
	}
}

// What comes less often than a span is long is counted as often as it comes.
func TestSeldomEventsAreCounted(t *testing.T) {
	constant := []string{"load.arrivals=constant", "target.lab.idle_timeout=0s"}
	for name, c := range map[string]struct {
		sets        []string
		hours       int
		due, opened uint64
	}{
		"reloads":      {append(constant, "load.rate=0.1/s", "target.lab.reload_every=5h"), 48, 17280, 9},
		"bursts":       {[]string{"load.rate=10/s", "load.arrivals={process: burst, on: 1s, off: 10799s}"}, 60, 200, 20},
		"slow":         {append(constant, "load.rate=0.0002/s"), 200, 144, 0},
		"a lifetime":   {append(constant, "load.rate=0.1/s", "pool.max_lifetime=20h"), 100, 36000, 5},
		"gaps of days": {[]string{"load.rate=null", "load.arrivals={process: uniform, gap_min: 5h, gap_max: 5h}"}, 5000, 1000, 1000},
	} {
		t.Run(name, func(t *testing.T) {
			run := document(t, Options{For: time.Duration(c.hours) * time.Hour}, poisson, c.sets...)
			if math.Abs(float64(run.Counts.Due)-float64(c.due)) > 1 || math.Abs(float64(run.Connections.Opened)-float64(c.opened)) > 1 {
				t.Errorf("%d due, %d opened; want %d and %d: %+v", run.Counts.Due, run.Connections.Opened, c.due, c.opened, run.Forecast)
			}
		})
	}
}

// Ten years are as many spans as a few weeks, each with a counter.
func TestSpansAreBounded(t *testing.T) {
	f := factsFor(t, poisson, "load.rate=0.0003/s")
	list := f.spansOf(&Options{For: 10 * 365 * 24 * time.Hour})
	sum := time.Duration(0)
	for _, s := range list {
		sum += s.counts
	}
	if len(list) > mostSpans+1 || sum != 10*365*24*time.Hour {
		t.Errorf("%d spans of %v together", len(list), sum)
	}
}

// A close that comes sooner than the one that was planned for is noticed when it comes, and not
// when the later one would have.
func TestSoonerCloseIsNoticedInTime(t *testing.T) {
	run := document(t, Options{For: 2 * time.Hour}, poisson, "load.rate=2/s", "target.lab.idle_timeout=100ms", "target.lab.idle_late=exp 3s", "target.lab.delay=1ms")
	// A request meets the close within a round trip of 2 ms before the client sees it.
	most := 3 * 0.002 * float64(run.Connections.Opened)
	if r := run.Forecast.Races; float64(r.Counted) > r.Expected+5*math.Sqrt(r.Expected) || r.Expected > most {
		t.Errorf("%+v of %d connections", r, run.Connections.Opened)
	}
}

// A server that resets idle connections leaves no TIME_WAIT, and a client that does not look
// finds that it cannot send.
func TestResetOnIdle(t *testing.T) {
	reset := []string{"load.rate=10/s", "target.lab.idle_timeout=100ms", "target.lab.fault=reset_on_idle", "load.duration=30s"}
	run := document(t, short, poisson, reset...)
	if c := run.Connections; c.Reset == 0 || c.Evictions["reset"] == 0 || c.Evictions["peer_closed"] != 0 || run.Sockets.TimeWaitServer != 0 {
		t.Errorf("%+v, %+v", c, run.Sockets)
	}
	run = document(t, short, poisson, append(reset, "pool.liveness=none")...)
	if f := run.FailureCounts(); f["failures.rate.write_headers.rst"] == 0 {
		t.Errorf("%v", f)
	}
}

// A server that closes in place of a response keeps the TIME_WAIT socket.
func TestTimeWaitAfterFault(t *testing.T) {
	run := document(t, short, poisson, "load.arrivals=constant", "load.duration=2s", "target.lab.fault=close_before_response")
	if got := run.Sockets.TimeWaitServer; got < 700 {
		t.Errorf("%d TIME_WAIT sockets at the server, want 800", got)
	}
}

// The others that wait get the error of the dial that failed.
func TestAllPendingGetTheCause(t *testing.T) {
	text := strings.Replace(poisson, ", link: {delay: 1ms}", "", 1) + "network: {hosts: [{name: server}, {name: client, port_range: [40000, 40001]}], links: [{between: [client, server], delay: 1ms}]}\n"
	run := document(t, short, text, "load.duration=2s", "pool.dial_fail=all_pending", "pool.max_idle=0", "pool.max_conns=3")
	if f := run.FailureCounts(); f["failures.rate.connect.timeout"] != 0 || f["failures.rate.connect.port_exhausted"] == 0 {
		t.Errorf("%v", f)
	}
}

// How it ends is as the client sees it: over TLS by a close_notify, and without a length
// nobody knows what is missing.
func TestEndsAsTheClientSeesThem(t *testing.T) {
	for want, sets := range map[string][]string{
		"before_response.fin":          {"target.lab.fault=close_before_response"},
		"before_response.close_notify": {"target.lab.fault=close_before_response", "target.lab.tls=true"},
		"during_response.truncated":    {"target.lab.fault=close_during_response", "target.lab.body=10"},
		"during_response.fin":          {"target.lab.fault=close_during_response", "target.lab.body=10", "target.lab.chunked=true"},
		"tls.timeout":                  {"target.lab.tls=true", "pool.connect_timeout=1ms"},
	} {
		run := document(t, short, poisson, append(sets, "load.duration=1s")...)
		if f := run.FailureCounts(); len(f) != 1 || f["failures.rate."+want] != run.Counts.Started {
			t.Errorf("want %s: %v", want, f)
		}
	}
}

// A run's connections are those of its warm-up too, and the client closes them at the end.
func TestWholeRunsCountAsRunsDo(t *testing.T) {
	run := document(t, short, poisson, "load.arrivals=constant", "load.rate=10/s", "load.warm_up=1s", "load.duration=1s", "target.lab.idle_timeout=0s")
	if c := run.Connections; c.Opened != 1 || c.ClosedByUs != 1 || c.Evictions["shutdown"] != 1 || run.Counts.WarmUp != 10 || run.Counts.Started != 10 {
		t.Errorf("%+v, %+v", c, run.Counts)
	}
}

// Headers say whether the server hints, and whether a connection stays.
func TestConnectionHeader(t *testing.T) {
	for header, opened := range map[string]uint64{"": 1, "keep-alive": 50, "close": 50} {
		sets := []string{"load.rate=10/s", "load.arrivals=constant", "load.duration=5s", "target.lab.hint=timeout=1", "target.lab.hint_if_asked=true", "pool.server_hint=min", "pool.hint_margin=950ms"}
		if header != "" {
			sets = append(sets, "target.headers.Connection="+header)
		}
		if run := document(t, short, poisson, sets...); run.Connections.Opened != opened {
			t.Errorf("Connection %q: %d opened, want %d", header, run.Connections.Opened, opened)
		}
	}
}

// A load that ends by its count is played to its last request; with a time, the time decides.
func TestCountEndsAForecast(t *testing.T) {
	run := document(t, short, poisson, "load.count=100", "load.duration=0s")
	if s := run.Forecast.Seconds; run.Counts.Due != 100 || s < 0.1 || s > 1 {
		t.Errorf("%+v in %v s", run.Counts, s)
	}
	run = document(t, Options{For: 5 * time.Second, Requests: 1}, poisson, "load.count=100")
	if run.Counts.Due < 1500 {
		t.Errorf("%+v", run.Counts)
	}
}

// One run says little about others: its interval is that of independent events.
func TestOneRunHasAnInterval(t *testing.T) {
	run := document(t, Options{For: 2 * time.Hour}, poisson, "load.rate=1/s", "load.arrivals={process: ramp, to: 2/s}", "target.lab.idle_timeout=500ms")
	for _, f := range run.Forecast.Figures {
		if f.Mean > 0 && !(f.Low < f.Mean && f.Mean < f.High) {
			t.Errorf("%+v", f)
		}
	}
}

// A forecast ends soon after it is given up, even within a span.
func TestCancelledWithinASpan(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	o := Options{For: 1000 * 24 * time.Hour, Progress: func(float64) { cancel() }}
	if _, err := Run(ctx, profileFor(t, poisson, "load.arrivals={process: ramp, to: 900/s}"), o); err != context.Canceled {
		t.Errorf("error %v", err)
	}
}

// A request that is not idempotent and is sent again may have been carried out twice.
func TestMaybeTwice(t *testing.T) {
	sets := []string{"load.duration=2s", "target.method=POST", "target.lab.fault=close_before_response", "target.lab.fault_on=every 7", "pool.resend=[{on: any, after: [eof], methods: all, max: 2}]"}
	if run := document(t, short, poisson, sets...); run.Resends.MaybeTwice == 0 || run.Resends.MaybeTwice != run.Resends.Exchanges {
		t.Errorf("%+v", run.Resends)
	}
}

// A probe is only made after probe_after, or for requests that are not GET: exposure knows.
func TestExposureKnowsWhenAProbeIsMade(t *testing.T) {
	for name, sets := range map[string][]string{
		"later":  {"pool.probe_after=300ms"},
		"never":  {"pool.probe_unsafe_only=true"},
		"always": {"pool.probe_after=50ms"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := document(t, Options{For: 6 * time.Hour}, poisson, append([]string{"load.rate=3/s", "target.lab.idle_timeout=200ms", "pool.liveness=probe", "pool.lease_order=fifo"}, sets...)...)
			r := run.Forecast.Races
			if off := math.Abs(float64(r.Counted) - r.Expected); r.Counted < 50 || off > 4*math.Sqrt(r.Expected)+(r.High-r.Low) {
				t.Errorf("%+v", r)
			}
		})
	}
}

// The lab's server does not read for a moment before its timer, if the timer is to win.
func TestTimerWins(t *testing.T) {
	slow := []string{"load.rate=5/s", "target.lab.idle_timeout=200ms", "target.link=null"}
	for kind, cause := range map[string]string{"fin": "fin", "rst": "rst", "either": "fin"} {
		sets := append(slow, "target.lab.timer_vs_data="+kind)
		if kind == "fin" {
			sets = append(sets, "target.lab.after_fin=drain 1s")
		}
		run := document(t, Options{For: 4 * time.Hour}, poisson, sets...)
		r := run.Forecast.Races
		if off := math.Abs(float64(r.Counted) - r.Expected); off > 5*math.Sqrt(r.Expected)+(r.High-r.Low) {
			t.Errorf("%s: %+v", kind, r)
		}
		if most := run.FailureCounts()["failures.rate.before_response."+cause]; kind != "either" && (r.Counted < 80 || float64(most) < 0.9*float64(r.Counted)) || kind == "either" && r.Counted > 40 {
			t.Errorf("%s: %+v, %v", kind, r, run.FailureCounts())
		}
	}
}

// The idle times at lease are of all exchanges on reused connections, and the longest is known
// where the peer closed none.
func TestIdleAtLease(t *testing.T) {
	run := document(t, Options{For: time.Minute}, poisson, "load.rate=50/s")
	if q := run.Idle.AtLease; q.Count != run.Reuse.Reused || q.Count < 2000 || run.Idle.Longest < q.Max || q.Max < q.P99 {
		t.Errorf("idle %+v of %d reused, longest %v", q, run.Reuse.Reused, run.Idle.Longest)
	}
	seldom := document(t, Options{For: 24 * time.Hour}, poisson, "load.rate=0.005/s", "load.arrivals=constant", "target.lab.idle_timeout=1h", "pool.idle_timeout=0s", "pool.max_lifetime=0s")
	q := seldom.Idle.AtLease
	if seldom.Idle.AtPeerClose != nil || seldom.Idle.Longest < 190 || q.Count != seldom.Reuse.Reused || q.Overflow != q.Count || q.Format(50) != "> 60.0 s" {
		t.Errorf("idle %+v of %d reused, longest %v", q, seldom.Reuse.Reused, seldom.Idle.Longest)
	}
}
