package collectors

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"time"

	"github.com/kabench/kabench/internal/host"
	"github.com/kabench/kabench/results"
)

// process watches what the run costs kabench itself. What cannot be found out stays 0.
type process struct {
	goroutines, peakGoroutines int
	files, peakFiles           int

	cpuStart, cpuLast time.Duration // of the process, at begin and at the last look
	lastLook          time.Time

	gc         debug.GCStats // reused, so that reading it allocates once
	gcStart    int64         // collections before the run
	gcLast     int64         // collections seen by the last look
	gcPauseMax time.Duration

	pauses       [1]metrics.Sample // every stop of the world for a collection
	pausesBefore []uint64          // its buckets, before the run
}

// gcPauses is how long the world was stopped for collections, runtime/metrics'
// histogram.
const gcPauses = "/sched/pauses/total/gc:seconds"

// begin notes where the counters stand when the run starts.
func (p *process) begin(now time.Time) {
	// Without this the peak would include the time before the run. Where it cannot be
	// reset, the peak is an upper bound.
	_ = host.ResetPeakRSS()
	p.cpuStart = cpuTime()
	p.cpuLast, p.lastLook = p.cpuStart, now
	debug.ReadGCStats(&p.gc)
	p.gcStart, p.gcLast = p.gc.NumGC, p.gc.NumGC
	p.pauses[0].Name = gcPauses
	metrics.Read(p.pauses[:])
	if h := p.pauseHistogram(); h != nil {
		p.pausesBefore = slices.Clone(h.Counts)
	}
	p.look(now, true)
}

// pauseHistogram returns the histogram read last; nil if this Go has none.
func (p *process) pauseHistogram() *metrics.Float64Histogram {
	if p.pauses[0].Value.Kind() != metrics.KindFloat64Histogram {
		return nil
	}
	return p.pauses[0].Value.Float64Histogram()
}

// pauseP99 is the 99th percentile of the pauses since begin, in seconds: the
// upper edge of its bucket, no more than the longest.
func (p *process) pauseP99() float64 {
	metrics.Read(p.pauses[:])
	h := p.pauseHistogram()
	if h == nil || len(p.pausesBefore) != len(h.Counts) {
		return 0
	}
	var total, seen uint64
	for i, n := range h.Counts {
		total += n - p.pausesBefore[i]
	}
	for i, n := range h.Counts {
		seen += n - p.pausesBefore[i]
		if total > 0 && 100*seen >= 99*total {
			return min(h.Buckets[i+1], p.gcPauseMax.Seconds())
		}
	}
	return 0
}

// look brings everything up to date, open files only if files is set, and returns how much
// of one core was used since the look before.
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

// lookAtGC counts the collections since the last look. The runtime keeps the last 256,
// far more than happen between two samples.
func (p *process) lookAtGC() {
	debug.ReadGCStats(&p.gc)
	fresh := min(p.gc.NumGC-p.gcLast, int64(len(p.gc.Pause)))
	for _, pause := range p.gc.Pause[:fresh] { // the most recent first
		p.gcPauseMax = max(p.gcPauseMax, pause)
	}
	p.gcLast = p.gc.NumGC
}

// instrument returns what the run cost from begin to the last look, without the cost per
// exchange.
func (p *process) instrument() results.Instrument {
	i := results.Instrument{
		CPUSeconds:     (p.cpuLast - p.cpuStart).Seconds(),
		PeakGoroutines: p.peakGoroutines,
		PeakOpenFiles:  p.peakFiles,
		GCPauses:       uint64(p.gcLast - p.gcStart),
		GCPauseMax:     p.gcPauseMax.Seconds(),
		GCPauseP99:     p.pauseP99(),
	}
	if rss, err := host.PeakRSS(); err == nil {
		i.PeakRSS = rss
	}
	return i
}

// cpuTime is the processor time used so far; 0 if it cannot be found out.
func cpuTime() time.Duration {
	used, err := host.CPUTime()
	if err != nil {
		return 0
	}
	return used
}
