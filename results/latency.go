package results

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
