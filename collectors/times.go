package collectors

import (
	"sync"
	"time"

	"github.com/kabench/kabench/results"
)

const (
	// waveStep is the length of the steps in which exchanges on fresh connections are counted.
	waveStep = 100 * time.Millisecond
	// waveSteps is how many steps are counted: ten minutes.
	waveSteps = 6000
)

// Times notes when exchanges failed, and whether new connections come in waves. It is a
// generator.Observer.
type Times struct {
	mu          sync.Mutex // guards all below
	failed      bool
	first, last time.Duration // of those that failed, by when they were due
	fresh       []uint32      // exchanges that got a fresh connection, by step
}

// Observe counts e, which is over. It does not keep e.
func (x *Times) Observe(e *results.Exchange) {
	if e.WarmUp {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if e.Failed() {
		if !x.failed || e.Due < x.first {
			x.first = e.Due
		}
		x.failed, x.last = true, max(x.last, e.Due)
	}
	step := int(e.Leased / waveStep)
	if e.Use != 1 || e.Leased < 0 || step >= waveSteps {
		return
	}
	for len(x.fresh) <= step {
		x.fresh = append(x.fresh, 0)
	}
	x.fresh[step]++
}

// Fill sets run.Times. warmUp is the length of the warm-up, and walked how long requests were
// due.
func (x *Times) Fill(run *results.Run, warmUp, walked time.Duration) {
	x.mu.Lock()
	defer x.mu.Unlock()
	t := &results.Times{FirstFailure: x.first.Seconds(), LastFailure: x.last.Seconds()}
	steps := make([]float64, max(int((walked-warmUp)/waveStep), 0))
	for i := range steps {
		if at := i + int(warmUp/waveStep); at < len(x.fresh) {
			steps[i] = float64(x.fresh[at])
			t.FreshPeak = max(t.FreshPeak, uint64(x.fresh[at]))
		}
	}
	t.FreshPeriod = (time.Duration(period(steps[:min(len(steps), waveSteps)])) * waveStep).Seconds()
	run.Times = t
}

// leastAlike is the autocorrelation from which counts are said to come in waves.
const leastAlike = 0.3

// period returns after how many steps the counts are most like themselves, by their
// autocorrelation; 0: they are like themselves after none. Waves that lie across two steps are
// found too, because each step counts with its neighbours.
func period(counts []float64) int {
	n := len(counts)
	smooth, mean := make([]float64, n), 0.0
	for i := range counts {
		for j := max(i-1, 0); j <= min(i+1, n-1); j++ {
			smooth[i] += counts[j]
		}
		mean += smooth[i] / float64(n)
	}
	alike := func(lag int) (sum float64) {
		for i := lag; i < n; i++ {
			sum += (smooth[i] - mean) * (smooth[i-lag] - mean)
		}
		return sum
	}
	best, most := 0, leastAlike*alike(0)
	apart := false // from a wave itself
	for lag := 1; lag <= n/2; lag++ {
		a := alike(lag)
		apart = apart || a <= 0
		if apart && a > most {
			best, most = lag, a
		}
	}
	return best
}
