package compare

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/kabench/kabench/results"
)

// withLatency is the judged comparison of two arms whose runs have these response
// times, in seconds.
func withLatency(t *testing.T, seed uint64, a, b []float64) *results.Comparison {
	t.Helper()
	c := &results.Comparison{Seed: seed, Confidence: 0.95, Arms: []results.Arm{{Name: "a"}, {Name: "b"}}}
	var runs []Run
	for i, values := range [][]float64{a, b} {
		for k, v := range values {
			run := setting{p99: 1}.simulated(rand.New(rand.NewPCG(1, uint64(k))))
			run.Latency = map[string]results.Quantiles{"response": {Count: perRun, P50: v, P99: v, P999: v, Mean: v, Max: v}}
			c.Runs = append(c.Runs, results.ComparedRun{Arm: c.Arms[i].Name, Block: k + 1})
			runs = append(runs, Run{Doc: run})
		}
	}
	judged(t, c, runs)
	return c
}

// What two runs cannot bound has no interval, rather than one up to the age of the
// universe.
func TestFewRunsHaveNoAbsurdIntervals(t *testing.T) {
	for name, tt := range map[string]struct {
		values  []float64
		bounded bool
	}{
		"alike":            {[]float64{1e-3, 1.1e-3}, true},
		"a factor of two":  {[]float64{1e-3, 2e-3}, false},
		"none and some":    {[]float64{0, 1e-3}, false},
		"three, far apart": {[]float64{0, 1e-6, 1e-3}, false},
		"five, not so far": {[]float64{1e-3, 2e-3, 1.5e-3, 1.2e-3, 1.8e-3}, true},
	} {
		t.Run(name, func(t *testing.T) {
			c := withLatency(t, 1, tt.values, []float64{1e-3, 1.05e-3})
			m := c.Arms[0].Measures[p99]
			if m.Bounded != tt.bounded || !m.Bounded && (m.Low != 0 || m.High != 0 || !strings.Contains(m.Why, "too few")) {
				t.Errorf("%+v, want bounded: %v", m, tt.bounded)
			}
			if test := find(&c.Pairs[0], p99); test.Bounded && test.High > 10 || !test.Bounded && test.Why == "" {
				t.Errorf("%+v", test)
			}
		})
	}
}

// A time of 0 is one below the microsecond that times are kept in.
func TestNoTimeIsUnderAMicrosecond(t *testing.T) {
	c := withLatency(t, 1, []float64{0, 1e-6, 8e-6}, []float64{1e-6, 2e-6, 3e-6})
	if m := c.Arms[0].Measures[p99]; !close(m.Value, 2e-6) { // of 1, 1 and 8
		t.Errorf("the geometric mean is %v", m.Value)
	}
}

// Who compares finished runs has no --repeats to give.
func TestAdviceIsForTheRunsAtHand(t *testing.T) {
	for _, tt := range []struct {
		seed      uint64
		want, not string
	}{{0, "make more runs of each", "--repeats"}, {7, "make more with --repeats", "make more runs"}} {
		c := withLatency(t, tt.seed, []float64{1e-3, 9e-3}, []float64{1e-3, 5e-3})
		said := fmt.Sprint(c)
		if !strings.Contains(said, tt.want) || strings.Contains(said, tt.not) {
			t.Errorf("seed %d: want %q and not %q in:\n%s", tt.seed, tt.want, tt.not, said)
		}
	}
	c := withLatency(t, 0, []float64{1e-3}, []float64{1e-3})
	if said := fmt.Sprint(c); strings.Contains(said, "--repeats") {
		t.Errorf("finished runs, one each:\n%s", said)
	}
}

// A run that abort_when stopped is left out with the condition that stopped it, and
// the verdict says that its arm's figures come from the other runs.
func TestStoppedRunsAreLeftOutAndTold(t *testing.T) {
	c := &results.Comparison{Confidence: 0.95, Arms: []results.Arm{{Name: "a"}, {Name: "b"}}}
	var runs []Run
	r := rand.New(rand.NewPCG(3, 3))
	for i := range 10 {
		s := []setting{{fails: 0.1, p99: 0.05, spread: 0.02}, {p99: 0.02, spread: 0.02}}[i%2]
		run := s.simulated(r)
		if i == 1 || i == 5 {
			run.Interrupted, run.Stopped = true, &results.Stopped{Path: "failures.rate", When: "> 50% after 5s", Seen: "62 %", At: 5.5}
		}
		c.Runs = append(c.Runs, results.ComparedRun{Arm: c.Arms[i%2].Name, Block: i/2 + 1})
		runs = append(runs, Run{Doc: run})
	}
	judged(t, c, runs)
	if got, want := c.Runs[1].Excluded, "stopped by abort_when after 5.50 s: failures.rate > 50% after 5s, and it was 62 %"; got != want {
		t.Errorf("left out for %q, want %q", got, want)
	}
	if c.Arms[1].Runs != 3 || c.Arms[1].Excluded != 2 {
		t.Errorf("%+v", c.Arms[1])
	}
	if strings.Contains(c.Verdict, "b fails least") || !strings.Contains(c.Verdict, "abort_when stopped 2 of 5 runs of b") {
		t.Errorf("the verdict of the runs that b survived: %s", c.Verdict)
	}
}

// A setting that fails less because it sends less is not recommended.
func TestDroppingIsNoRemedy(t *testing.T) {
	c := &results.Comparison{Confidence: 0.95, Arms: []results.Arm{{Name: "a"}, {Name: "b"}}}
	var runs []Run
	r := rand.New(rand.NewPCG(3, 3))
	for i := range 10 {
		s := []setting{{fails: 0.1, p99: 0.05, spread: 0.02}, {p99: 0.02, spread: 0.02}}[i%2]
		run := s.simulated(r)
		if i%2 == 1 {
			run.Counts.Dropped = perRun / 2
			run.Counts.Due += run.Counts.Dropped
		}
		c.Runs = append(c.Runs, results.ComparedRun{Arm: c.Arms[i%2].Name, Block: i/2 + 1})
		runs = append(runs, Run{Doc: run})
	}
	judged(t, c, runs)
	if strings.Contains(c.Verdict, "b fails least") || !strings.Contains(c.Verdict, "more requests were dropped") || !strings.Contains(c.Verdict, "33.3 % instead of 0.00 %") {
		t.Errorf("the verdict: %s", c.Verdict)
	}
}

// Few runs find the difference that they call detectable in about four of five cases,
// although they alone show how runs vary.
func TestDetectableOfFewRunsIsSeen(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	draw := func(n int, shift float64) []float64 {
		values := make([]float64, n)
		for i := range values {
			values[i] = 100 + shift + r.NormFloat64()
		}
		return values
	}
	const alpha = 0.05 / 15
	for _, n := range []int{3, 4, 5, 6, 7, 8} {
		test := func(shift float64) level {
			if leastP(n, n) <= alpha {
				return mannWhitney(draw(n, 0), draw(n, shift), false, 0.95, alpha)
			}
			l, err := welch(draw(n, 0), draw(n, shift), false, 0.95, alpha)
			if err != nil {
				t.Fatal(err)
			}
			return l
		}
		seen, tries := 0, 300
		for range tries {
			if test(test(0).detectable).p <= alpha {
				seen++
			}
		}
		t.Logf("%d runs: %d of %d", n, seen, tries)
		if share := float64(seen) / float64(tries); share < 0.72-0.09 || share > 0.9+0.06 { // with three and a half standard deviations of chance
			t.Errorf("with %d runs each what is said to be seen is seen with a probability of %.2f", n, share)
		}
	}
}

// pending is the judged comparison of two arms of 40 runs. In a runs of the first arm
// and b runs of the second, five requests waited at the same time; in the others none.
func pending(t *testing.T, a, b int) *results.Comparison {
	t.Helper()
	c := &results.Comparison{Confidence: 0.95, Arms: []results.Arm{{Name: "a"}, {Name: "b"}}}
	var runs []Run
	r := rand.New(rand.NewPCG(3, 3))
	for i := range 80 {
		s := setting{p99: 0.05, spread: 0.02}
		if i/2 < []int{a, b}[i%2] {
			s.pending = 5
		}
		c.Runs = append(c.Runs, results.ComparedRun{Arm: c.Arms[i%2].Name, Block: i/2 + 1})
		runs = append(runs, Run{Doc: s.simulated(r)})
	}
	judged(t, c, runs)
	return c
}

// If ranks differ although medians are equal, the verdict has the right direction.
func TestDirectionWithoutADifference(t *testing.T) {
	for _, tt := range []struct {
		a, b int
		want string
	}{{0, 18, "b has more: pending peak 0 is the median of both"}, {18, 0, "b has less: pending peak 0 is the median of both"}} {
		c := pending(t, tt.a, tt.b)
		test := find(&c.Pairs[0], results.MeasurePending)
		if !test.Differs || test.Detectable <= 0 || !strings.Contains(c.Verdict, tt.want) {
			t.Errorf("%d and %d: %+v\n%s", tt.a, tt.b, test, c.Verdict)
		}
	}
}

// An idle race: every run with it loses requests, more in some than in others, and few
// runs without it lose any. Four runs each do not rule out chance, and the verdict says
// that they differ in every run. Three runs do so by chance too often to mention it.
func TestFailuresApartInEveryRun(t *testing.T) {
	failed := []uint64{120, 6, 30, 400, 40, 90, 200, 60}
	const differ = "The failure rate differs in every run (0.15 % instead of "
	for repeats, want := range map[int]string{3: "No significant difference in failures", 4: differ, 8: "With b fewer requests fail than with a: 0.15 % instead of "} {
		c := &results.Comparison{Name: "race", Repeats: repeats, Confidence: 0.95, Seed: 1, Arms: []results.Arm{{Name: "a"}, {Name: "b"}}}
		r := rand.New(rand.NewPCG(1, 2))
		var runs []Run
		for block, lost := range failed[:repeats] {
			for _, arm := range c.Arms {
				run := setting{p99: 0.05, spread: 0.1, opened: 200}.simulated(r)
				run.Counts.Failed = 3
				if arm.Name == "a" {
					run.Counts.Failed = lost
				}
				run.Counts.OK = run.Counts.Started - run.Counts.Failed
				c.Runs = append(c.Runs, results.ComparedRun{Arm: arm.Name, Block: block + 1})
				runs = append(runs, Run{Doc: run})
			}
		}
		judged(t, c, runs)
		got := c.Pairs[0].Verdict
		if !strings.Contains(got, want) || repeats == 3 && (strings.Contains(got, "every run") || !strings.Contains(got, "takes about ")) || repeats == 4 && !strings.Contains(got, "make more with --repeats") {
			t.Errorf("%d runs each: %s", repeats, got)
		}
	}
}
