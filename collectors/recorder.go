package collectors

import (
	"runtime"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/kabench/kabench/results"
)

// maxShards bounds the memory of a Recorder. A histogram takes 136 KiB, and a
// shard in which every phase occurred, and failed, has some thirty. An Observe
// holds its shard for about 0.2 µs: four are enough for 100,000/s.
const maxShards = 4

// Recorder adds up exchanges from many goroutines. It is a
// generator.Observer. Make one with NewRecorder.
type Recorder struct {
	shards []shard // an exchange belongs to the one its number selects

	// Owned by Interval.
	merged Intervals
	spare  *Intervals
}

// shard is one lock's worth of a Recorder.
type shard struct {
	mu       sync.Mutex
	tally    results.Tally // guarded by mu
	totals   Totals        // guarded by mu
	interval *Intervals    // guarded by mu; replaced by Interval

	_ [64]byte // keeps the next shard's lock off this one's cache line
}

// Totals are running totals of the exchanges that are over, warm-up included. Exchanges
// in flight or in the buffer are not in them yet.
type Totals struct {
	Due     uint64
	Started uint64
	OK      uint64
	Failed  uint64
	Errors  uint64                    // of OK: the status of the response was 400 or above
	Phases  [results.NumPhases]uint64 // of Failed: by the phase in which they ended
}

// Intervals are the times of the exchanges that ended in one interval, warm-up
// included, in histograms of results.NewHistogram. A time above results.HistogramMax
// counts as that.
type Intervals struct {
	Response *hdrhistogram.Histogram // of those that are ok
	Service  *hdrhistogram.Histogram // of those that are ok
	Lag      *hdrhistogram.Histogram // of all that were started
}

// NewIntervals makes Intervals without a time.
func NewIntervals() *Intervals {
	return &Intervals{results.NewHistogram(), results.NewHistogram(), results.NewHistogram()}
}

func (i *Intervals) reset() {
	i.Response.Reset()
	i.Service.Reset()
	i.Lag.Reset()
}

// Merge adds the times of from.
func (i *Intervals) Merge(from *Intervals) {
	i.Response.Merge(from.Response)
	i.Service.Merge(from.Service)
	i.Lag.Merge(from.Lag)
}

// NewRecorder makes an empty Recorder.
func NewRecorder() *Recorder {
	n := min(runtime.GOMAXPROCS(0), maxShards)
	r := &Recorder{shards: make([]shard, n), merged: *NewIntervals(), spare: NewIntervals()}
	for i := range r.shards {
		r.shards[i].interval = NewIntervals()
	}
	return r
}

// shardOf selects one of n shards for an exchange, by a hash (the finalizer of MurmurHash3),
// because in a share of a run all numbers may be even.
func shardOf(seq uint64, n int) uint64 {
	seq ^= seq >> 33
	seq *= 0xff51afd7ed558ccd
	return (seq ^ seq>>33) % uint64(n)
}

// Observe adds e, which is over. It does not keep e.
func (r *Recorder) Observe(e *results.Exchange) {
	s := &r.shards[shardOf(e.Seq, len(r.shards))]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tally.Add(e)
	s.totals.Due++
	if e.Phase == results.PhaseSchedule {
		return // dropped, or given up in the buffer: never started
	}
	s.totals.Started++
	record(s.interval.Lag, e.Lag())
	switch {
	case e.OK():
		s.totals.OK++
		if e.Status >= 400 {
			s.totals.Errors++
		}
		record(s.interval.Response, e.ResponseTime())
		record(s.interval.Service, e.ServiceTime())
	case e.Failed():
		s.totals.Failed++
		s.totals.Phases[e.Phase]++
	}
}

// record puts d into h, limited to the range of h so that h does not refuse it.
func record(h *hdrhistogram.Histogram, d time.Duration) {
	d = min(max(d, 0), results.HistogramMax)
	_ = h.RecordValue((d + time.Microsecond/2).Microseconds())
}

// Totals returns the totals of the exchanges observed so far.
func (r *Recorder) Totals() Totals {
	var t Totals
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		t.Due += s.totals.Due
		t.Started += s.totals.Started
		t.OK += s.totals.OK
		t.Failed += s.totals.Failed
		t.Errors += s.totals.Errors
		for phase, n := range s.totals.Phases {
			t.Phases[phase] += n
		}
		s.mu.Unlock()
	}
	return t
}

// Interval returns the times of the exchanges observed since the last call, or since the
// start. The next call reuses the histograms, and only one goroutine may call it.
func (r *Recorder) Interval() Intervals {
	r.merged.reset()
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		full := s.interval
		s.interval = r.spare
		s.mu.Unlock()
		// Merging takes longer than an Observe should wait.
		r.merged.Merge(full)
		full.reset()
		r.spare = full
	}
	return r.merged
}

// Fill sets the fields of run that results.Tally.Fill names from everything
// observed so far; measured is the length of the run without its warm-up.
func (r *Recorder) Fill(run *results.Run, measured time.Duration) {
	r.Tally().Fill(run, measured)
}

// Tally returns what the shards have counted so far, together. It blocks Observe for
// longer than a run should, so call it only after the run; Glance is for before.
func (r *Recorder) Tally() *results.Tally {
	var all results.Tally
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		all.Merge(&s.tally)
		s.mu.Unlock()
	}
	return &all
}

// Glance is Tally for a run that goes on. It has only the latencies named, because each of
// them delays Observe by tens of microseconds.
func (r *Recorder) Glance(latencies []string) *results.Tally {
	var all results.Tally
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		glance := s.tally.Glance(latencies)
		s.mu.Unlock()
		all.Merge(glance) // which takes longer than an Observe should wait
	}
	return &all
}

// Above implements expect.References.Above. It blocks Observe, so call it only after the
// run.
func (r *Recorder) Above(name string, d time.Duration) (above, of uint64) {
	return r.Tally().Above(name, d)
}
