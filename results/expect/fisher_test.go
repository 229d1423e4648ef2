package expect

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

// exactly computes FisherMore with integers of any size.
func exactly(k, n, k0, n0 int64) float64 {
	drawn := k + k0
	sum := new(big.Int)
	for i := k; i <= min(n, drawn); i++ {
		if drawn-i <= n0 {
			ways := new(big.Int).Binomial(n, i)
			sum.Add(sum, ways.Mul(ways, new(big.Int).Binomial(n0, drawn-i)))
		}
	}
	p, _ := new(big.Rat).SetFrac(sum, new(big.Int).Binomial(n+n0, drawn)).Float64()
	return p
}

func TestFisherIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, n0 := rapid.Int64Range(1, 400).Draw(t, "n"), rapid.Int64Range(1, 400).Draw(t, "n0")
		k, k0 := rapid.Int64Range(0, n).Draw(t, "k"), rapid.Int64Range(0, n0).Draw(t, "k0")
		want, got := exactly(k, n, k0, n0), FisherMore(uint64(k), uint64(n), uint64(k0), uint64(n0))
		if math.Abs(got-want) > 1e-10*want+1e-300 {
			t.Fatalf("%d of %d beside %d of %d: %g, want %g", k, n, k0, n0, got, want)
		}
	})
	// Counts as large as in long runs, where the first term alone underflows to 0.
	for _, big := range []struct {
		k, n, k0, n0 uint64
		lo, hi       float64
	}{
		{1, 10_000_000, 9_000_000, 10_000_000, 1, 1},
		{5_000_000, 10_000_000, 5_000_000, 10_000_000, 0.5, 0.5003},
		{1100, 10_000_000, 1000, 10_000_000, 0.013, 0.018},
	} {
		if p := FisherMore(big.k, big.n, big.k0, big.n0); p < big.lo || p > big.hi {
			t.Errorf("%+v: %v", big, p)
		}
	}
}

// The count that worseFrom returns is worse, and a count smaller by one is not.
func TestWorseFrom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, n0 := rapid.Uint64Range(1, 5000).Draw(t, "n"), rapid.Uint64Range(1, 5000).Draw(t, "n0")
		k0 := rapid.Uint64Range(0, n0).Draw(t, "k0")
		from := worseFrom(n, k0, n0, worseLevel)
		if from <= n && FisherMore(from, n, k0, n0) >= worseLevel {
			t.Fatalf("%d of %d beside %d of %d is not worse", from, n, k0, n0)
		}
		if from > 0 && FisherMore(from-1, n, k0, n0) < worseLevel {
			t.Fatalf("%d of %d beside %d of %d is worse already", from-1, n, k0, n0)
		}
	})
}
