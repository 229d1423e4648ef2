package trend

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
)

// simulated are the runs of a service over some nights: failures of 3000 requests each,
// and p99s. With the run at change, and from then on, the failure rate is higher by
// points, and p99 by a factor.
type simulated struct {
	runs, change   int
	rate, points   float64
	spread, factor float64 // of p99, relative standard deviation between runs; 1.1: 10 % more
	clustered      bool    // the rate itself varies between runs by a fifth, as on a shared machine
	outliers       bool    // one run in ten was on a stalled machine
}

func (s simulated) series(seed uint64) (rates, times []float64) {
	r := rand.New(rand.NewPCG(seed, 7))
	for n := range s.runs {
		rate, time := s.rate, 0.02
		if n >= s.change {
			rate, time = rate+s.points, time*s.factor
		}
		if s.clustered {
			rate *= math.Exp(0.2 * r.NormFloat64())
		}
		time *= math.Exp(s.spread * r.NormFloat64())
		if s.outliers && r.IntN(10) == 0 {
			rate, time = 2*rate, 3*time
		}
		rates = append(rates, distuv.Binomial{N: 3000, P: rate, Src: r}.Rand()/3000)
		times = append(times, math.Log(time))
	}
	return rates, times
}

// seeds is how many series a test of a rate looks at.
const seeds = 200

// Of series without a change, at most Level have one. The seeds are fixed; with others,
// one in 200 such tests would fail although Level holds.
func TestFalseAlarms(t *testing.T) {
	for name, s := range map[string]simulated{
		"plain":         {runs: 20, rate: 0.01, spread: 0.05},
		"few":           {runs: 10, rate: 0.01, spread: 0.05},
		"many":          {runs: 50, rate: 0.01, spread: 0.05},
		"clustered":     {runs: 30, rate: 0.01, spread: 0.15, clustered: true},
		"outliers":      {runs: 30, rate: 0.01, spread: 0.05, outliers: true},
		"rare failures": {runs: 30, rate: 0.0001, spread: 0.05},
	} {
		s.change, s.factor = s.runs, 1
		var alarms [2]int
		for seed := range uint64(seeds) {
			rates, times := s.series(seed)
			for i, values := range [][]float64{rates, times} {
				if len(Changes(values)) > 0 {
					alarms[i]++
				}
			}
		}
		t.Logf("%s: of %d series without a change, %d have one of failures, %d of p99", name, seeds, alarms[0], alarms[1])
		if most := (distuv.Binomial{N: seeds, P: Level}); 1-most.CDF(float64(slices.Max(alarms[:])-1)) < 0.005 {
			t.Errorf("%s: %v of %d series have a change that is none, and %v should", name, alarms, seeds, Level*seeds)
		}
	}
}

// One point more failures, and a p99 higher by 10 %, are found, and where they began.
func TestChangesAreFound(t *testing.T) {
	for name, tt := range map[string]struct {
		simulated
		least [2]int // of 50: found, and found at their place
	}{
		"20 runs, half of them": {simulated{runs: 20, change: 10, rate: 0.01, spread: 0.03}, [2]int{46, 44}},
		"30 runs, the last 4":   {simulated{runs: 30, change: 26, rate: 0.01, spread: 0.025}, [2]int{45, 42}},
		"outliers":              {simulated{runs: 40, change: 20, rate: 0.01, spread: 0.03, outliers: true}, [2]int{42, 34}},
	} {
		s, seeds := tt.simulated, 50
		s.points, s.factor = 0.01, 1.1
		var found, placed [2]int
		for seed := range uint64(seeds) {
			rates, times := s.series(seed)
			for i, values := range [][]float64{rates, times} {
				shifts := Changes(values)
				if len(shifts) > 0 {
					found[i]++
				}
				if slices.ContainsFunc(shifts, func(c Shift) bool { return max(c.At-s.change, s.change-c.At) <= 1 }) {
					placed[i]++
				}
			}
		}
		t.Logf("%s: of %d series, the change was found in %v (failures, p99), to the run or its neighbour in %v", name, seeds, found, placed)
		if slices.Min(found[:]) < tt.least[0] || slices.Min(placed[:]) < tt.least[1] {
			t.Errorf("%s: of %d series, the change was found in %v, and at its place in %v", name, seeds, found, placed)
		}
	}
}

func TestChanges(t *testing.T) {
	level := func(parts ...[2]float64) (values []float64) {
		r := rand.New(rand.NewPCG(3, 4))
		for _, p := range parts {
			for range int(p[0]) {
				values = append(values, p[1]+0.1*r.NormFloat64())
			}
		}
		return values
	}
	for name, tt := range map[string]struct {
		values []float64
		want   []int
	}{
		"none":            {nil, nil},
		"too few":         {[]float64{0, 0, 0, 1, 1, 1, 1}, nil},
		"all equal":       {make([]float64, 30), nil},
		"up":              {level([2]float64{12, 1}, [2]float64{12, 2}), []int{12}},
		"up and back":     {level([2]float64{12, 1}, [2]float64{6, 2}, [2]float64{12, 1}), []int{12, 18}},
		"stairs":          {level([2]float64{10, 1}, [2]float64{10, 2}, [2]float64{10, 3}), []int{10, 20}},
		"last four":       {level([2]float64{26, 1}, [2]float64{4, 2}), []int{26}},
		"from none":       {append(make([]float64, 20), 0.01, 0.012, 0.011, 0.009, 0.01), []int{20}},
		"one off":         {append(make([]float64, 20), 1), nil},
		"more than looks": {level([2]float64{400, 1}, [2]float64{20, 2}), []int{400}},
	} {
		var got []int
		for _, s := range Changes(tt.values) {
			got = append(got, s.At)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
		if again := Changes(tt.values); len(again) != len(got) {
			t.Errorf("%s: the second time %v", name, again)
		}
	}
}
