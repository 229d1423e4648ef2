package compare

import (
	"math/rand/v2"
	"testing"

	"github.com/kabench/kabench/results"
)

// What a comparison calls detectable it finds in 80 % of such experiments: each of
// many experiments says what it could find, and another one is made with just that
// difference.
func TestPowerIsWhatDetectablePromises(t *testing.T) {
	all, allFound := 0, 0
	for n, tt := range []struct {
		name    string
		x       experiment
		measure string
		arms    int
	}{
		{"none anywhere, 3", experiment{repeats: 3}, results.MeasureFailureRate, 2},
		{"none anywhere, 5", experiment{repeats: 5}, results.MeasureFailureRate, 2},
		{"none anywhere, 10", experiment{repeats: 10}, results.MeasureFailureRate, 2},
		{"some, 2", experiment{repeats: 2, world: world{rate: 40}}, results.MeasureFailureRate, 2},
		{"some, 3", experiment{repeats: 3, world: world{rate: 40}}, results.MeasureFailureRate, 2},
		{"some, 5", experiment{repeats: 5, world: world{rate: 40}}, results.MeasureFailureRate, 2},
		{"some, 10", experiment{repeats: 10, world: world{rate: 40}}, results.MeasureFailureRate, 2},
		{"few, 5", experiment{repeats: 5, world: world{rate: 3}}, results.MeasureFailureRate, 2},
		{"clusters, 5", experiment{repeats: 5, world: world{rate: 100, cluster: 5}}, results.MeasureFailureRate, 2},
		{"runs vary, 5", experiment{repeats: 5, world: world{rate: 50, runs: 0.3}}, results.MeasureFailureRate, 2},
		{"runs vary, 10", experiment{repeats: 10, world: world{rate: 50, runs: 0.3}}, results.MeasureFailureRate, 2},
		{"blocks, 5", experiment{repeats: 5, world: world{rate: 200, blocks: 0.5}}, results.MeasureFailureRate, 2},
		{"blocks, 10", experiment{repeats: 10, world: world{rate: 200, blocks: 0.5}}, results.MeasureFailureRate, 2},
		{"4 settings, 5", experiment{repeats: 5, world: world{rate: 40}}, results.MeasureFailureRate, 4},
		{"p99, 3", experiment{repeats: 3, spread: 0.1}, p99, 2},
		{"p99, 5", experiment{repeats: 5, spread: 0.1}, p99, 2},
		{"p99, 10", experiment{repeats: 10, spread: 0.1}, p99, 2},
		{"p99, 10, wide", experiment{repeats: 10, spread: 0.5}, p99, 2},
		{"p99 in blocks, 5", experiment{repeats: 5, spread: 0.1, world: world{blocks: 0.5}}, p99, 2},
	} {
		r := rand.New(rand.NewPCG(uint64(n), 8))
		found, made, unsaid, sum := 0, 0, 0, 0.0
		for range tries(10) {
			x := tt.x
			x.times = alike(tt.arms)
			c := x.judge(r)
			least := find(&c.Pairs[0], tt.measure).Detectable
			if least == 0 {
				unsaid++
				continue
			}
			sum += least
			made++
			x.slower = alike(tt.arms)
			if tt.measure == p99 {
				center, _, _ := meanOf(c.Arms[0].Measures[p99].Per, true, 0.95)
				x.slower[1] += least / center
			} else if x.rate > 0 {
				x.times[1] += least * perRun / x.rate
			} else {
				x.only = least * perRun
			}
			c = x.judge(r)
			if find(&c.Pairs[0], tt.measure).P < alphaOf(c, tt.measure) {
				found++
			}
		}
		all, allFound = all+made, allFound+found
		share := float64(found) / float64(max(made, 1))
		t.Logf("%-20s %.3f of %d (%d unsaid), mean %.4g", tt.name, share, made, unsaid, sum/float64(made))
		if found < atLeast(0.72, made) || found > atMost(0.9, made) {
			t.Errorf("%s: found in %.2f of %d", tt.name, share, made)
		}
	}
	if allFound < atLeast(0.72, all) || allFound > atMost(0.9, all) {
		t.Errorf("found in %d of %d, want 80 %%", allFound, all)
	}
}

// alphaOf is what the first of Holm's steps asks of a measure of the first pair.
func alphaOf(c *results.Comparison, measure string) float64 {
	share := map[string]float64{results.MeasureFailureRate: 0.5, p99: 0.125}[measure]
	failures := find(&c.Pairs[0], results.MeasureFailureRate).Method != ""
	if !failures {
		share *= 2
	}
	return 0.05 * share / float64(len(c.Pairs))
}

// The interval of a setting's failure rate holds the true one in 95 % of
// experiments, with few runs too, and where they vary.
func TestIntervalsHoldInEveryWorld(t *testing.T) {
	all, allMissed := 0, 0
	for n, w := range worlds {
		for _, repeats := range []int{2, 3, 5, 10} {
			r := rand.New(rand.NewPCG(uint64(n), uint64(repeats)))
			missed, made := 0, 0
			for range tries(10) {
				made++
				c := experiment{world: w, repeats: repeats, times: alike(2)}.judge(r)
				m := c.Arms[0].Measures[results.MeasureFailureRate]
				if rate := w.rate / perRun; rate < m.Low || rate > m.High {
					missed++
				}
			}
			t.Logf("%-30s %d repeats: %.1f %%", w.name, repeats, 100-100*float64(missed)/float64(made))
			if missed > atMost(0.05, made) {
				t.Errorf("%s, %d repeats: %d of %d intervals miss the true rate", w.name, repeats, missed, made)
			}
			all, allMissed = all+made, allMissed+missed
		}
	}
	if allMissed > atMost(0.05, all) {
		t.Errorf("%d of %d intervals miss the true rate", allMissed, all)
	}
}

// Where the first setting never fails a paired test still bounds the difference.
func TestBlocksWithoutFailuresAreBounded(t *testing.T) {
	q := question{measure: measure{name: results.MeasureFailureRate, unit: results.UnitRatio, counts: func(*results.Run) (k, n uint64) { return }}, a: &arm{}, b: &arm{}, test: &results.Test{}}
	for block := range 8 {
		q.sa.counts, q.sa.values, q.sa.blocks = append(q.sa.counts, counted{0, 2000}), append(q.sa.values, 0), append(q.sa.blocks, block+1)
		k := uint64(10 + 7*block)
		q.sb.counts, q.sb.values, q.sb.blocks = append(q.sb.counts, counted{k, 2000}), append(q.sb.values, float64(k)/2000), append(q.sb.blocks, block+1)
	}
	q.answer(0.95, 0.025)
	if d := q.test; d.Method != methodPaired || !d.Bounded || d.Low <= 0 || d.High <= d.Difference || d.High > 1 {
		t.Errorf("%+v", d)
	}
}

// Five blocks, each with a third fewer failures: what blocks share is no chance.
func TestBlocksAreUsed(t *testing.T) {
	for name, failed := range map[string][]uint64{"many": {90, 30, 150, 240, 60}, "few": {30, 12, 48, 75, 21}} {
		c := &results.Comparison{Seed: 1, Repeats: 5, Confidence: 0.95, Arms: []results.Arm{{Name: "a"}, {Name: "b"}}}
		r := rand.New(rand.NewPCG(1, 3))
		var runs []Run
		for block, k := range failed {
			for i, lost := range []uint64{k, k * 2 / 3} {
				c.Runs = append(c.Runs, results.ComparedRun{Arm: c.Arms[i].Name, Block: block + 1})
				runs = append(runs, Run{Doc: runOf(counted{lost, perRun}, 0.05, r)})
			}
		}
		judged(t, c, runs)
		test := find(&c.Pairs[0], results.MeasureFailureRate)
		if !test.Differs || test.Method != methodPaired || !test.Bounded || test.High >= 0 || test.RepeatsNeeded != 0 || test.Why != "" {
			t.Errorf("%s failures: %+v", name, test)
		}
		t.Logf("%s: p %.4g", name, test.PAdjusted)
	}
}

// Runs without a failure tell more together than one of them does.
func TestIntervalOfNoFailuresNarrowsWithRuns(t *testing.T) {
	most := 1.0
	for _, repeats := range []int{1, 2, 3, 5} {
		c := experiment{repeats: repeats, times: alike(2)}.judge(rand.New(rand.NewPCG(1, 2)))
		m := c.Arms[0].Measures[results.MeasureFailureRate]
		if want := 3.7 / float64(repeats*perRun); m.Low != 0 || m.High >= most || m.High > want {
			t.Errorf("%d runs: %v to %v, want at most %v", repeats, m.Low, m.High, want)
		}
		most = m.High
	}
}
