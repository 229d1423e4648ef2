package compare

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

// setting describes the simulated runs of an arm.
type setting struct {
	fails   float64 // rate of failures
	groups  int     // failures come in clusters of this size; 0 and 1: alone
	p99     float64 // seconds, in the median run
	spread  float64 // of its logarithm from run to run
	opened  int
	pending int
}

const perRun = 2000

// simulated is a run of that setting.
func (s setting) simulated(r *rand.Rand) *results.Run {
	failed := uint64(0)
	group := max(s.groups, 1)
	for range perRun / group {
		if r.Float64() < s.fails {
			failed += uint64(group)
		}
	}
	level := s.p99 * math.Exp(s.spread*r.NormFloat64())
	quantiles := results.Quantiles{Count: perRun - failed, Min: level / 4, P50: level / 2, P90: level * 0.9, P99: level, P999: level * 1.5, Max: level * 2, Mean: level / 2}
	if quantiles.Count == 0 {
		quantiles = results.Quantiles{}
	}
	run := &results.Run{
		Complete: true, Valid: true, Start: time.Unix(0, 0), End: time.Unix(10, 0),
		Counts:      results.Counts{Due: perRun, Started: perRun, OK: perRun - failed, Failed: failed},
		Latency:     map[string]results.Quantiles{"response": quantiles, "service": quantiles, "acquire": quantiles},
		Connections: results.Connections{Opened: uint64(s.opened)}, Pool: results.PoolPeaks{PeakPending: s.pending},
		Instrument: results.Instrument{CPUPerExchange: 1e-5 * math.Exp(0.1*r.NormFloat64())},
	}
	if failed > 0 {
		run.Outcomes = []results.Outcome{{Phase: results.PhaseBeforeResponse, Cause: results.CauseFIN, Reused: true, Count: failed}}
	}
	return run
}

// compared is the judged comparison of settings with repeats runs each.
func compared(t interface{ Fatal(...any) }, r *rand.Rand, repeats int, settings ...setting) *results.Comparison {
	c := &results.Comparison{Name: "simulated", Repeats: repeats, Confidence: 0.95}
	var runs []Run
	for i := range settings {
		c.Arms = append(c.Arms, results.Arm{Name: string(rune('a' + i))})
	}
	for block := range repeats {
		for i, s := range settings {
			c.Runs = append(c.Runs, results.ComparedRun{Arm: c.Arms[i].Name, Block: block + 1})
			runs = append(runs, Run{Doc: s.simulated(r)})
		}
	}
	judged(t, c, runs)
	return c
}

// judged judges c and checks that its document can be written.
func judged(t interface{ Fatal(...any) }, c *results.Comparison, runs []Run) {
	if err := Judge(c, runs); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := record.EncodeComparison(&text, c); err != nil {
		t.Fatal(err)
	}
	for _, p := range c.Pairs {
		for _, test := range p.Tests {
			if test.Bounded && !(test.Low <= test.Difference && test.Difference <= test.High) {
				t.Fatal(fmt.Sprintf("%s of %s: %g is not within %g to %g", test.Measure, p.B, test.Difference, test.Low, test.High))
			}
			if test.PAdjusted < test.P || test.Method == "" && (test.P != 1 || test.Differs) || test.Method == "" && test.Why == "" {
				t.Fatal(fmt.Sprintf("%+v", test))
			}
		}
	}
	for _, a := range c.Arms {
		for name, m := range a.Measures {
			if m.Bounded && !(m.Low <= m.Value && m.Value <= m.High) || !m.Known && m.Why == "" || m.Known && !m.Bounded && m.Why == "" {
				t.Fatal(fmt.Sprintf("%s of %s: %+v", name, a.Name, m))
			}
		}
	}
	if c.Verdict == "" {
		t.Fatal("there is no verdict")
	}
}

// differing counts the tests that found a difference.
func differing(c *results.Comparison) (n int) {
	for _, p := range c.Pairs {
		for _, t := range p.Tests {
			if t.Differs {
				n++
			}
		}
	}
	return n
}

// A planted difference is found, and in the right direction.
func TestPlantedDifferencesAreFound(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		a := setting{fails: 0.1, p99: 0.05, spread: 0.02, opened: 40, pending: 3}
		b := setting{fails: 0.01, p99: 0.1, spread: 0.02, opened: 80, pending: 9}
		repeats := rapid.IntRange(3, 9).Draw(rt, "repeats")
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 2))
		c := compared(rt, r, repeats, a, b)
		for name, sign := range map[string]float64{results.MeasureFailureRate: -1, p99: 1} {
			test := find(&c.Pairs[0], name)
			if !test.Differs || test.Difference*sign <= 0 {
				rt.Fatalf("%s: %+v", name, test)
			}
		}
		if !strings.Contains(c.Verdict, "fewer requests fail") || !strings.Contains(c.Verdict, "response p99") {
			rt.Fatalf("the verdict: %s", c.Verdict)
		}
	})
}

// What is seen of b against a is seen of a against b, with the other sign.
func TestExchangedLabelsFlipTheSign(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		draw := func(name string) setting {
			// Where nearly all fail, some runs have no response times, and the correction for
			// the number of tests differs by direction.
			return setting{
				fails:  rapid.Float64Range(0, 0.9).Draw(rt, name+" fails"),
				groups: rapid.IntRange(1, 10).Draw(rt, name+" groups"),
				p99:    rapid.Float64Range(1e-4, 1).Draw(rt, name+" p99"),
				// A spread that rounding swallows in one direction and not in the other is none.
				spread: rapid.OneOf(rapid.Just(0.0), rapid.Float64Range(1e-6, 1)).Draw(rt, name+" spread"),
				opened: rapid.IntRange(0, 100).Draw(rt, name+" opened"),
			}
		}
		a, b := draw("a"), draw("b")
		repeats := rapid.IntRange(1, 8).Draw(rt, "repeats")
		seed := rapid.Uint64().Draw(rt, "seed")
		c := compared(rt, rand.New(rand.NewPCG(seed, 3)), repeats, a, b)
		var runs []Run
		back := &results.Comparison{Confidence: 0.95, Arms: []results.Arm{{Name: "b"}, {Name: "a"}}}
		r := rand.New(rand.NewPCG(seed, 3))
		for block := range repeats {
			for i, s := range []setting{a, b} {
				back.Runs = append(back.Runs, results.ComparedRun{Arm: string(rune('a' + i)), Block: block + 1})
				runs = append(runs, Run{Doc: s.simulated(r)})
			}
		}
		judged(rt, back, runs)
		for i, one := range c.Pairs[0].Tests {
			other := back.Pairs[0].Tests[i]
			if close(one.P, other.P) && close(one.PAdjusted, other.PAdjusted) && one.Differs == other.Differs && close(one.Difference, -other.Difference) {
				continue
			}
			rt.Fatalf("%+v\n%+v", one, other)
		}
	})
}

func close(a, b float64) bool { return math.Abs(a-b) <= 1e-6*(math.Abs(a)+math.Abs(b))+1e-12 }

func TestFisherKnown(t *testing.T) {
	for _, tt := range []struct {
		a, b counted
		want float64
	}{
		{counted{3, 4}, counted{1, 4}, 0.4857142857},                       // the lady tasting tea
		{counted{0, 10}, counted{10, 10}, 2 / 184756.0},                    // all and none: one table of C(20, 10), doubled
		{counted{10, 100}, counted{10, 100}, 1},                            //
		{counted{0, 1000}, counted{3, 1000}, 2 * 997002000.0 / 7988004000}, // C(1000,3)/C(2000,3), doubled
		{counted{5, 10_000_000}, counted{5, 10_000_000}, 1},                //
		{counted{100_000, 10_000_000}, counted{0, 10_000_000}, 0},          // less than a float64 holds
	} {
		if got := fisher(tt.a, tt.b); math.Abs(got-tt.want) > 1e-6*max(tt.want, 1e-9) {
			t.Errorf("%v against %v: %g, want %g", tt.a, tt.b, got, tt.want)
		}
		if got, back := fisher(tt.a, tt.b), fisher(tt.b, tt.a); !close(got, back) {
			t.Errorf("%v and %v: %g one way, %g the other", tt.a, tt.b, got, back)
		}
	}
}

// Fisher's test refuses a true null hypothesis at most as often as it says: over
// all tables with the same margins, exactly.
func TestFisherIsExact(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		na, nb := rapid.Uint64Range(1, 40).Draw(rt, "na"), rapid.Uint64Range(1, 40).Draw(rt, "nb")
		k := rapid.Uint64Range(0, na+nb).Draw(rt, "k")
		for _, alpha := range []float64{0.05, 0.2} {
			refused := 0.0
			for ka := range na + 1 {
				if ka > k || k-ka > nb {
					continue
				}
				if fisher(counted{ka, na}, counted{k - ka, nb}) <= alpha {
					refused += choose(na, ka) * choose(nb, k-ka) / choose(na+nb, k)
				}
			}
			if refused > alpha+1e-9 {
				rt.Fatalf("%d in %d and %d: refused with probability %g at %g", k, na, nb, refused, alpha)
			}
		}
	})
}

func choose(n, k uint64) float64 {
	c := 1.0
	for i := range k {
		c *= float64(n-i) / float64(i+1)
	}
	return c
}

func TestOrderRuns(t *testing.T) {
	if n := orderRuns(0.95); n != 6 { // 1 - 2/2^6
		t.Errorf("an interval needs %d runs, want 6", n)
	}
	if n := runsFor(0.05); n != 4 { // 2/C(8,4) = 0.0286
		t.Errorf("the U test needs %d runs, want 4", n)
	}
}

// Odd comparisons have a plain sentence each.
func TestOddComparisons(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	plain := setting{fails: 0.1, p99: 0.05, spread: 0.02, opened: 40}
	dead := setting{fails: 1, p99: 0.05}
	calm := setting{p99: 0.05, spread: 0.02, opened: 40}
	for name, tt := range map[string]struct {
		repeats int
		arms    []setting
		spoil   func(i int, run *results.Run)
		say     []string // in the verdict, or the warnings
	}{
		"no success":      {3, []setting{plain, dead}, nil, []string{"more requests fail", "b: no request succeeded"}},
		"no success ever": {3, []setting{dead, dead}, nil, []string{"100 % in both"}},
		"one run":         {1, []setting{plain, calm}, nil, []string{"fewer requests fail", "(adjusted p < 0.001)", "one valid run only: a, b"}},
		"identical": {4, []setting{plain, plain}, func(_ int, run *results.Run) { *run = *plain.simulated(rand.New(rand.NewPCG(9, 9))) },
			[]string{"No significant difference in failures (10.2 % in both). A difference of", "would have been detected in 80 % of such experiments"}},
		"all of one invalid": {3, []setting{plain, calm}, func(i int, run *results.Run) { run.Valid = i%2 == 0; run.Invalid = []string{"lag"} },
			[]string{"All 3 runs of b were left out", "Nothing was compared"}},
		"all of the first invalid": {2, []setting{plain, calm, dead}, func(i int, run *results.Run) { run.Valid = i%3 != 0 },
			[]string{"a, the baseline, has no valid run, so nothing could be compared"}},
		"all invalid": {2, []setting{plain, calm}, func(_ int, run *results.Run) { run.Valid = false }, []string{"No run is valid, so nothing was compared"}},
		"nothing started": {2, []setting{plain, calm}, func(_ int, run *results.Run) { *run = results.Run{Complete: true, Valid: true} },
			[]string{"no request was started"}},
		"nothing fails": {7, []setting{calm, calm}, nil, []string{"0.00 % in both", "would have been detected in 80 % of such experiments"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := compared(t, r, tt.repeats, tt.arms...)
			var runs []Run
			for i := range c.Runs {
				c.Runs[i].Excluded = ""
				runs = append(runs, Run{Doc: tt.arms[i%len(tt.arms)].simulated(r)})
				if tt.spoil != nil {
					tt.spoil(i, runs[i].Doc)
				}
			}
			c.Warnings = nil
			judged(t, c, runs)
			said := c.Verdict + "\n" + strings.Join(c.Warnings, "\n")
			for _, part := range tt.say {
				if !strings.Contains(said, part) {
					t.Errorf("%q is not in:\n%s", part, said)
				}
			}
			if strings.Contains(said, "NaN") || strings.Contains(said, "Inf") {
				t.Errorf("a figure that is no number:\n%s", said)
			}
		})
	}
}

func TestLeftOutRunsAreNamed(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	s := setting{fails: 0.1, p99: 0.05, spread: 0.02}
	c := &results.Comparison{Confidence: 0.95, Arms: []results.Arm{{Name: "a"}, {Name: "b"}}}
	var runs []Run
	for i := range 8 {
		c.Runs = append(c.Runs, results.ComparedRun{Arm: c.Arms[i%2].Name})
		runs = append(runs, Run{Doc: s.simulated(r)})
	}
	runs[0].Doc.Valid, runs[0].Doc.Invalid = false, []string{"lag of 9 ms"}
	runs[1].Doc.Interrupted = true
	runs[2].Doc.Complete = false
	runs[3].Doc = nil
	judged(t, c, runs)
	for i, want := range []string{"invalid: lag of 9 ms", "interrupted", "cut off", "no results", "", ""} {
		if got := c.Runs[i].Excluded; want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("run %d: left out for %q, want %q", i, got, want)
		}
	}
	if c.Arms[0].Runs != 2 || c.Arms[0].Excluded != 2 || c.Arms[1].Runs != 2 || c.Arms[1].Excluded != 2 {
		t.Errorf("%+v", c.Arms)
	}
}

func TestHolm(t *testing.T) {
	var open []*question
	for _, p := range []float64{0.01, 0.04, 0.03, 0.005} {
		open = append(open, &question{test: &results.Test{Method: "x", P: p}})
	}
	weigh(open)
	holm(open, 0.05)
	for i, want := range []float64{0.03, 0.06, 0.06, 0.02} { // Holm's own example
		if got := open[i].test; !close(got.PAdjusted, want) || got.Differs != (want < 0.05) {
			t.Errorf("%g becomes %g (differs: %v), want %g", got.P, got.PAdjusted, got.Differs, want)
		}
	}
	// The failure rate has twice the share of the rest, and the share it does not use
	// goes to the others.
	open[1].measure.name = results.MeasureFailureRate
	open[1].test.P = 0.02
	weigh(open)
	holm(open, 0.05)
	for i, want := range []float64{0.03, 0.03, 0.03, 0.03} {
		if got := open[i].test; !close(got.PAdjusted, want) || !got.Differs {
			t.Errorf("%g becomes %g (differs: %v), want %g", got.P, got.PAdjusted, got.Differs, want)
		}
	}
}
