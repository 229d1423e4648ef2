package results

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/zstd"
)

const (
	// flushEvery is how much of a run may be lost when it is killed.
	flushEvery = time.Second
	// maxUnwritten bounds the lines waiting for the disk, in bytes over all
	// shards: a second of 150,000 exchanges/s, above what one process sends.
	maxUnwritten = 32 << 20
	// recordWindow is the compression window: what a reader must hold.
	recordWindow = 1 << 20
)

// errDiskSlow stops the record: holding back the load would falsify the run,
// and holding the lines would grow without bound.
var errDiskSlow = errors.New("the disk is slower than the load: the record of exchanges stops here")

// record is exchanges.ndjson.zst while it is written. Observers append lines
// to a few buffers; a goroutine compresses them into one frame every second.
// Each frame is complete in itself, so a cut in one spoils none before it.
type record struct {
	file     *appendFile
	oneIn    uint64 // set by begin, before there are observers
	perShard int    // bytes a shard may hold
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
	enc   *zstd.Encoder
	frame bytes.Buffer
	spare []byte
}

// shard is padded so that two of them share no cache line.
type shard struct {
	mu    sync.Mutex
	lines []byte
	count uint64
	_     [64]byte
}

func newRecord(file *appendFile, flushed func()) *record {
	n := 1
	for n < runtime.GOMAXPROCS(0) {
		n *= 2
	}
	return &record{
		file: file, oneIn: 1, perShard: maxUnwritten / n, shards: make([]shard, n), flushed: flushed, quit: make(chan struct{}),
	}
}

// begin starts the flusher.
func (r *record) begin(oneIn uint64) {
	r.begun.Do(func() {
		r.mu.Lock()
		r.oneIn = max(oneIn, 1)
		r.mu.Unlock()
		r.done = make(chan struct{})
		go r.flushLoop()
	})
}

func (r *record) observe(e *Exchange) {
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
	full := len(s.lines) >= r.perShard
	if !full {
		s.lines = appendLine(s.lines, e)
		s.count++
	}
	s.mu.Unlock()
	if full {
		r.lost.Add(1)
		r.stop(errDiskSlow)
	}
}

// optional reports whether the record may leave e out, when it holds one success
// in so many: nothing happened to it.
func optional(e *Exchange) bool { return e.OK() && len(e.Tries) == 0 }

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
func (r *record) stop(err error) {
	r.stopped.Store(true)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = err
	}
}

func (r *record) flushLoop() {
	defer close(r.done)
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			r.flush()
			r.flushed()
		case <-r.quit:
			return
		}
	}
}

// flush writes what the shards hold as one frame. Lines taken from a shard
// when the record can no longer be written are lost, and counted.
func (r *record) flush() {
	r.frame.Reset()
	if r.enc == nil {
		// These options are valid, so this cannot fail.
		enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
			zstd.WithWindowSize(recordWindow))
		if err != nil {
			r.stop(fmt.Errorf("compressing %s: %w", r.file.name, err))
			return
		}
		r.enc = enc
	}
	r.enc.Reset(&r.frame)
	var count uint64
	for i := range r.shards {
		lines, n := r.shards[i].take(r.spare)
		if n > 0 {
			if _, err := r.enc.Write(lines); err != nil {
				r.stop(fmt.Errorf("compressing %s: %w", r.file.name, err))
			}
			count += n
		}
		r.spare = lines[:0]
	}
	if count == 0 {
		return
	}
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

// take exchanges the shard's lines for an empty buffer.
func (s *shard) take(empty []byte) (lines []byte, count uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines, count = s.lines, s.count
	s.lines, s.count = empty[:0], 0
	return lines, count
}

func (r *record) recording() (Recording, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Recording{
		Written: r.written, SuccessesOneIn: max(r.oneIn, 1), LeftOut: r.leftOut.Load(), Lost: r.lost.Load(),
	}, r.err
}

// close writes what is left and closes the file.
func (r *record) close() {
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
