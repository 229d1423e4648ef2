package expect

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/results"
)

// rounds of a simulation, of which at most mostFalse may be false alarms: 5 %, and
// three times the chance of the simulation itself.
const rounds = 1000

func mostFalse() float64 { return rounds*worseLevel + 3*math.Sqrt(rounds*worseLevel*(1-worseLevel)) }

// withDurations is a run of these responses, and what References.Above says of them.
func withDurations(list []time.Duration) (*results.Run, func(string, time.Duration) (uint64, uint64)) {
	slices.Sort(list)
	n := len(list)
	at := func(rank float64) float64 { return list[min(n-1, int(math.Ceil(rank*float64(n)))-1)].Seconds() }
	run := &results.Run{Latency: map[string]results.Quantiles{results.LatencyResponse: {
		Count: uint64(n), Min: list[0].Seconds(), Max: list[n-1].Seconds(), P50: at(0.5), P90: at(0.9), P99: at(0.99), P999: at(0.999),
	}}}
	return run, func(_ string, d time.Duration) (uint64, uint64) {
		i, _ := slices.BinarySearch(list, d+1)
		return uint64(n - i), uint64(n)
	}
}

// Of runs that are alike but for what differs from run to run, at most one in
// twenty is said to be worse than several others.
func TestFalseAlarmsBesideSeveralBaselines(t *testing.T) {
	for _, baselines := range []int{2, 3, 5, 10} {
		for _, spread := range []float64{0.2, 0.5} { // of rates and times, from run to run
			random := rand.New(rand.NewPCG(uint64(baselines), uint64(100*spread)))
			for _, mean := range []float64{3, 40} {
				alarms := simulated(func() bool {
					run := func() *results.Run {
						k := poisson(random, mean*math.Exp(spread*random.NormFloat64()-spread*spread/2))
						r, _ := twoRuns(1000, min(k, 1000), 1, 0)
						return r
					}
					return alarm(t, run, nil, baselines, "failures", opNotWorse+" baseline")
				})
				if t.Logf("%d baselines, spread %v, %v failures: %v of %d alarms", baselines, spread, mean, alarms, rounds); alarms > mostFalse() {
					t.Error("too many")
				}
			}
			for _, want := range []string{opNotWorse + " baseline", opNotWorse + " 110% of baseline"} {
				var above func(string, time.Duration) (uint64, uint64)
				alarms := simulated(func() bool {
					run := func() *results.Run {
						level := 10 * math.Exp(spread*random.NormFloat64())
						list := make([]time.Duration, 200)
						for i := range list {
							list[i] = time.Duration(level * math.Exp(0.3*random.NormFloat64()) * float64(time.Millisecond))
						}
						var r *results.Run
						r, above = withDurations(list)
						return r
					}
					return alarm(t, run, &above, baselines, "response.p99", want)
				})
				if t.Logf("%d baselines, spread %v, response.p99 %s: %v of %d alarms", baselines, spread, want, alarms, rounds); alarms > mostFalse() {
					t.Error("too many")
				}
			}
		}
	}
}

func simulated(alarm func() bool) (n float64) {
	for range rounds {
		if alarm() {
			n++
		}
	}
	return n
}

// alarm makes the baselines, and the run last.
func alarm(t *testing.T, run func() *results.Run, above *func(string, time.Duration) (uint64, uint64), baselines int, path, want string) bool {
	b := References{}
	for range baselines {
		b.Baselines = append(b.Baselines, run())
	}
	b.Baseline = b.Baselines[0]
	own := run()
	if above != nil {
		b.Above = *above
	}
	e := CheckAgainst(own, b, map[string]string{path: want})[0]
	if strings.HasPrefix(e.Why, "too few to tell") {
		return false // it is not called worse
	}
	if e.Why != "" {
		t.Fatalf("%+v", e)
	}
	return !e.Met
}

func poisson(random *rand.Rand, mean float64) (k uint64) {
	for p, limit := random.Float64(), math.Exp(-mean); p > limit; p *= random.Float64() {
		k++
	}
	return k
}

// What is worse by much is found.
func TestWorseIsFoundBesideSeveralBaselines(t *testing.T) {
	of := func(failed uint64) *results.Run { r, _ := twoRuns(1000, failed, 1, 0); return r }
	b := References{Baselines: []*results.Run{of(18), of(22), of(25), of(15), of(20)}}
	b.Baseline = b.Baselines[0]
	for failed, met := range map[uint64]bool{21: true, 25: true, 60: false} {
		e := CheckAgainst(of(failed), b, map[string]string{"failures": opNotWorse + " baseline"})[0]
		if e.Met != met || !strings.Contains(e.Seen, "5 baselines 15 to 25, together 100 of 5000") {
			t.Errorf("%d failures: %+v", failed, e)
		}
	}
	if e := CheckAgainst(of(24), b, map[string]string{"failures": "<= 110% of baseline"})[0]; e.Met || !strings.Contains(e.Seen, "baseline 20") {
		t.Errorf("a figure of several baselines is their median: %+v", e)
	}
}

// Several baselines say from where on a count would have been worse, or that even
// all would not be.
func TestWhatSeveralBaselinesCouldSee(t *testing.T) {
	seen := func(started, failed uint64) results.Expectation {
		of := func(failed uint64) *results.Run { r, _ := twoRuns(started, failed, 1, 0); return r }
		b := References{Baselines: []*results.Run{of(0), of(0)}}
		b.Baseline = b.Baselines[0]
		return CheckAgainst(of(failed), b, map[string]string{"failures": opNotWorse + " baseline"})[0]
	}
	for failed, met := range map[uint64]bool{19: true, 20: false} {
		if e := seen(300, failed); e.Met != met || !strings.Contains(e.Seen, "worse from 20 on") {
			t.Errorf("%d failures: %+v", failed, e)
		}
	}
	if e := seen(10, 10); e.Met || !strings.Contains(e.Why, "even 10 of 10 would not be called worse") {
		t.Errorf("all of 10: %+v", e)
	}
}

// Slow answers that come in groups, as in a pause, are as few chances as there are
// groups, also when there is one baseline only.
func TestFalseAlarmsBesideOneBaselineInGroups(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const n = 1000
	run := func() []time.Duration { // in the order of time; some three pauses of ten answers each
		list := make([]time.Duration, n)
		for i := range list {
			list[i] = time.Duration((10 + random.Float64()) * float64(time.Millisecond))
		}
		for range poisson(random, 3) {
			at, long := random.IntN(n-10), 20+100*random.Float64()
			for i := range 10 {
				list[at+i] = time.Duration(long * float64(time.Millisecond))
			}
		}
		return list
	}
	spans := func(list []time.Duration, limit time.Duration) []results.Span {
		parts := make([]results.Span, results.Spans)
		for i, d := range list {
			s := &parts[i*results.Spans/n]
			s.N++
			if d > limit {
				s.K++
			}
		}
		return parts
	}
	with, without := 0.0, 0.0
	for range rounds {
		own, theirs := run(), run()
		b := References{}
		b.Baseline, _ = withDurations(slices.Clone(theirs))
		var doc *results.Run
		doc, b.Above = withDurations(slices.Clone(own))
		expect := map[string]string{"response.p99": opNotWorse + " 110% of baseline"}
		if !CheckAgainst(doc, b, expect)[0].Met {
			without++
		}
		b.Spans = func(_ string, limit time.Duration) ([]results.Span, []results.Span) {
			return spans(own, limit), spans(theirs, limit)
		}
		if !CheckAgainst(doc, b, expect)[0].Met { // one that cannot be checked is an alarm too
			with++
		}
	}
	t.Logf("%v of %d alarms without regard to groups, %v with", without, rounds, with)
	if without < 2*mostFalse() {
		t.Error("the simulation shows nothing")
	}
	if with > mostFalse() {
		t.Error("too many")
	}
}
