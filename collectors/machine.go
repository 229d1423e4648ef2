package collectors

import (
	"runtime"
	"time"

	"github.com/kabench/kabench/internal/host"
	"github.com/kabench/kabench/results"
)

const (
	machinePeriod = time.Second // with ticks of 10 ms, a share of a second is exact to 1 %
	// saturatedShare: with this share of the cores busy, of all cores or of those
	// that kabench may use, a request that is due does not start at once.
	saturatedShare = 0.95
	// throttledShare is the share of a second for which the quota of the control
	// group stops it: half of one period of the quota (100 ms).
	throttledShare = 0.05
)

// reading is the machine's counters at one moment.
type reading struct {
	at        time.Time
	times     host.CPUTimes
	pressure  time.Duration // -1: not known
	throttled time.Duration // -1: there is no quota
	own       time.Duration // processor time of kabench
	switches  uint64
}

// readMachine takes one reading. It fails only if the CPU times, which every other figure
// is relative to, cannot be read.
func readMachine() (r reading, err error) {
	r = reading{at: time.Now(), pressure: -1, throttled: -1, own: cpuTime()}
	if r.times, err = host.ReadCPUTimes(); err != nil {
		return r, err
	}
	if d, err := host.CPUPressure(); err == nil {
		r.pressure = d
	}
	if q, err := host.ReadCPUQuota(); err == nil && q.Cores > 0 {
		r.throttled = q.Throttled
	}
	if n, err := host.InvoluntarySwitches(); err == nil {
		r.switches = n
	}
	return r, nil
}

// machine watches how busy the machine is. Owned by the Sampler's goroutine
// while that runs.
type machine struct {
	read   func() (reading, error) // readMachine, except in tests
	usable float64                 // cores that kabench may use
	epoch  time.Time

	known            bool
	first, last, end reading // of the run; last: at the end of the last window
	sum              results.Machine
	full             map[int]bool // seconds of the run in which it was saturated
}

func (m *machine) begin(epoch time.Time) {
	if m.read == nil {
		m.read = readMachine
	}
	m.epoch, m.full = epoch, map[int]bool{}
	m.usable = float64(runtime.GOMAXPROCS(0)) // which respects affinity and quota
	first, err := m.read()
	m.known = err == nil
	m.first, m.last, m.end = first, first, first
}

// look counts the window since the last one, if that is a second long or the run is
// over.
func (m *machine) look(over bool) {
	if !m.known || !over && time.Since(m.last.at) < machinePeriod-samplePeriod/10 {
		return
	}
	now, err := m.read()
	if err != nil {
		return
	}
	m.end = now
	window := now.at.Sub(m.last.at)
	if window < machinePeriod/2 {
		return // the rest of the run is too short to be exact, and only counts in the sums
	}
	was := m.last
	m.last = now
	m.sum.Seconds++
	m.sum.RunQueue = max(m.sum.RunQueue, now.times.Running)
	busy := share(now.times.Busy-was.times.Busy, now.times.Total-was.times.Total)
	own := (now.own - was.own).Seconds() / window.Seconds() / m.usable
	m.sum.BusyPeak = max(m.sum.BusyPeak, busy)
	m.sum.OwnPeak = max(m.sum.OwnPeak, own)
	throttled := now.throttled >= 0 && was.throttled >= 0 && (now.throttled-was.throttled).Seconds() > throttledShare*window.Seconds()
	if busy < saturatedShare && own < saturatedShare && !throttled {
		return
	}
	m.sum.Saturated++
	from, to := was.at.Sub(m.epoch), now.at.Sub(m.epoch)
	for n := max(int(from/time.Second), 0); time.Duration(n)*time.Second < to && n < maxSeconds; n++ {
		// Windows do not begin at whole seconds. A window stands for each second that
		// it covers for at least two fifths.
		begin := time.Duration(n) * time.Second
		if min(to, begin+time.Second)-max(from, begin) >= 2*time.Second/5 {
			m.full[n] = true
		}
	}
}

// saturated reports whether the machine was saturated in that second of the run.
func (m *machine) saturated(second int) bool { return m.full[second] }

// fill sets what is known about the machine.
func (m *machine) fill(i *results.Instrument) {
	if !m.known {
		return
	}
	sum, end := m.sum, m.end
	elapsed := end.at.Sub(m.first.at).Seconds()
	total := end.times.Total - m.first.times.Total
	sum.Busy = share(end.times.Busy-m.first.times.Busy, total)
	sum.Steal = share(end.times.Steal-m.first.times.Steal, total)
	if m.first.pressure >= 0 && end.pressure >= 0 && elapsed > 0 {
		p := min(max((end.pressure-m.first.pressure).Seconds()/elapsed, 0), 1)
		sum.Pressure = &p
	}
	if m.first.throttled >= 0 && end.throttled >= 0 {
		t := max(end.throttled-m.first.throttled, 0).Seconds()
		sum.Throttled = &t
	}
	i.Machine = &sum
	i.Switches = end.switches - m.first.switches
}

// share is part of total, 0 to 1. It is 0 if total is 0, or if a counter was reset.
func share(part, total uint64) float64 {
	if total == 0 || part > total {
		return 0
	}
	return float64(part) / float64(total)
}
