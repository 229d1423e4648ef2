package expect

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kabench/kabench/results"
)

func TestCondition(t *testing.T) {
	for _, tt := range []struct {
		text      string
		met, fail []float64
	}{
		{"0", []float64{0}, []float64{1, -1}},
		{"== 0", []float64{0}, []float64{0.5}},
		{"!=0", []float64{1}, []float64{0}},
		{"< 5ms", []float64{0, 0.0049}, []float64{0.005, 1}},
		{"<= 40", []float64{40, 3}, []float64{41}},
		{"> 0", []float64{1}, []float64{0}},
		{" >=5 ", []float64{5, 6}, []float64{4}},
		{"975ms..1005ms", []float64{0.975, 1, 1.005}, []float64{0.97, 1.006}},
		{"0..5ms", []float64{0, 0.005}, []float64{0.006}},
		{"1 .. 3", []float64{1, 2, 3}, []float64{0, 4}},
		{"< 1%", []float64{0.009}, []float64{0.01, 0.5}},
		{">= 395/s", []float64{395}, []float64{394}},
		{"true", []float64{1}, []float64{0}},
		{"== false", []float64{0}, []float64{1}},
		{"!= true", []float64{0}, []float64{1}},
		{"< 1m30s", []float64{89}, []float64{90}},
	} {
		c, err := ParseCondition(tt.text)
		if err != nil {
			t.Errorf("%q: %v", tt.text, err)
			continue
		}
		for _, v := range tt.met {
			if !c.Met(v) {
				t.Errorf("%q is not met by %v", tt.text, v)
			}
		}
		for _, v := range tt.fail {
			if c.Met(v) {
				t.Errorf("%q is met by %v", tt.text, v)
			}
		}
	}
}

func TestBadCondition(t *testing.T) {
	for text, say := range map[string]string{
		"": "a value is missing", "<": "a value is missing", "=> 5": `"=> 5" is neither`, "5 ms or so": "neither",
		"3..1": "ends before it begins", "1..5ms": "the ends of the range", "..": "a value is missing", "< true": "no order",
		"true..false": "no order", "NaN": "neither", "< Inf": "neither", "1..2..3": "neither",
	} {
		_, err := ParseCondition(text)
		if err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%q: %v, want %q", text, err, say)
		}
	}
}

func FuzzCondition(f *testing.F) {
	for _, text := range []string{"0", "< 5ms", "975ms..1005ms", "< 1%", "true", "..", ">=", "1e400", "-3ms..0"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseCondition(text)
		if err != nil {
			return
		}
		c.Met(c.Low)
		if c.Op == ".." && (!c.Met(c.Low) || !c.Met(c.High)) {
			t.Errorf("%q leaves out its own ends", text)
		}
	})
}

func TestExpectationsSeen(t *testing.T) {
	run := aRun()
	for path, seen := range map[string]string{
		"valid": "true", "failures": "30", "failures.fresh": "0", "failures.reused": "20", "failures.no_connection": "10", "failures.rate": "3.03 %",
		"failures.before_response": "20", "failures.before_response.fin": "20", "failures.acquire.queue_full": "10",
		"failures.connect": "0", "failures.connect.port_exhausted": "0", "counts.dropped": "10", "counts.due": "1001",
		"statuses.200": "950", "statuses.503": "10", "statuses.404": "0", "response.p99": "3.00 ms", "response.count": "960",
		"lag.max": "100 µs", "acquire.p50": "10.0 µs", "failed.response.max": "5.00 ms", "idle_at_failure.p50": "998 ms",
		"idle_at_failure.count": "20", "connections.opened": "30", "connections.evictions.expired": "12",
		"connections.evictions.lifetime": "0", "pool.peak_pending": "4", "sockets.time_wait_server_peak": "17",
		"sockets.available": "true", "attempts": "981", "attempts.resent": "0", "rate.offered": "400/s", "reuse.reused": "971",
		"reuse.no_connection": "10", "tls.count": "0",
	} {
		v, err := Lookup(run, path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if v.Why != "" || v.String() != seen {
			t.Errorf("%s: seen %q (%s), want %q", path, v, v.Why, seen)
		}
	}
}

func TestEveryKnownPathCanBeFound(t *testing.T) {
	run := aRun()
	for _, path := range knownPaths() {
		if _, err := Lookup(run, path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestCheckExpectations(t *testing.T) {
	run := aRun()
	got := Check(run, map[string]string{
		"failures": "> 0", "failures.no_connection": "0", "idle_at_failure.p50": "975ms..1005ms", "tls.p99": "< 5ms", "nonsense": "0",
	})
	want := []results.Expectation{
		{Path: "failures", Want: "> 0", Seen: "30", Met: true},
		{Path: "failures.no_connection", Want: "0", Seen: "10"},
		{Path: "idle_at_failure.p50", Want: "975ms..1005ms", Seen: "998 ms", Met: true},
		{Path: "nonsense", Want: "0", Why: got[3].Why},
		{Path: "tls.p99", Want: "< 5ms", Why: "there were none to measure"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	run.Lab, run.Sockets = nil, results.Sockets{Why: "not on Linux"}
	for _, e := range Check(run, map[string]string{"lab.requests": "0", "sockets.time_wait_peak": "0"}) {
		if e.Met || e.Why == "" {
			t.Errorf("%+v: met, though it was not measured", e)
		}
	}
}

// TestStockTellsLess: net/http's Transport does not show some figures. kabench cannot
// know that they are 0, so no condition on them is met.
func TestStockTellsLess(t *testing.T) {
	expect := map[string]string{
		"pool.peak_pending": "0", "pool.peak_dialing": "0", "connections.evictions.expired": "0", "connections.evictions.surplus": "< 5",
		"resends.count": "0",
	}
	known := map[string]string{"pool.peak_leased": "> 0", "pool.peak_idle": "> 0", "connections.opened": "> 0", "counts.failed": "> 0"}
	run := aRun()
	run.Pool.PeakPending, run.Pool.PeakDialing, run.Connections.Evictions = 0, 0, nil
	for client, met := range map[string]bool{"policy": true, "stock": false} {
		run.Profile = []byte(`{"client":"` + client + `"}`)
		for _, e := range Check(run, expect) {
			if e.Met != met || (e.Why == "") != met {
				t.Errorf("%s: %+v, want met %v", client, e, met)
			}
		}
		for _, e := range Check(run, known) {
			if !e.Met {
				t.Errorf("%s: %+v is known and not met", client, e)
			}
		}
	}
	must(t, Validate(expect))
}

// TestResendsSeen: the requests that the policy sent again, and how often a request
// was put on another connection after its first.
func TestResendsSeen(t *testing.T) {
	run := filled(tallied([]*results.Exchange{done(0), resent(1), resent(2), resentInVain(3)}), 10*ms)
	run.Connections.Evictions = map[string]uint64{"made_room": 3, "hint": 2}
	expect := map[string]string{
		"resends.count": "4", "resends.exchanges": "3", "resends.rescued": "2", "resends.maybe_twice": "2", "attempts.resent": "3",
		"connections.evictions.made_room": "3", "connections.evictions.hint": "2",
	}
	must(t, Validate(expect))
	for _, e := range Check(run, expect) {
		if !e.Met {
			t.Errorf("%+v: not met", e)
		}
	}
	run.Profile = []byte(`{"client":"stock"}`)
	for _, e := range Check(run, map[string]string{"resends.count": "4", "attempts.resent": "3"}) {
		if e.Met != (e.Path == "attempts.resent") {
			t.Errorf("of the stock client: %+v", e)
		}
	}
	if err := Validate(map[string]string{"resends.causes": "0"}); err == nil {
		t.Error("a list is taken for a figure")
	}
}

// TestCountedElsewhere: the counters of the kernels of a network's hosts, and the
// headers that the server received.
func TestCountedElsewhere(t *testing.T) {
	expect := map[string]string{
		"kernel.TCPAbortOnData": "1", "kernel.server.TCPAbortOnData": "27", "lab.headers.x-hop": "3", "lab.headers.X-Hop": "3", "lab.headers.te": "0",
		"lab.share.old": "75%", "lab.share.new": "25%", "lab.share.other": "0",
	}
	must(t, Validate(expect))
	run := aRun()
	run.Kernel = results.Kernel{Available: true, Counters: map[string]uint64{"TCPAbortOnData": 1}, Hosts: map[string]map[string]uint64{"server": {"TCPAbortOnData": 27}}}
	run.Lab.Headers = map[string]uint64{"X-Hop": 3}
	run.Lab.Requests, run.Lab.Hosts = 40, map[string]uint64{"old": 30, "new": 10}
	for _, e := range Check(run, expect) {
		if !e.Met {
			t.Errorf("%+v: not met", e)
		}
	}
	for _, unknown := range []*results.Run{{Kernel: results.Kernel{Available: true}, Lab: &results.LabSeen{}}, {}} {
		for _, e := range Check(unknown, map[string]string{"kernel.server.TCPAbortOnData": "0", "lab.headers.te": "0", "lab.share.old": "0"}) {
			if e.Met || e.Why == "" {
				t.Errorf("%+v: met, though nobody counted", e)
			}
		}
	}
	for path, say := range map[string]string{
		"kernel.server.TCPAbortOnDat": "the nearest is kernel.server.TCPAbortOnData", "kernel..TW": "is not a result", "lab.headers": "is not a result",
		"lab.headers.": "is not a result",
	} {
		if err := Validate(map[string]string{path: "0"}); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%s: %v, want %q", path, err, say)
		}
	}
}

func TestValidateExpectations(t *testing.T) {
	must(t, Validate(map[string]string{
		"failures": "0", "failures.rate": "< 1%", "failures.before_response.rst": ">= 1", "response.p99": "< 50ms", "lag.p999": "0",
		"idle_at_failure.min": ">= 975ms", "rate.achieved": ">= 395/s", "valid": "true", "attempts.resent": "0", "lab.requests": "> 0",
		"statuses.503": "0", "connections.evictions.expired": "> 0", "failed.acquire.p50": "90ms..110ms", "sockets.server_side": "true",
	}))
	for _, tt := range []struct{ path, want, say string }{
		{"failures.before_respons", "0", "the nearest is failures.before_response"},
		{"failures.before_response.finn", "0", "the nearest is failures.before_response.fin"},
		{"failures.done", "0", "is not a result"},
		{"failures.schedule", "0", "is not a result"},
		{"response.p95", "< 1ms", "the nearest is response.p9"},
		{"conections.opened", "0", "the nearest is connections.opened"},
		{"statuses.2xx", "0", "the nearest is statuses.200"},
		{"lab", "0", "is not a result"},
		{"failures.freshh", "0", "the nearest is failures.fresh"},
		{"zzzzz", "0", "docs/results.md#expectations lists those"},
		{"resends", "0", "a group of them, such as resends.count and resends.exchanges"},
		{"", "0", "is not a result"},
		{strings.Repeat("x", 100000), "0", "is not a result"},
		{"failures", "< 5ms", "it is a count, and the condition is about a duration"},
		{"response.p99", "< 5", "give a unit"},
		{"response.p99", "< 5%", "it is a duration"},
		{"valid", "1", "it is true or false"},
		{"counts.ok", "true", "it is a count"},
		{"counts.ok", "many", "neither a number nor a duration"},
	} {
		err := Validate(map[string]string{tt.path: tt.want})
		if err == nil || !strings.Contains(err.Error(), tt.say) {
			t.Errorf("%.40s: %s: %v, want %q", tt.path, tt.want, err, tt.say)
		}
	}
	err := Validate(map[string]string{"a": "0", "b": "0"})
	if err == nil || strings.Count(err.Error(), "is not a result") != 2 {
		t.Errorf("%v, want both complaints", err)
	}
}
