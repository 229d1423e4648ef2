package results

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/google/go-cmp/cmp"
)

// anyExchange is a random exchange of any kind, with times from nothing to beyond a
// histogram's range.
func anyExchange(r *rand.Rand, seq uint64) *Exchange {
	kinds := []func(uint64) *Exchange{done, stale, looked, resent, resentInVain, refused, dropped, aborted}
	e := kinds[r.IntN(len(kinds))](seq)
	longer := time.Duration(math.Exp(r.Float64()*25)) * time.Nanosecond // up to 72 s
	for _, stamp := range []*time.Duration{&e.FirstByte, &e.GotHeaders, &e.Done} {
		if *stamp != Never {
			*stamp += longer
		}
	}
	e.WarmUp = r.IntN(10) == 0
	e.Target = r.IntN(4)
	if e.Start != Never && r.IntN(5) == 0 {
		e.Buffered = time.Duration(r.IntN(int(e.Start - e.Due)))
	}
	if e.Phase == PhaseDone {
		e.Status = []int{200, 200, 204, 404, 503, 700}[r.IntN(6)]
		e.Unbounded = r.IntN(20) == 0
	}
	if e.Failed() && r.IntN(3) == 0 {
		e.Phase, e.Cause, e.Status, e.GotHeaders = PhaseDuringResponse, CauseTruncated, 206, e.Done
	}
	return e
}

// sameDurations allows for the order in which a float sum was made.
var sameDurations = cmp.Comparer(func(a, b float64) bool { return a == b || math.Abs(a-b) <= 1e-9*math.Max(math.Abs(a), math.Abs(b)) })

func decoded[T any](t *testing.T, from *T) *T {
	t.Helper()
	text, err := json.Marshal(from)
	must(t, err)
	to := new(T)
	must(t, json.Unmarshal(text, to))
	return to
}

// A Tally that was written and read is the same, and those of several agents together
// are the Tally of all exchanges.
func TestTallyAsJSONLosesNothing(t *testing.T) {
	names := []string{"GET a", "GET b", "GET c", "GET a"}
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 15))
		all, allTargets, allSeconds, allIdle := &Tally{}, NewByTarget(names), Seconds(nil), &Durations{}
		agents := 1 + r.IntN(5)
		parts, targets, seconds, idle := make([]Tally, agents), make([]*ByTarget, agents), make([]Seconds, agents), make([]Durations, agents)
		for i := range targets {
			targets[i] = NewByTarget(names)
		}
		for seq := range uint64(r.IntN(1000)) {
			e, i := anyExchange(r, seq), seq%uint64(agents)
			all.Add(e)
			allTargets.Observe(e)
			allSeconds.Add(e, 1, time.Millisecond)
			allIdle.Add(e.Idle)
			parts[i].Add(e)
			targets[i].Observe(e)
			seconds[i].Add(e, 1, time.Millisecond)
			idle[i].Add(e.Idle)
		}
		merged, mergedTargets, mergedSeconds, mergedIdle := &Tally{}, allTargets.Empty(), Seconds(nil), &Durations{}
		for i := range parts {
			back := decoded(t, &parts[i])
			if diff := cmp.Diff(filled(&parts[i], time.Second), filled(back, time.Second)); diff != "" {
				t.Fatalf("seed %d: agent %d, before and after (-want +got):\n%s", seed, i, diff)
			}
			merged.Merge(back)
			must(t, mergedTargets.Merge(decoded(t, targets[i])))
			mergedSeconds.Merge(*decoded(t, &seconds[i]))
			mergedIdle.Merge(decoded(t, &idle[i]))
		}
		want, got := filled(all, time.Second), filled(merged, time.Second)
		for _, f := range []struct {
			t   *ByTarget
			run *Run
		}{{allTargets, want}, {mergedTargets, got}} {
			f.t.Fill(f.run)
		}
		want.Instrument.Schedule, got.Instrument.Schedule = allSeconds.Kept(time.Hour), mergedSeconds.Kept(time.Hour)
		examples := cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Example" }, cmp.Comparer(func(a, b string) bool { return (a == "") == (b == "") }))
		if diff := cmp.Diff(want, got, sameDurations, examples); diff != "" {
			t.Errorf("seed %d: %d agents together (-all +merged):\n%s", seed, agents, diff)
		}
		if diff := cmp.Diff(allIdle.Quantiles(), mergedIdle.Quantiles(), sameDurations); diff != "" {
			t.Errorf("seed %d: durations (-all +merged):\n%s", seed, diff)
		}
		for _, name := range []string{LatencyResponse, "failed.response", "reused." + LatencyService, LatencyLag} {
			above, of := all.Above(name, 100*time.Millisecond)
			if a, o := merged.Above(name, 100*time.Millisecond); a != above || o != of {
				t.Errorf("seed %d: %s above 100 ms: %d of %d, want %d of %d", seed, name, a, o, above, of)
			}
		}
	}
}

// What cannot be a Tally is refused.
func TestTallyAsJSONRefuses(t *testing.T) {
	good, err := json.Marshal(tallied(mixed(300)))
	must(t, err)
	text := string(good)
	for name, bad := range map[string]string{
		"a count that the histogram does not have": strings.Replace(text, `"lag":{"count":297`, `"lag":{"count":298`, 1),
		"a latency that does not exist":            strings.Replace(text, `"before_response":{`, `"before_noon":{`, 1),
		"no base64":                                strings.Replace(text, `"histogram":"HIST`, `"histogram":"****`, 1),
		"an unknown cause":                         strings.Replace(text, `"cause":"fin"`, `"cause":"fun"`, 1),
		"extremes that cross":                      strings.Replace(text, `"max_ns":`, `"max_ns":-`, 1),
		"a wider histogram":                        strings.Replace(text, `"histogram":"`, `"histogram":"`+wide(t)+`","old":"`, 1),
	} {
		if bad == text {
			t.Errorf("%s: the text has not changed: %s", name, text)
		}
		if err := json.Unmarshal([]byte(bad), &Tally{}); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	if err := json.Unmarshal(good, &Tally{}); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

// wide is a histogram that takes 47 MB, in a few bytes.
func wide(t *testing.T) string {
	t.Helper()
	h := hdrhistogram.New(1, math.MaxInt64/2, 5)
	text, err := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	must(t, err)
	return string(text)
}

func FuzzTallyAsJSON(f *testing.F) {
	for _, list := range [][]*Exchange{nil, mixed(20), {looked(1), resent(2), resentInVain(3), aborted(4)}} {
		text, err := json.Marshal(tallied(list))
		must(f, err)
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var tally Tally
		if json.Unmarshal(text, &tally) != nil {
			return
		}
		// What was accepted can be used, and reads back as itself.
		want := filled(&tally, time.Second)
		again, err := json.Marshal(&tally)
		must(t, err)
		var back Tally
		must(t, json.Unmarshal(again, &back))
		if diff := cmp.Diff(want, filled(&back, time.Second)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		back.Merge(&tally)
	})
}
