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
	// flushEvery is the time between writes: a run that is killed loses at most this much.
	flushEvery = time.Second
	// collectEvery is the longest time between compressions, and collectSoonest the
	// shortest. In between it is the time in which collectLines exchanges come, which
	// take about 0.2 ms: more at once would be a burst of work that delays the load
	// where no core is free, and fewer would wake the flusher more often.
	collectEvery   = flushEvery / 10
	collectSoonest = 10 * time.Millisecond
	collectLines   = 400
	// maxUnwritten is the most exchanges that wait for the disk, over all shards: 5 s
	// at 10,000/s, in 16 MiB.
	maxUnwritten = 50_000
	// keptBuffer is the capacity, in exchanges, up to which a buffer is used again. A
	// buffer that grew larger, because of a slow disk, is freed.
	keptBuffer = 4_000
	// lineChunk is how many bytes of lines are compressed at a time, and
	// maxFrameLines how many a frame holds before it is written, early.
	lineChunk     = 64 << 10
	maxFrameLines = 16 << 20
	// recordWindow is the compression window, which a reader must hold in memory. A
	// larger window does not help, because lines resemble those just before them: with
	// 1 MiB the record is 3 % larger. It also takes twice its size in memory.
	recordWindow = 128 << 10
)

// errDiskSlow stops the record: to slow down the load would falsify the run, and to
// keep the lines in memory would need more and more memory.
var errDiskSlow = errors.New("the disk is slower than the load: the record of exchanges stops here")

// recorder writes a file of lines, exchanges.ndjson.zst or connections.ndjson.zst.
// Observers put copies of exchanges or ends into a few buffers, the shards. A goroutine, the
// flusher, turns them into lines, compresses the lines, and writes them as one frame every
// second. Each frame can be read by itself, so an incomplete frame does not affect the
// frames before it. The observers do not make the lines themselves, because the next
// exchange is waiting for them: a copy takes an eighth of the time.
type recorder[T any] struct {
	line     func([]byte, *T) []byte // appends an item as a line
	file     *appendFile
	oneIn    uint64 // set by begin, before observers start
	perShard int    // the most exchanges that a shard may hold
	shards   []shard[T]
	leftOut  atomic.Uint64
	lost     atomic.Uint64
	stopped  atomic.Bool

	mu      sync.Mutex
	err     error // why it stopped
	written uint64

	flushed func() // called after each frame, by the flusher

	begun sync.Once
	quit  chan struct{} // closed by close
	done  chan struct{} // closed when the flusher has ended; nil before begin

	// only used by the flusher, and by close when the flusher has ended
	enc        *zstd.Encoder
	lines      []byte       // not compressed yet
	frame      bytes.Buffer // the next frame, as far as it is filled
	frameLines int          // bytes of lines compressed into frame; 0: no frame is begun
	inFrame    uint64       // exchanges in frame and in lines
	spare      []T
}

// shard is padded so that two of them share no cache line.
type shard[T any] struct {
	mu    sync.Mutex
	ended []T
	_     [64]byte
}

func newRecord[T any](file *appendFile, line func([]byte, *T) []byte, flushed func()) (*recorder[T], error) {
	enc, err := newEncoder()
	if err != nil {
		return nil, fmt.Errorf("compressing %s: %w", file.name, err)
	}
	n := 1
	for n < runtime.GOMAXPROCS(0) {
		n *= 2
	}
	return &recorder[T]{
		line: line, file: file, oneIn: 1, perShard: maxUnwritten / n, shards: make([]shard[T], n), flushed: flushed, quit: make(chan struct{}), enc: enc,
	}, nil
}

// begin starts the flusher.
func (r *recorder[T]) begin(oneIn uint64) {
	r.begun.Do(func() {
		r.mu.Lock()
		r.oneIn = max(oneIn, 1)
		r.mu.Unlock()
		r.done = make(chan struct{})
		go r.flushLoop()
	})
}

// observe records an exchange.
func observe(r *recorder[results.Exchange], e *results.Exchange) {
	if len(e.Tries) > 0 { // the owner of e may use the list again
		own := *e
		own.Tries = slices.Clone(e.Tries[:min(len(e.Tries), maxTries)])
		e = &own
	}
	r.add(e, e.Seq, optional(e))
}

// add records what has ended, unless it is optional and its number is one of those that
// are left out.
func (r *recorder[T]) add(item *T, number uint64, optional bool) {
	if optional && !kept(number, r.oneIn) {
		r.leftOut.Add(1)
		return
	}
	if r.stopped.Load() {
		r.lost.Add(1)
		return
	}
	s := &r.shards[mix(number)>>32%uint64(len(r.shards))]
	s.mu.Lock()
	full := len(s.ended) >= r.perShard
	if !full {
		s.ended = append(s.ended, *item)
	}
	s.mu.Unlock()
	if full {
		r.lost.Add(1)
		r.stop(errDiskSlow)
	}
}

// optional reports whether a record of only some successes may leave e out: e is a
// success at the first attempt.
func optional(e *results.Exchange) bool { return e.OK() && len(e.Tries) == 0 }

// kept reports whether a record of one success in n contains success seq. The hash makes
// the choice independent of any rhythm in the load.
func kept(seq, n uint64) bool { return n <= 1 || mix(seq)%n == 0 }

// HasEnd reports whether the record of a run with Recording.SuccessesOneIn oneIn has the end of
// a connection on which nothing failed.
func HasEnd(conn, oneIn uint64) bool { return kept(conn, oneIn) }

// mix is a hash of an exchange's number (splitmix64's finalizer). In a share of a run all
// numbers may be even. The high half selects the shard, so that it does not depend on what
// kept selects.
func mix(seq uint64) uint64 {
	seq += 0x9e3779b97f4a7c15
	seq = (seq ^ seq>>30) * 0xbf58476d1ce4e5b9
	seq = (seq ^ seq>>27) * 0x94d049bb133111eb
	return seq ^ seq>>31
}

// stop ends the record for good. It keeps the first reason.
func (r *recorder[T]) stop(err error) {
	r.stopped.Store(true)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = err
	}
}

func (r *recorder[T]) flushLoop() {
	defer close(r.done)
	flush := time.NewTicker(flushEvery)
	defer flush.Stop()
	pause := collectEvery
	collect := time.NewTimer(pause)
	defer collect.Stop()
	for {
		select {
		case <-collect.C:
			pause = nextPause(pause, r.collect())
			collect.Reset(pause)
		case <-flush.C:
			r.flush()
			r.flushed()
		case <-r.quit:
			return
		}
	}
}

// nextPause returns the pause in which collectLines exchanges come, if n came in the last.
func nextPause(last time.Duration, n int) time.Duration {
	return min(max(last*collectLines/time.Duration(max(n, 1)), collectSoonest), collectEvery)
}

// collect turns the exchanges in the shards into lines and compresses them, except the
// last few. It returns how many there were.
func (r *recorder[T]) collect() (n int) {
	for i := range r.shards {
		ended := r.shards[i].take(r.spare)
		n += len(ended)
		for j := range ended {
			r.lines = r.line(r.lines, &ended[j])
			r.inFrame++
			if len(r.lines) >= lineChunk {
				r.compress()
			}
		}
		clear(ended) // so that they keep no errors and lists alive
		if r.spare = ended[:0]; cap(ended) > keptBuffer {
			r.spare = nil
		}
	}
	return n
}

// compress adds the lines to the frame, and writes the frame when it is long.
func (r *recorder[T]) compress() {
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

// flush writes all exchanges, in the shards and already collected.
func (r *recorder[T]) flush() {
	r.collect()
	r.compress()
	if r.frameLines > 0 {
		r.write()
	}
}

// write writes the frame. If it cannot, the exchanges in the frame are lost, and it
// counts them.
func (r *recorder[T]) write() {
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

// take returns the shard's exchanges, and gives the shard the empty buffer.
func (s *shard[T]) take(empty []T) []T {
	s.mu.Lock()
	defer s.mu.Unlock()
	ended := s.ended
	s.ended = empty[:0]
	return ended
}

func (r *recorder[T]) recording() (results.Recording, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return results.Recording{
		Written: r.written, SuccessesOneIn: max(r.oneIn, 1), LeftOut: r.leftOut.Load(), Lost: r.lost.Load(),
	}, r.err
}

// close writes what is left and closes the file.
func (r *recorder[T]) close() {
	r.begun.Do(func() {}) // now begin does nothing
	close(r.quit)
	if r.done != nil {
		<-r.done
	}
	r.stopped.Store(true) // an exchange observed after this counts as lost
	r.flush()
	if err := r.file.close(); err != nil {
		r.stop(err)
	}
}
