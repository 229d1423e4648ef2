package results

import (
	"encoding/json"
	"slices"
	"time"
)

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
	Trace    *Trace   `json:"trace,omitempty"`    // of the law trace: what the log's arrivals are like
}

// Trace describes arrivals that were taken from a log, warm-up included.
type Trace struct {
	Requests   uint64  `json:"requests"`
	Seconds    float64 `json:"seconds"`
	Rate       float64 `json:"rate"`             // per second
	Log        int     `json:"log_requests"`     // selected from the log; the run has the first of them
	Begin      string  `json:"begin,omitempty"`  // the moment of the first, in the log's zone; empty: the log has no dates
	Speed      float64 `json:"speed"`            // by which the times of the log were divided
	Resolution float64 `json:"resolution"`       // of the log's stamps, in seconds
	Spread     bool    `json:"spread,omitempty"` // the stamps are so coarse that requests were spread at random within each
	// The index of dispersion of the counts in windows of that length: their variance over
	// their mean, 1 for a Poisson process. It is left out if there are fewer than ten windows.
	Dispersion10ms *float64 `json:"dispersion_10ms,omitempty"`
	Dispersion1s   *float64 `json:"dispersion_1s,omitempty"`
	Dispersion60s  *float64 `json:"dispersion_60s,omitempty"`
	// A burst is two or more requests whose gaps are each at most a tenth of the mean gap:
	// the mean number of requests in one, and the number and the length in seconds of the
	// largest.
	BurstMean    float64    `json:"burst_mean"`
	BurstLongest uint64     `json:"burst_most"`
	BurstSeconds float64    `json:"burst_seconds"`
	Hours        []HourRate `json:"hours,omitempty"` // of the whole log
}

// HourRate is the rate in an hour of the day, 0 to 23, per second.
type HourRate struct {
	Hour int     `json:"hour"`
	Rate float64 `json:"rate"`
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
	// Connections is what the record of connections contains; nil: there is none.
	Connections *RecordedConnections `json:"connections,omitempty"`
}

// RecordedConnections says what the record of the ends of connections contains. Of
// connections on which no request failed, one in SuccessesOneIn is recorded.
type RecordedConnections struct {
	Written uint64 `json:"written"`
	LeftOut uint64 `json:"left_out"`       // not written, by choice
	Lost    uint64 `json:"lost,omitempty"` // not written, because the record had stopped
}

// MaxSeconds is how many seconds of a run are looked at one by one: a day's.
const MaxSeconds = 24 * 60 * 60

// lateShare is the share of the requests of a second that may be later than allowed if
// the schedule of that second was kept: one in a hundred, as for the 99th percentile of
// lag.
const lateShare = 0.01

// Second is the accounts of one second of a run, warm-up included. As JSON it is a list
// of the fields, in their order; Saturated is 0 or 1.
type Second struct {
	Due       uint64 // in this second
	Dropped   uint64 // of Due
	Late      uint64 // of Due: started later than load.max_lag allows
	Counted   uint64 // of Dropped: not in the warm-up, and not because an agent was lost
	Over      uint64 // ended in this second, whenever they were due
	OK        uint64 // of Over
	Saturated bool   // no core was free, or the control group's quota was used up
}

// MarshalJSON writes s as a list.
func (s Second) MarshalJSON() ([]byte, error) {
	return json.Marshal([...]uint64{s.Due, s.Dropped, s.Late, s.Counted, s.Over, s.OK, uint64(b2i(s.Saturated))})
}

// UnmarshalJSON reads the list that MarshalJSON writes.
func (s *Second) UnmarshalJSON(text []byte) error {
	var n [7]uint64
	if err := json.Unmarshal(text, &n); err != nil {
		return err
	}
	*s = Second{n[0], n[1], n[2], n[3], n[4], n[5], n[6] != 0}
	return nil
}

// Seconds are the seconds of a run, from its start.
type Seconds []Second

// Add counts n exchanges that are equal to e, which is over. maxLag is load.max_lag; 0:
// none is late.
func (s *Seconds) Add(e *Exchange, n uint64, maxLag time.Duration) {
	if due := s.at(e.Due); due != nil {
		due.Due += n
		switch {
		case e.Phase == PhaseSchedule:
			due.Dropped += n
			if !e.WarmUp && e.Cause != CauseAgentLost {
				due.Counted += n
			}
		case maxLag > 0 && e.Lag() > maxLag:
			due.Late += n
		}
	}
	if e.Phase == PhaseSchedule || e.Unfinished() {
		return
	}
	if done := s.at(e.Done); done != nil {
		done.Over += n
		if e.OK() {
			done.OK += n
		}
	}
}

// at returns the second at an offset from the start; nil beyond MaxSeconds.
func (s *Seconds) at(offset time.Duration) *Second {
	if offset < 0 || offset >= MaxSeconds*time.Second {
		return nil
	}
	n := int(offset / time.Second)
	for len(*s) <= n {
		*s = append(*s, Second{})
	}
	return &(*s)[n]
}

// Merge adds the accounts of o. A second is saturated if it is in one of the two.
func (s *Seconds) Merge(o Seconds) {
	for n, from := range o[:min(len(o), MaxSeconds)] {
		to := s.at(time.Duration(n) * time.Second)
		to.Due += from.Due
		to.Dropped += from.Dropped
		to.Late += from.Late
		to.Counted += from.Counted
		to.Over += from.Over
		to.OK += from.OK
		to.Saturated = to.Saturated || from.Saturated
	}
}

// Saturated counts the seconds in which the machine was saturated.
func (s Seconds) Saturated() (n int) {
	for _, sec := range s {
		n += b2i(sec.Saturated)
	}
	return n
}

// Kept is how well the schedule was kept in the first part of the run, in which
// requests were due. It does not set Overload.
func (s Seconds) Kept(walked time.Duration) (k ScheduleKept) {
	var through []uint64
	for n, sec := range s {
		if time.Duration(n)*time.Second >= walked {
			break
		}
		behind := float64(sec.Late) > lateShare*float64(sec.Due-min(sec.Dropped, sec.Due))
		if behind {
			k.DroppedLate += sec.Counted
		}
		if sec.Saturated {
			k.DroppedSaturated += sec.Counted
		}
		if sec.Due == 0 || time.Duration(n+1)*time.Second > walked {
			continue // nothing was due, or the second is not a whole one
		}
		k.Seconds++
		through = append(through, sec.OK)
		if sec.Dropped == 0 && !behind {
			k.Held++
			// If more were due than ended, a backlog grew; if more ended than were
			// due, a backlog shrank.
			k.HeldRate = max(k.HeldRate, float64(min(sec.Due, sec.Over)))
		}
	}
	if len(through) > 0 {
		slices.Sort(through)
		k.Through = float64(through[len(through)/2])
	}
	return k
}
