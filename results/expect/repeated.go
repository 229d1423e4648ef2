package expect

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/kabench/kabench/results"
)

// grouped returns how many counted exchanges, on average, come together as one group,
// at least 1. It is the dispersion of each run's spans around the run's own rate:
// Pearson's chi square over its degrees of freedom.
func grouped(runs ...[]results.Span) float64 {
	sum, free := 0.0, 0
	for _, spans := range runs {
		var k, n uint64
		for _, s := range spans {
			k, n = k+s.K, n+s.N
		}
		if k == 0 || k == n {
			continue
		}
		rate, used := float64(k)/float64(n), 0
		for _, s := range spans {
			if expected := float64(s.N) * rate; s.N > 0 {
				sum += (float64(s.K) - expected) * (float64(s.K) - expected) / (expected * (1 - rate))
				used++
			}
		}
		free += used - 1
	}
	if free <= 0 {
		return 1
	}
	return max(1, sum/float64(free))
}

// thinned reduces k and n so that a group of phi exchanges counts as one.
func thinned(k, n uint64, phi float64) (uint64, uint64) {
	few := uint64(math.Round(float64(k) / phi))
	return few, max(few, uint64(math.Round(float64(n)/phi)))
}

// portion is a count k out of n in one run.
type portion struct{ k, n uint64 }

// rateAbove returns the one-sided p-value for the question whether own's rate is above
// the rates of earlier runs. It makes a t test over runs twice: on the rates, whose
// variance is assumed to be phi times the binomial variance, and on their logarithms.
// The larger p-value is the result, because each test alone can mislead: rates that
// differ by a factor are skewed, and logarithms of counts near 0 are unreliable.
func rateAbove(own portion, earlier []portion) float64 {
	var all portion
	for _, c := range earlier {
		all.k, all.n = all.k+c.k, all.n+c.n
	}
	if all.n == 0 || own.n == 0 || len(earlier) < 2 {
		return 1
	}
	rate, phi := dispersion(earlier)
	free := float64(len(earlier) - 1)
	pooled := float64(all.k+own.k) / float64(all.n+own.n)
	spread := math.Sqrt(phi * pooled * (1 - pooled) * (1/float64(own.n) + 1/float64(all.n)))
	if spread == 0 {
		return 1
	}
	p := upperT((float64(own.k)/float64(own.n)-rate)/spread, free)
	logs := make([]float64, len(earlier))
	for i, c := range earlier {
		logs[i] = logRate(c)
	}
	return max(p, above(logRate(own), logs))
}

func logRate(c portion) float64 { return math.Log((float64(c.k) + 0.5) / (float64(c.n) + 1)) }

// above returns the one-sided p-value for the question whether own is above the earlier
// values. It uses the prediction interval that a t distribution gives for one more
// value.
func above(own float64, earlier []float64) float64 {
	if len(earlier) < 2 {
		return 1
	}
	mean, spread := stat.MeanStdDev(earlier, nil)
	if own <= mean {
		return 1
	}
	if spread == 0 {
		return 0 // the earlier values are equal; the test within the runs decides
	}
	m := float64(len(earlier))
	return upperT((own-mean)/(spread*math.Sqrt(1+1/m)), m-1)
}

func upperT(t, free float64) float64 {
	return distuv.StudentsT{Mu: 0, Sigma: 1, Nu: free}.Survival(t)
}

// testRuns compares a with several baselines. The run is worse only if both tests say
// so: the exact test on the exchanges of all baselines together, and the t test over
// runs.
func (r figures) testRuns(a *asked, path string) error {
	name, rank, isPercentile := percentile(path)
	part, whole := share(path)
	var seen []float64
	var earlier []portion
	var all portion
	for _, run := range r.Baselines {
		v, err := Lookup(run, path)
		if err != nil {
			return err
		}
		if why := cmp.Or(a.Why, v.Why); why != "" {
			a.Why = cmp.Or(a.Why, a.LowOf.name(path)+": "+why)
			return nil
		}
		seen = append(seen, v.Number)
		var c portion
		if !isPercentile {
			c = portion{r.number(run, part), r.number(run, whole)}
		} else {
			n := r.countOf(run, name)
			c = portion{n - min(n, max(1, uint64(math.Round(rank*float64(n))))), n}
		}
		earlier = append(earlier, c)
		all.k, all.n = all.k+c.k, all.n+c.n
	}
	show := func(v float64) string { return Value{Number: v, Unit: a.Value.Unit}.String() }
	told := fmt.Sprintf("%d baselines %s to %s", len(seen), show(slices.Min(seen)), show(slices.Max(seen)))
	if !isPercentile {
		own := portion{r.number(r.own, part), r.number(r.own, whole)}
		tests := func(k uint64) (within, between float64) {
			return FisherMore(k, own.n, all.k, all.n), rateAbove(portion{k, own.n}, earlier)
		}
		from := sort.Search(int(own.n)+1, func(k int) bool {
			within, between := tests(uint64(k))
			return within < r.level && between < r.level
		})
		if from > int(own.n) {
			a.Why = fmt.Sprintf("too few to tell: beside %s, even %d of %d would not be called worse; give more baselines", told, own.n, own.n)
			return nil
		}
		sees := fmt.Sprintf("worse from %d on, where both are below %.3g", from, r.level) + countRise(uint64(from), own.n, earlier)
		within, between := tests(own.k)
		a.worse = within < r.level && between < r.level
		a.against = []string{fmt.Sprintf("of %d; %s, together %d of %d; p %.2g within the runs, %.2g between them; %s", own.n, told, all.k, all.n, within, between, sees)}
		return nil
	}
	if r.Above == nil {
		a.Why = "the run's durations are not available, only their percentiles"
		return nil
	}
	middle := median(seen) * a.LowOf.Share
	k, n := r.Above(name, secondsOf(middle))
	logs := make([]float64, len(seen))
	for i, v := range seen {
		logs[i] = math.Log(max(v, 1e-9) * a.LowOf.Share)
	}
	within, between := FisherMore(min(k, n), n, all.k, all.n), above(math.Log(max(a.Number, 1e-9)), logs)
	a.worse = within < r.level && between < r.level
	a.against = []string{fmt.Sprintf("%s; above %s are %d of %d; p %.2g within the runs, %.2g between them; worse if both are below %.3g%s", told, results.FormatSeconds(middle), k, n, within, between, r.level, percentileRise(logs, a.LowOf.Share, r.level, results.FormatSeconds))}
	return nil
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
