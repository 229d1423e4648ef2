package trend

import (
	"math"
	"math/rand/v2"
	"slices"

	"pgregory.net/changepoint"
)

// Level is the largest share of series without a change in which Changes finds one.
const Level = 0.025

// Fewest is how many values there must be on each side of a change.
const Fewest = 4

// most is how many values Changes looks at, the last ones: the time of its test grows
// with their square.
const most = 300

// shuffles is how many random orders a test compares a series with.
const shuffles = 999

// Shift is a change of the level of a series.
type Shift struct {
	At int     // index of the first value of the new level
	P  float64 // of the permutation test
}

// Changes returns where the level of values changes, in ascending order.
//
// ED-PELT proposes the places (Haynes, Fearnhead and Eckley, Statistics and Computing
// 27, 2017). It states no error rate, and on 12 to 40 values without a change it
// proposes one in a quarter of the cases. So permutation tests decide. They assume no
// distribution of the values, only that without a change each order of them is equally
// likely.
//
// Each test is of the values and of their ranks, and the better result counts, with twice
// its P. The values need fewer runs after a change; ranks find one in spite of some runs
// that are far off.
//
// The first test is of the whole series; if it finds no change, there is none. So Level
// holds. Then each place moves to where, between its neighbours, the values differ most,
// and is tested there; the weakest is dropped until all pass.
func Changes(values []float64) []Shift {
	skipped := max(len(values)-most, 0)
	values = values[skipped:]
	if len(values) < 2*Fewest || anyChange(values) > Level {
		return nil
	}
	places := changepoint.NonParametric(values, Fewest)
	for len(places) > 0 {
		shifts := make([]Shift, len(places))
		weakest := 0
		for i := range places {
			from, to := 0, len(values)
			if i > 0 {
				from = places[i-1]
			}
			if i+1 < len(places) {
				to = places[i+1]
			}
			best, p := split(values[from:to])
			shifts[i] = Shift{skipped + from + best, p}
			if shifts[i].P > shifts[weakest].P {
				weakest = i
			}
		}
		if shifts[weakest].P <= Level {
			return shifts
		}
		places = slices.Delete(places, weakest, weakest+1)
	}
	return nil
}

// forms returns values in the two forms that are tested, with a mean of 0: as they are,
// with those clipped that are more than six standard deviations off, as the median
// deviation estimates them, and their ranks.
func forms(values []float64) [2][]float64 {
	middle := median(values)
	clipped, off := make([]float64, len(values)), make([]float64, len(values))
	for i, v := range values {
		clipped[i], off[i] = v-middle, math.Abs(v-middle)
	}
	const perDeviation = 1.4826 // of a normal distribution
	if limit := 6 * perDeviation * median(off); limit > 0 {
		for i := range clipped {
			clipped[i] = min(max(clipped[i], -limit), limit)
		}
	}
	sorted, ranks := slices.Sorted(slices.Values(values)), make([]float64, len(values))
	for i, v := range values {
		first, _ := slices.BinarySearch(sorted, v)
		next, _ := slices.BinarySearch(sorted, math.Nextafter(v, math.Inf(1)))
		ranks[i] = float64(first + next) // equal values have the same
	}
	return [2][]float64{centred(clipped), centred(ranks)}
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// split returns where in values the level changes most, and the P value of that change.
// The place was chosen for its difference, so the test compares the largest difference
// that any place has with the largest ones of random orders.
func split(values []float64) (at int, p float64) {
	place := 0
	largest := func(values []float64) (largest float64) {
		n, sum := len(values), 0.0
		for i, v := range values[:n-Fewest] {
			sum += v
			if k := i + 1; k >= Fewest {
				if s := sum * sum / float64(k*(n-k)); s > largest {
					largest, place = s, k
				}
			}
		}
		return largest
	}
	p = 1
	for _, form := range forms(values) {
		largest(form)
		here := place
		if q := permuted(form, largest); q < p || at == 0 {
			at, p = here, q
		}
	}
	return at, min(2*p, 1)
}

// anyChange returns the P value of a test for one change, or for a change and a later
// one back (circular binary segmentation: Olshen, Venkatraman, Lucito and Wigler,
// Biostatistics 5, 2004).
func anyChange(values []float64) (p float64) {
	sums := make([]float64, len(values)+1)
	largest := func(values []float64) (largest float64) {
		for i, v := range values {
			sums[i+1] = sums[i] + v
		}
		n := len(values)
		for from := 0; from+Fewest <= n; from++ {
			for to := from + Fewest; to <= min(n, from+n-Fewest); to++ {
				sum, k := sums[to]-sums[from], to-from
				largest = max(largest, sum*sum/float64(k*(n-k)))
			}
		}
		return largest
	}
	p = 1
	for _, form := range forms(values) {
		p = min(p, permuted(form, largest))
	}
	return min(2*p, 1)
}

// permuted returns the P value of a permutation test: how often a random order of
// values, whose mean is 0, has a statistic at least as large. It stops early when P is far
// above Level. The same values always get the same result.
func permuted(values []float64, statistic func(values []float64) float64) float64 {
	seen := statistic(values)
	if seen == 0 {
		return 1 // all values are equal
	}
	const rounding = 1e-9
	order := slices.Clone(values)
	random := rand.New(rand.NewPCG(1, uint64(len(values))))
	atLeast := 1 // the order that was seen is one of the possible ones
	for n := 1; n <= shuffles; n++ {
		random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		if statistic(order) >= seen*(1-rounding) {
			atLeast++
		}
		if float64(atLeast) > Level*(shuffles+1) {
			return float64(atLeast) / float64(n+1)
		}
	}
	return float64(atLeast) / (shuffles + 1)
}

// centred returns values less their mean.
func centred(values []float64) []float64 {
	mean := 0.0
	for _, v := range values {
		mean += v / float64(len(values))
	}
	list := make([]float64, len(values))
	for i, v := range values {
		list[i] = v - mean
	}
	return list
}
