package compare

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/kabench/kabench/results"
)

// A world says how failures and times are distributed in runs that differ only by
// chance.
type world struct {
	name    string
	rate    float64 // mean failures of a run of perRun requests
	cluster int     // failures come in clusters of this size
	runs    float64 // standard deviation of a run's factor
	blocks  float64 // standard deviation of a factor that the runs of a block share
	rhythm  float64 // share of the failures that come at one moment of every run
	uneven  bool    // only the first setting's runs vary
}

var worlds = []world{
	{name: "independent", rate: 30},
	{name: "rare", rate: 1.5},
	{name: "clusters", rate: 60, cluster: 10},
	{name: "runs vary", rate: 60, runs: 0.5},
	{name: "rare and varying", rate: 4, runs: 0.5},
	{name: "one setting varies", rate: 100, runs: 0.5, uneven: true},
	{name: "rhythm", rate: 60, rhythm: 0.7},
	{name: "rhythm, runs vary", rate: 60, rhythm: 0.7, runs: 0.5},
	{name: "blocks", rate: 60, blocks: 0.5},
	{name: "blocks, runs vary, clusters", rate: 100, blocks: 0.5, runs: 0.3, cluster: 5},
	{name: "most fail", rate: 1200, runs: 0.2},
}

// factor is above 0, with a mean of 1 and that standard deviation.
func factor(r *rand.Rand, sd float64) float64 {
	s := math.Sqrt(math.Log1p(sd * sd))
	return math.Exp(s*r.NormFloat64() - s*s/2)
}

func poisson(r *rand.Rand, mean float64) (n int) {
	for mean > 0 {
		if mean -= r.ExpFloat64(); mean > 0 {
			n++
		}
	}
	return n
}

// experiment is a comparison in that world. Setting i fails times[i] times as often and
// is slower[i] times as slow. Nothing is recorded on disk: the spans of each run are
// made here.
type experiment struct {
	world
	repeats int
	times   []float64
	slower  []float64 // empty: all alike
	only    float64   // failures of a run of the second setting where no other fails
	spread  float64   // standard deviation of the logarithm of a run's times
}

func (x experiment) judge(r *rand.Rand) *results.Comparison {
	c := &results.Comparison{Name: "simulated", Seed: 1, Repeats: x.repeats, Confidence: 0.95}
	j := judge{c: c, arms: make([]arm, len(x.times))}
	for i := range j.arms {
		j.arms[i].name = string(rune('a' + i))
		c.Arms = append(c.Arms, results.Arm{Name: j.arms[i].name})
	}
	for block := range x.repeats {
		shared := factor(r, x.blocks)
		slowBlock := x.blocks * r.NormFloat64()
		for i := range j.arms {
			own := x.runs
			if x.uneven && i > 0 {
				own = 0
			}
			mean := x.rate * x.times[i]
			if i == 1 {
				mean += x.only
			}
			parts := x.spans(r, mean*shared*factor(r, own))
			slow := 0.05 * math.Exp(slowBlock+x.spread*r.NormFloat64())
			if len(x.slower) > 0 {
				slow *= x.slower[i]
			}
			run := runOf(total(parts), slow, r)
			a := &j.arms[i]
			a.runs, a.blocks = append(a.runs, Run{Doc: run}), append(a.blocks, block+1)
			a.parts = append(a.parts, map[string][]counted{results.MeasureFailureRate: parts})
			j.all = append(j.all, run)
			c.Runs = append(c.Runs, results.ComparedRun{Arm: a.name, Block: block + 1})
		}
	}
	j.measures = measuresOf(j.all)
	for i := range j.arms {
		j.measure(i)
	}
	j.test()
	return c
}

// spans are a run's failures in each of its spans.
func (w world) spans(r *rand.Rand, mean float64) []counted {
	cluster := max(w.cluster, 1)
	parts := make([]counted, spans)
	for i := range parts {
		parts[i].n = perRun / spans
	}
	for range min(poisson(r, mean/float64(cluster)), perRun/cluster) {
		at := r.IntN(spans)
		if r.Float64() < w.rhythm {
			at = 7
		}
		for parts[at].k == parts[at].n { // full
			at = (at + 1) % spans
		}
		parts[at].k = min(parts[at].k+uint64(cluster), parts[at].n)
	}
	return parts
}

// runOf is a run with the given failures and p99.
func runOf(failures counted, p99 float64, r *rand.Rand) *results.Run {
	jitter := func() float64 { return math.Exp(0.1 * r.NormFloat64()) }
	quantiles := func() results.Quantiles {
		return results.Quantiles{Count: failures.n - failures.k + 1, P50: p99 / 2 * jitter(), P99: p99, P999: p99 * 1.5 * jitter(), Mean: p99 / 2}
	}
	run := &results.Run{
		Complete: true, Valid: true, Start: time.Unix(0, 0), End: time.Unix(10, 0),
		Counts:      results.Counts{Due: failures.n, Started: failures.n, OK: failures.n - failures.k, Failed: failures.k},
		Latency:     map[string]results.Quantiles{"response": quantiles(), "service": quantiles(), "acquire": quantiles()},
		Connections: results.Connections{Opened: uint64(40 + poisson(r, 5))}, Pool: results.PoolPeaks{PeakPending: poisson(r, 2)},
		Instrument: results.Instrument{CPUPerExchange: 1e-5 * jitter()},
	}
	late := failures.k / 3
	for cause, n := range map[results.Cause]uint64{results.CauseFIN: failures.k - late, results.CauseRST: late} {
		if n > 0 {
			run.Outcomes = append(run.Outcomes, results.Outcome{Phase: results.PhaseBeforeResponse, Cause: cause, Reused: true, Count: n})
		}
	}
	return run
}

func alike(n int) []float64 {
	list := make([]float64, n)
	for i := range list {
		list[i] = 1
	}
	return list
}

// tries is how many experiments a simulation makes: few by default, so that the
// tests are fast. docs/compare.md has the figures of many.
func tries(few int) int {
	if n, err := strconv.Atoi(os.Getenv("KABENCH_SIMULATIONS")); err == nil {
		return n
	}
	return few
}

func TestFalseFindingsInEveryWorld(t *testing.T) {
	all, allWrong := 0, 0
	for n, w := range worlds {
		made, wrong, failures := 0, 0, 0
		detail := ""
		for _, repeats := range []int{2, 3, 5, 10} {
			for _, arms := range []int{2, 4} {
				r := rand.New(rand.NewPCG(uint64(n), uint64(100*repeats+arms)))
				bad := 0
				for range tries(3) {
					c := experiment{world: w, repeats: repeats, times: alike(arms), spread: 0.3}.judge(r)
					made++
					if differing(c) > 0 {
						wrong++
						bad++
					}
					for _, p := range c.Pairs {
						if find(&p, results.MeasureFailureRate).Differs {
							failures++
							break
						}
					}
				}
				detail += fmt.Sprintf(" %d×%d: %d", repeats, arms, bad)
			}
		}
		t.Logf("%-30s %d of %d = %.2f %%, in the failure rate %.2f %%; %s", w.name, wrong, made, 100*float64(wrong)/float64(made), 100*float64(failures)/float64(made), detail)
		if most := atMost(0.05, made); wrong > most {
			t.Errorf("%s: differences in %d of %d comparisons of a setting with itself, want at most %d", w.name, wrong, made, most)
		}
		all, allWrong = all+made, allWrong+wrong
	}
	if most := atMost(0.05, all); allWrong > most {
		t.Errorf("in all worlds: differences in %d of %d, want at most %d", allWrong, all, most)
	}
}

// atMost is how often an event of probability p happens at most in tries tries: more
// often it happens by chance once in 4000 times.
func atMost(p float64, tries int) int {
	law := distuv.Binomial{N: float64(tries), P: p}
	k := 0
	for law.Survival(float64(k)) > 1.0/4000 {
		k++
	}
	return k
}

// atLeast is how often it happens at least.
func atLeast(p float64, tries int) int { return tries - atMost(1-p, tries) }
