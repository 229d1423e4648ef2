package record

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/kabench/kabench/results"
)

const (
	// flushEvery is how much of a run may be lost when it is killed.
	flushEvery = time.Second
	// collectEvery is how often lines are compressed: a tenth of a second's take
	// a tenth of the memory, and are no long burst of work beside the load.
	collectEvery = flushEvery / 10
	// maxUnwritten bounds the exchanges waiting for the disk, over all shards:
	// 5 s of 10,000/s, in 16 MiB.
	maxUnwritten = 50_000
	// keptBuffer is the number of exchanges up to which a buffer is used again:
	// what a slow disk made it grow to beyond that is given back.
	keptBuffer = 4_000
	// lineChunk is how many bytes of lines are compressed at a time, and
	// maxFrameLines how many a frame holds before it is written, early.
	lineChunk     = 64 << 10
	maxFrameLines = 16 << 20
	// recordWindow is the compression window: what a reader must hold. Lines are
	// like those just before them, so that a larger one makes the record larger,
	// by 3 % at 1 MiB, and takes twice its size in memory.
	recordWindow = 128 << 10
)

// errDiskSlow stops the record: holding back the load would falsify the run,
// and holding the lines would grow without bound.
var errDiskSlow = errors.New("the disk is slower than the load: the record of exchanges stops here")

// recorder is exchanges.ndjson.zst while it is written. Observers put copies of
// exchanges into a few buffers; a goroutine makes lines of them, compresses
// these, and writes them as one frame every second. Each frame is complete in
// itself, so a cut in one spoils none before it. The lines are not made by the
// observers, who have the next exchange waiting: a copy takes an eighth of the
// time.
type recorder struct {
	file     *appendFile
	oneIn    uint64 // set by begin, before there are observers
	perShard int    // exchanges a shard may hold
	shards   []shard
	leftOut  atomic.Uint64
	lost     atomic.Uint64
	stopped  atomic.Bool

	mu      sync.Mutex
	err     error // why stopped
	written uint64

	flushed func() // called after each frame, by the flusher

	begun sync.Once
	quit  chan struct{} // closed by close
	done  chan struct{} // closed when the flusher is gone; nil before begin

	// owned by the flusher, and by close after it
	enc        *zstd.Encoder
	lines      []byte       // not compressed yet
	frame      bytes.Buffer // the next, so far
	frameLines int          // bytes of lines compressed into it; 0: none begun
	inFrame    uint64       // exchanges in it and in lines
	spare      []results.Exchange
}

// shard is padded so that two of them share no cache line.
type shard struct {
	mu    sync.Mutex
	ended []results.Exchange
	_     [64]byte
}

func newRecord(file *appendFile, flushed func()) (*recorder, error) {
	// Its tables are made with the first line.
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(recordWindow))
	if err != nil {
		return nil, fmt.Errorf("compressing %s: %w", file.name, err)
	}
	n := 1
	for n < runtime.GOMAXPROCS(0) {
		n *= 2
	}
	return &recorder{
		file: file, oneIn: 1, perShard: maxUnwritten / n, shards: make([]shard, n), flushed: flushed, quit: make(chan struct{}), enc: enc,
	}, nil
}

// begin starts the flusher.
func (r *recorder) begin(oneIn uint64) {
	r.begun.Do(func() {
		r.mu.Lock()
		r.oneIn = max(oneIn, 1)
		r.mu.Unlock()
		r.done = make(chan struct{})
		go r.flushLoop()
	})
}

func (r *recorder) observe(e *results.Exchange) {
	if optional(e) && !kept(e.Seq, r.oneIn) {
		r.leftOut.Add(1)
		return
	}
	if r.stopped.Load() {
		r.lost.Add(1)
		return
	}
	s := &r.shards[e.Seq%uint64(len(r.shards))]
	s.mu.Lock()
	full := len(s.ended) >= r.perShard
	if !full {
		s.ended = append(s.ended, *e)
		if len(e.Tries) > 0 { // e's owner may use them again
			s.ended[len(s.ended)-1].Tries = slices.Clone(e.Tries[:min(len(e.Tries), maxTries)])
		}
	}
	s.mu.Unlock()
	if full {
		r.lost.Add(1)
		r.stop(errDiskSlow)
	}
}

// optional reports whether the record may leave e out, when it holds one success
// in so many: nothing happened to it.
func optional(e *results.Exchange) bool { return e.OK() && len(e.Tries) == 0 }

// kept reports whether success seq is one of the one in n that are recorded.
// The hash (splitmix64's finalizer) keeps the choice clear of any rhythm in
// the load.
func kept(seq, n uint64) bool {
	if n <= 1 {
		return true
	}
	seq += 0x9e3779b97f4a7c15
	seq = (seq ^ seq>>30) * 0xbf58476d1ce4e5b9
	seq = (seq ^ seq>>27) * 0x94d049bb133111eb
	return (seq^seq>>31)%n == 0
}

// stop ends the record for good; the first reason stays.
func (r *recorder) stop(err error) {
	r.stopped.Store(true)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = err
	}
}

func (r *recorder) flushLoop() {
	defer close(r.done)
	tick := time.NewTicker(collectEvery)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-tick.C:
			r.collect()
			if n%int(flushEvery/collectEvery) == 0 {
				r.flush()
				r.flushed()
			}
		case <-r.quit:
			return
		}
	}
}

// collect makes lines of what the shards hold and compresses them, but for the
// last few.
func (r *recorder) collect() {
	for i := range r.shards {
		ended := r.shards[i].take(r.spare)
		for j := range ended {
			r.lines = appendLine(r.lines, &ended[j])
			r.inFrame++
			if len(r.lines) >= lineChunk {
				r.compress()
			}
		}
		clear(ended) // of what they refer to
		if r.spare = ended[:0]; cap(ended) > keptBuffer {
			r.spare = nil
		}
	}
}

// compress takes the lines into the frame, which it writes when it is long.
func (r *recorder) compress() {
	if len(r.lines) == 0 {
		return
	}
	if r.frameLines == 0 {
		r.frame.Reset()
		r.enc.Reset(&r.frame)
	}
	if _, err := r.enc.Write(r.lines); err != nil {
		r.stop(fmt.Errorf("compressing %s: %w", r.file.name, err))
	}
	r.frameLines += len(r.lines)
	r.lines = r.lines[:0]
	if r.frameLines >= maxFrameLines {
		r.write()
	}
}

// flush writes what the shards hold and what was collected.
func (r *recorder) flush() {
	r.collect()
	r.compress()
	if r.frameLines > 0 {
		r.write()
	}
}

// write writes the frame. What is in it when the record can no longer be
// written is lost, and counted.
func (r *recorder) write() {
	count := r.inFrame
	r.inFrame, r.frameLines = 0, 0
	if err := r.enc.Close(); err != nil {
		r.stop(fmt.Errorf("compressing %s: %w", r.file.name, err))
	} else if err := r.file.append(r.frame.Bytes()); err != nil {
		r.stop(err)
	} else {
		r.mu.Lock()
		r.written += count
		r.mu.Unlock()
		return
	}
	r.lost.Add(count)
}

// take exchanges what the shard holds for an empty buffer.
func (s *shard) take(empty []results.Exchange) []results.Exchange {
	s.mu.Lock()
	defer s.mu.Unlock()
	ended := s.ended
	s.ended = empty[:0]
	return ended
}

func (r *recorder) recording() (results.Recording, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return results.Recording{
		Written: r.written, SuccessesOneIn: max(r.oneIn, 1), LeftOut: r.leftOut.Load(), Lost: r.lost.Load(),
	}, r.err
}

// close writes what is left and closes the file.
func (r *recorder) close() {
	r.begun.Do(func() {}) // from here on begin does nothing
	close(r.quit)
	if r.done != nil {
		<-r.done
	}
	r.stopped.Store(true) // what is observed too late counts as lost
	r.flush()
	if err := r.file.close(); err != nil {
		r.stop(err)
	}
}
