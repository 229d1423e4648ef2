package expect

import (
	"math"
	"sort"

	"gonum.org/v1/gonum/stat/combin"
)

// FisherMore is the one-sided p-value of Fisher's exact test: how likely a first
// sample with k or more of n is, beside a second with k0 of n0, if the chance is
// the same in both, given how many there are in the two together. k may not be
// above n, nor k0 above n0. It takes well under a millisecond for millions, which
// the sums of the libraries at hand do not.
func FisherMore(k, n, k0, n0 uint64) float64 {
	drawn, all := float64(k)+float64(k0), float64(n)+float64(n0)
	least, most := max(0, drawn-float64(n0)), min(float64(n), drawn)
	from := max(float64(k), least)
	if from <= least {
		return 1
	}
	// The sum of hypergeometric probabilities from k on, begun at the largest of
	// them, which does not vanish; each other is a ratio of its neighbour.
	peak := min(max(math.Floor((drawn+1)*(float64(n)+1)/(all+2)), from), most)
	choose := combin.LogGeneralizedBinomial
	largest := math.Exp(choose(float64(n), peak) + choose(float64(n0), drawn-peak) - choose(all, drawn))
	ratio := func(i float64) float64 { // P(i+1) / P(i)
		return (float64(n) - i) * (drawn - i) / ((i + 1) * (float64(n0) - drawn + i + 1))
	}
	const negligible = 1e-17 // of the sum
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

// worseLevel is how often "not worse than" is wrong about a run that is not
// worse, at most.
const worseLevel = 0.05

// worseFrom is the least k of n that the test takes for more than k0 of n0; n+1
// when there is none.
func worseFrom(n, k0, n0 uint64) uint64 {
	// A larger k is never likelier.
	return uint64(sort.Search(int(n)+1, func(k int) bool { return FisherMore(uint64(k), n, k0, n0) < worseLevel }))
}
