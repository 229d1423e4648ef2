package expect

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// foundIn is how often a test finds the rise that it names. beyond is that quantile of the
// normal distribution.
const (
	foundIn = "in 9 of 10 runs"
	beyond  = 1.2816
)

// countRise says by how much the rate of a count of n must rise, so that the test finds it. from
// is the smallest count that the test calls worse. The earlier runs say how much such counts
// differ from run to run. It is "" if the test does not find even the largest rise.
func countRise(from, n uint64, earlier []portion) string {
	rate, phi := dispersion(earlier)
	for share := 1; share <= 1000; share++ {
		risen := rate + (1-rate)*float64(share)/1000
		mean := risen * float64(n)
		if mean-beyond*math.Sqrt(phi*mean*(1-risen)) >= float64(from) {
			return fmt.Sprintf("; finds +%.2g points %s", (risen-rate)*100, foundIn)
		}
	}
	return ""
}

// dispersion returns the rate of all earlier runs together, and by which factor their counts
// vary more than binomial ones, at least 1.
func dispersion(earlier []portion) (rate, phi float64) {
	var all portion
	for _, c := range earlier {
		all.k, all.n = all.k+c.k, all.n+c.n
	}
	if all.n == 0 {
		return 0, 1
	}
	rate = float64(all.k) / float64(all.n)
	for _, c := range earlier {
		if expected := float64(c.n) * rate; expected > 0 {
			phi += (float64(c.k) - expected) * (float64(c.k) - expected) / (expected * (1 - min(rate, 1-1e-9)))
		}
	}
	return rate, max(1, phi/float64(max(len(earlier)-1, 1)))
}

// limitOf returns the value above which a run is worse than the earlier values at this level,
// and their standard deviation. It is the bound of the test in above.
func limitOf(earlier []float64, level float64) (limit, spread float64) {
	mean, spread := stat.MeanStdDev(earlier, nil)
	m := float64(len(earlier))
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: m - 1}.Quantile(1 - level)
	return mean + t*spread*math.Sqrt(1+1/m), spread
}

// percentileRise says which percentile is called worse, and by how much it must rise so that
// the test finds it. logs are the logarithms of the earlier percentiles, in seconds, times the
// tolerance.
func percentileRise(logs []float64, tolerance, level float64, show func(seconds float64) string) string {
	limit, spread := limitOf(logs, level)
	if spread == 0 {
		return "" // the test within the runs decides
	}
	// The spread is itself known from few runs.
	margin := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(len(logs) - 1)}.Quantile(0.9) * spread
	rise := tolerance*math.Exp(limit+margin-stat.Mean(logs, nil)) - 1
	return fmt.Sprintf("; worse above %s; finds +%.2g %% %s", show(math.Exp(limit)), rise*100, foundIn)
}
