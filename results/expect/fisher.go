package expect

import (
	"math"
	"sort"

	"gonum.org/v1/gonum/stat/combin"
)

// FisherMore returns the one-sided p-value of Fisher's exact test. The first sample
// has k of n, the second k0 of n0. The p-value is the probability of k or more in the
// first sample if both have the same rate, given the total k+k0. k must not exceed n,
// and k0 must not exceed n0. It takes well under a millisecond for counts in the
// millions; the sums in the available libraries take longer.
func FisherMore(k, n, k0, n0 uint64) float64 {
	drawn, all := float64(k)+float64(k0), float64(n)+float64(n0)
	least, most := max(0, drawn-float64(n0)), min(float64(n), drawn)
	from := max(float64(k), least)
	if from <= least {
		return 1
	}
	// This is the sum of the hypergeometric probabilities of k and more. It begins at
	// the largest one, which cannot underflow to 0, and computes each other
	// probability from its neighbour.
	peak := min(max(math.Floor((drawn+1)*(float64(n)+1)/(all+2)), from), most)
	choose := combin.LogGeneralizedBinomial
	largest := math.Exp(choose(float64(n), peak) + choose(float64(n0), drawn-peak) - choose(all, drawn))
	ratio := func(i float64) float64 { // P(i+1) / P(i)
		return (float64(n) - i) * (drawn - i) / ((i + 1) * (float64(n0) - drawn + i + 1))
	}
	const negligible = 1e-17 // a term below this share of the sum cannot change it
	p := largest
	for i, term := peak, largest; i < most && term > p*negligible; i++ {
		term *= ratio(i)
		p += term
	}
	for i, term := peak, largest; i > from && term > p*negligible; i-- {
		term /= ratio(i - 1)
		p += term
	}
	return min(p, 1)
}

// worseLevel is the significance level of all conditions "not worse than" of one run
// together: a run that is not worse fails them with at most this probability.
const worseLevel = 0.05

// levelOf divides worseLevel between the conditions "not worse than" in expect (Bonferroni).
// Without it, a job with several conditions would fail more often than once in twenty by
// chance.
func levelOf(expect map[string]string) float64 {
	tests := 0
	for _, want := range expect {
		if c, err := ParseCondition(want); err == nil && c.Op == opNotWorse {
			tests++
		}
	}
	return worseLevel / float64(max(tests, 1))
}

// worseFrom returns the smallest k of n that the test calls worse than k0 of n0, or
// n+1 if no k is worse.
func worseFrom(n, k0, n0 uint64, level float64) uint64 {
	// The p-value never rises with k, so a binary search works.
	return uint64(sort.Search(int(n)+1, func(k int) bool { return FisherMore(uint64(k), n, k0, n0) < level }))
}
