package collectors

import (
	"runtime"
	"runtime/debug"
	"time"

	"github.com/kabench/kabench/internal/host"
	"github.com/kabench/kabench/results"
)

// process watches what the run costs kabench itself. What the system does not
// tell stays 0.
type process struct {
	goroutines, peakGoroutines int
	files, peakFiles           int

	cpuStart, cpuLast time.Duration // of the process, at begin and at the last look
	lastLook          time.Time

	gc         debug.GCStats // reused, so that reading it allocates once
	gcStart    int64         // collections before the run
	gcLast     int64         // collections seen by the last look
	gcPauseMax time.Duration
}

// begin notes where the counters stand when the run starts.
func (p *process) begin(now time.Time) {
	// Else the peak would be that of the whole process so far. Where it cannot
	// be reset it is that: an upper bound.
	_ = host.ResetPeakRSS()
	p.cpuStart = cpuTime()
	p.cpuLast, p.lastLook = p.cpuStart, now
	debug.ReadGCStats(&p.gc)
	p.gcStart, p.gcLast = p.gc.NumGC, p.gc.NumGC
	p.look(now, true)
}

// look brings everything up to date, open files only if told to, and returns
// the share of one core used since the look before.
func (p *process) look(now time.Time, lookAtFiles bool) (cpu float64) {
	p.goroutines = runtime.NumGoroutine()
	p.peakGoroutines = max(p.peakGoroutines, p.goroutines)
	if lookAtFiles {
		if n, err := host.OpenFiles(); err == nil {
			p.files = n
			p.peakFiles = max(p.peakFiles, n)
		}
	}
	p.lookAtGC()
	used := cpuTime()
	if elapsed := now.Sub(p.lastLook); elapsed > 0 {
		cpu = (used - p.cpuLast).Seconds() / elapsed.Seconds()
	}
	p.cpuLast, p.lastLook = used, now
	return cpu
}

// lookAtGC takes in the collections since the last look. The runtime remembers
// the last 256, far more than there are between two samples.
func (p *process) lookAtGC() {
	debug.ReadGCStats(&p.gc)
	fresh := min(p.gc.NumGC-p.gcLast, int64(len(p.gc.Pause)))
	for _, pause := range p.gc.Pause[:fresh] { // the most recent first
		p.gcPauseMax = max(p.gcPauseMax, pause)
	}
	p.gcLast = p.gc.NumGC
}

// instrument is what the run cost from begin to the last look. What that is per
// exchange is left out.
func (p *process) instrument() results.Instrument {
	i := results.Instrument{
		CPUSeconds:     (p.cpuLast - p.cpuStart).Seconds(),
		PeakGoroutines: p.peakGoroutines,
		PeakOpenFiles:  p.peakFiles,
		GCPauses:       uint64(p.gcLast - p.gcStart),
		GCPauseMax:     p.gcPauseMax.Seconds(),
	}
	if rss, err := host.PeakRSS(); err == nil {
		i.PeakRSS = rss
	}
	return i
}

// cpuTime is the processor time used so far, or 0 where that is not told.
func cpuTime() time.Duration {
	used, err := host.CPUTime()
	if err != nil {
		return 0
	}
	return used
}
