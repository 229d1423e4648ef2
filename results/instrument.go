package results

// Instrument is what the run cost kabench itself, and the facts that decide whether
// its measurements are valid. If the server runs in the same process, the costs
// include the server's.
type Instrument struct {
	CPUSeconds     float64      `json:"cpu_seconds"`              // user and system
	CPUPerExchange float64      `json:"cpu_seconds_per_exchange"` // see SetCPUPerExchange
	PeakGoroutines int          `json:"peak_goroutines"`
	PeakRSS        uint64       `json:"peak_rss_bytes"`
	PeakOpenFiles  int          `json:"peak_open_files"`
	GCPauses       uint64       `json:"gc_pauses"`
	GCPauseMax     float64      `json:"gc_pause_max"` // seconds
	GCPauseP99     float64      `json:"gc_pause_p99"` // seconds; not below the true value, and at most 25 % above it
	Switches       uint64       `json:"involuntary_switches"`
	Machine        *Machine     `json:"machine,omitempty"` // nil: the system does not report it
	Arrivals       Arrivals     `json:"arrivals"`
	Schedule       ScheduleKept `json:"schedule"`
}

// Machine is how busy the machine was with all its programs together. Shares are
// shares of all its cores, 0 to 1.
type Machine struct {
	Busy      float64  `json:"busy"`              // on average over the run
	BusyPeak  float64  `json:"busy_peak"`         // in the busiest second
	OwnPeak   float64  `json:"own_peak"`          // kabench's share of the cores that it may use, in its busiest second
	Steal     float64  `json:"steal"`             // taken by the hypervisor for other machines
	RunQueue  int      `json:"run_queue_peak"`    // the most tasks that were running or ready to run; counted once a second
	Seconds   int      `json:"seconds"`           // number of seconds observed
	Saturated int      `json:"saturated_seconds"` // of Seconds: no core was free, or the control group's quota was used up
	Pressure  *float64 `json:"pressure,omitempty"`
	Throttled *float64 `json:"throttled_seconds,omitempty"`
}

// Verdicts of Arrivals.
const (
	ArrivalsFit       = "fit"
	ArrivalsMisfit    = "misfit"
	ArrivalsNotTested = "not_tested"
)

// Arrivals say whether requests arrived as the profile's arrival process demands. A
// request arrives when it is started, put into the buffer, or dropped.
type Arrivals struct {
	Law      string   `json:"law"`     // the arrival process
	Verdict  string   `json:"verdict"` // fit, misfit or not_tested
	Why      string   `json:"why,omitempty"`
	Span     uint64   `json:"span"`               // how many gaps between requests were added up to one value
	Count    uint64   `json:"count"`              // number of values
	Distance *float64 `json:"distance,omitempty"` // the Kolmogorov-Smirnov statistic D, 0 to 1
	P        *float64 `json:"p,omitempty"`        // the probability of such a large distance by chance
	OffP99   *float64 `json:"off_p99,omitempty"`  // with equal gaps: 99th percentile of the difference from the planned gap, seconds
}

// What caused an overload.
const (
	OverloadKabench = "kabench" // it was behind its own schedule
	OverloadMachine = "machine" // no core was free
	OverloadTarget  = "target"  // or the pool: kabench was on time, with cores to spare
)

// ScheduleKept counts the whole seconds of the run in which kabench kept to the
// schedule. It did in a second if it dropped no request that was due then, and if at
// most 1 % of these requests were later than load.max_lag.
type ScheduleKept struct {
	Seconds          int     `json:"seconds"`      // whole seconds in which something was due
	Held             int     `json:"seconds_held"` // of Seconds: those in which the schedule was kept
	HeldRate         float64 `json:"held_rate"`    // the highest rate of requests due, and ended, in a second in which the schedule was kept
	Through          float64 `json:"through_rate"` // requests ok in the median second
	DroppedLate      uint64  `json:"dropped_while_late"`
	DroppedSaturated uint64  `json:"dropped_while_saturated"`
	Overload         string  `json:"overload,omitempty"` // what caused it: kabench, machine or target
}

// SetCPUPerExchange sets CPUPerExchange, in seconds: CPUSeconds, which cover the
// whole run, divided by the number of exchanges that were started or due in the
// warm-up. It is 0 when there were none.
func (i *Instrument) SetCPUPerExchange(c Counts) {
	i.CPUPerExchange = 0
	if n := c.Started + c.WarmUp; n > 0 {
		i.CPUPerExchange = i.CPUSeconds / float64(n)
	}
}

// Recording says what the record of exchanges contains. It contains every failure
// and every exchange that was sent again. Of the other successes it contains one in
// SuccessesOneIn, chosen by a hash of their number.
type Recording struct {
	Written        uint64 `json:"written"`
	SuccessesOneIn uint64 `json:"successes_one_in"` // 1: every one
	LeftOut        uint64 `json:"left_out"`         // successes not written, by choice
	Lost           uint64 `json:"lost,omitempty"`   // exchanges of any kind not written, because the record had stopped
	Error          string `json:"error,omitempty"`  // why the record, or the samples, stop early
}
