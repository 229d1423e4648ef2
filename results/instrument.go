package results

// Instrument is what the run cost kabench itself, with a server in the same
// process the server's share in it, and whether the instrument may be believed.
type Instrument struct {
	CPUSeconds     float64      `json:"cpu_seconds"`              // user and system
	CPUPerExchange float64      `json:"cpu_seconds_per_exchange"` // see SetCPUPerExchange
	PeakGoroutines int          `json:"peak_goroutines"`
	PeakRSS        uint64       `json:"peak_rss_bytes"`
	PeakOpenFiles  int          `json:"peak_open_files"`
	GCPauses       uint64       `json:"gc_pauses"`
	GCPauseMax     float64      `json:"gc_pause_max"` // seconds
	GCPauseP99     float64      `json:"gc_pause_p99"` // seconds; at least the true one, at most a quarter above it
	Switches       uint64       `json:"involuntary_switches"`
	Machine        *Machine     `json:"machine,omitempty"` // nil: it does not tell
	Arrivals       Arrivals     `json:"arrivals"`
	Schedule       ScheduleKept `json:"schedule"`
}

// Machine is how busy the machine was, whoever kept it busy. Shares are of all
// its cores, 0 to 1.
type Machine struct {
	Busy      float64  `json:"busy"`              // over the run
	BusyPeak  float64  `json:"busy_peak"`         // in a second
	OwnPeak   float64  `json:"own_peak"`          // kabench's share of the cores it may use, in a second
	Steal     float64  `json:"steal"`             // taken by the hypervisor for others
	RunQueue  int      `json:"run_queue_peak"`    // tasks running or ready to, of those seen once a second
	Seconds   int      `json:"seconds"`           // looked at
	Saturated int      `json:"saturated_seconds"` // of these: no core was free, or the group's quota was used up
	Pressure  *float64 `json:"pressure,omitempty"`
	Throttled *float64 `json:"throttled_seconds,omitempty"`
}

// Verdicts of Arrivals.
const (
	ArrivalsFit       = "fit"
	ArrivalsMisfit    = "misfit"
	ArrivalsNotTested = "not_tested"
)

// Arrivals say whether requests arrived by the law they were to follow. A
// request arrives when it is started, when it is put in the buffer, or when it
// is dropped.
type Arrivals struct {
	Law      string   `json:"law"`     // the arrival process
	Verdict  string   `json:"verdict"` // fit, misfit or not_tested
	Why      string   `json:"why,omitempty"`
	Span     uint64   `json:"span"`               // how many gaps were taken together for one value
	Count    uint64   `json:"count"`              // values
	Distance *float64 `json:"distance,omitempty"` // Kolmogorov and Smirnov's D, 0 to 1
	P        *float64 `json:"p,omitempty"`        // how likely one as large is by chance
	OffP99   *float64 `json:"off_p99,omitempty"`  // of equal gaps: 99th percentile of the difference, seconds
}

// Whose fault an overload was.
const (
	OverloadKabench = "kabench" // it was behind its own schedule
	OverloadMachine = "machine" // no core was free
	OverloadTarget  = "target"  // or the pool: kabench was on time, with cores to spare
)

// ScheduleKept say in which whole seconds of the run its schedule was held. A
// second was held if nothing due in it was dropped, and no more than one
// request in a hundred was later than load.max_lag.
type ScheduleKept struct {
	Seconds          int     `json:"seconds"`      // whole seconds in which something was due
	Held             int     `json:"seconds_held"` // of these
	HeldRate         float64 `json:"held_rate"`    // the most that were due, and over, in one that was held, per second
	Through          float64 `json:"through_rate"` // ok per second, in the median of all
	DroppedLate      uint64  `json:"dropped_while_late"`
	DroppedSaturated uint64  `json:"dropped_while_saturated"`
	Overload         string  `json:"overload,omitempty"` // whose fault it was
}

// SetCPUPerExchange sets CPUPerExchange, in seconds: CPUSeconds, which are of
// the whole run, shared among the exchanges started and those due in the
// warm-up; 0 when there were none.
func (i *Instrument) SetCPUPerExchange(c Counts) {
	i.CPUPerExchange = 0
	if n := c.Started + c.WarmUp; n > 0 {
		i.CPUPerExchange = i.CPUSeconds / float64(n)
	}
}

// Recording says what the record of exchanges holds. Failures and what was sent
// again are always in it; of the other successes one in SuccessesOneIn, chosen by
// a hash of their number.
type Recording struct {
	Written        uint64 `json:"written"`
	SuccessesOneIn uint64 `json:"successes_one_in"` // 1: every one
	LeftOut        uint64 `json:"left_out"`         // successes not written, by choice
	Lost           uint64 `json:"lost,omitempty"`   // exchanges of any kind not written, because the record had stopped
	Error          string `json:"error,omitempty"`  // why the record, or the samples, stop early
}
