package results

import (
	"time"

	"gonum.org/v1/gonum/stat/distuv"
)

// SpanOf is the index of the span in which an exchange was due: due is its offset
// from the start of the run, and length is the length of the run.
func SpanOf(due, length time.Duration) int {
	if length <= 0 {
		return 0
	}
	return min(max(int(float64(due)/float64(length)*Spans), 0), Spans-1)
}

// Interval is the exact (Clopper-Pearson) confidence interval of the probability of
// an event that occurred in k of n trials. It contains the true value at least as
// often as confidence says, for example 0.95, even if k is small. Without trials, or
// with a confidence outside (0, 1), it is 0 to 1. A k above n counts as n.
func Interval(k, n uint64, confidence float64) (lo, hi float64) {
	return EffectiveInterval(float64(k), float64(n), confidence)
}

// EffectiveInterval is Interval for trials that depend on each other: n is the
// number of independent trials with the same information, and k is n times the share
// of trials in which the event occurred. k and n need not be whole numbers (Korn and
// Graubard, Survey Methodology 24, 1998).
func EffectiveInterval(k, n, confidence float64) (lo, hi float64) {
	if !(n > 0) || !(k >= 0) || !(confidence > 0 && confidence < 1) {
		return 0, 1
	}
	k = min(k, n)
	tail := (1 - confidence) / 2
	lo, hi = 0, 1
	if k > 0 {
		lo = distuv.Beta{Alpha: k, Beta: n - k + 1}.Quantile(tail)
	}
	if k < n {
		hi = distuv.Beta{Alpha: k + 1, Beta: n - k}.Quantile(1 - tail)
	}
	return lo, hi
}

// Span counts exchanges in a part of a run: N could have had the event that is
// counted, and K had it.
type Span struct{ K, N uint64 }

// Spans is the number of parts of equal length into which a run is cut, to see
// whether events are clustered.
const Spans = 20

// LatencyNames lists the names with which a latency path may begin.
func LatencyNames() []string {
	names := []string{LatencyResponse, LatencyService, LatencyLag, LatencyBuffer}
	for p := PhaseAcquire; p < PhaseDone; p++ {
		names = append(names, p.String())
	}
	return names
}

// Quantiles describe a distribution of durations, in seconds. P999 is the
// 99.9th percentile. All are 0 when Count is 0.
type Quantiles struct {
	Count    uint64  `json:"count"`
	Min      float64 `json:"min"`
	P50      float64 `json:"p50"`
	P90      float64 `json:"p90"`
	P99      float64 `json:"p99"`
	P999     float64 `json:"p999"`
	Max      float64 `json:"max"`
	Mean     float64 `json:"mean"`
	Overflow uint64  `json:"overflow,omitempty"` // values above HistogramMax: exact in Count, Mean and Max, clamped in the percentiles
}

// Format is a percentile of q as FormatSeconds has it: 50, 90, 99 or 99.9. Of one that lies
// among the overflow, only a bound is known: "> 60.0 s".
func (q Quantiles) Format(percentile float64) string {
	at := q.P999
	switch percentile {
	case 50:
		at = q.P50
	case 90:
		at = q.P90
	case 99:
		at = q.P99
	}
	// The rank is the histogram's: at least 1, at most the last.
	rank := min(max(uint64(percentile/100*float64(q.Count)+0.5), 1), q.Count)
	if q.Overflow > 0 && rank > q.Count-q.Overflow {
		return "> " + FormatSeconds(HistogramMax.Seconds())
	}
	return FormatSeconds(at)
}

// Idle says how long connections were idle in the pool, in seconds.
type Idle struct {
	AtLease Quantiles `json:"at_lease"` // when an exchange was put on a reused connection, in the measured part
	// AtPeerClose is how long a connection had been idle when the peer ended it, over
	// the whole run. It is null where kabench cannot see this: with the stock client,
	// and in a run that was cut off.
	AtPeerClose *Quantiles `json:"at_peer_close"`
	Longest     float64    `json:"longest"` // in the whole run, as far as kabench could see it
}

// Keys of the Latency maps that are not phases.
const (
	LatencyResponse = "response" // from due to done
	LatencyService  = "service"  // from start to done
	LatencyLag      = "lag"      // from due to start, without the buffer: how late the generator was
	LatencyBuffer   = "buffer"   // time in the bounded buffer, of the exchanges that waited there
)

// Rate is in exchanges per second over the measured part of the run.
type Rate struct {
	Offered    float64 `json:"offered"`    // due
	Achieved   float64 `json:"achieved"`   // started
	Throughput float64 `json:"throughput"` // ok
}
