package compare

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/kabench/kabench/results"
)

// What a comparison calls detectable it finds in 80 % of such experiments: each of
// many experiments says what it could find, and another one is made with just that
// difference.
func TestPowerIsWhatDetectablePromises(t *testing.T) {
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
		for range tries(20) {
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
				x.slower[1] += least / c.Arms[0].Measures[p99].Value
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
		share := float64(found) / float64(made)
		t.Logf("%-20s %.3f of %d (%d unsaid), mean %.4g", tt.name, share, made, unsaid, sum/float64(made))
		slack := 3.5 * math.Sqrt(0.8*0.2/float64(made))
		if share < 0.72-slack || share > 0.9+slack {
			t.Errorf("%s: found in %.2f of %d", tt.name, share, made)
		}
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
	for n, w := range worlds {
		for _, repeats := range []int{2, 3, 5, 10} {
			r := rand.New(rand.NewPCG(uint64(n), uint64(repeats)))
			missed, made := 0, 0
			for range tries(40) {
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
		}
	}
}
