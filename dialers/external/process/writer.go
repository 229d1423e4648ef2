package process

import (
	"errors"
	"os"
	"sync"
	"time"
)

// maxQueued is how many bytes may wait for a process to read them: about 60,000 frames.
const maxQueued = 16 << 20

var (
	// ErrQueued is a process that does not read what it is sent.
	ErrQueued = errors.New("16 MiB wait, and it does not read them")
	// ErrGone is a process that closed its stdin.
	ErrGone = errors.New("its stdin is closed")
)

// Writer writes to a process without ever blocking the caller. As long as the pipe
// has room, the caller's own thread writes, so that no other has to wake up. What finds
// no room is queued, and a goroutine writes it.
type Writer struct {
	file *os.File

	mu     sync.Mutex
	ready  sync.Cond
	queue  []byte    // guarded by mu
	busy   bool      // guarded by mu: the goroutine writes
	left   int       // guarded by mu: bytes that it has yet to write
	since  time.Time // guarded by mu: when bytes last left, while some wait
	err    error     // guarded by mu: nothing can be written any more
	closed bool      // guarded by mu
	done   chan struct{}
}

func newWriter(file *os.File) *Writer {
	w := &Writer{file: file, done: make(chan struct{})}
	w.ready.L = &w.mu
	widen(file)
	go w.run()
	return w
}

// Send writes bytes, or queues them.
func (w *Writer) Send(frames []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	if w.closed {
		return ErrGone
	}
	if !w.busy && len(w.queue) == 0 {
		n, err := tryWrite(w.file, frames)
		if err != nil {
			w.err = ErrGone
			return w.err
		}
		frames = frames[n:]
		if len(frames) == 0 {
			return nil
		}
		w.since = time.Now()
	}
	if w.left+len(w.queue)+len(frames) > maxQueued {
		w.err = ErrQueued
		return w.err
	}
	w.queue = append(w.queue, frames...)
	w.ready.Signal()
	return nil
}

// run writes what was queued.
func (w *Writer) run() {
	defer close(w.done)
	var room []byte
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		for len(w.queue) == 0 && !w.closed {
			w.ready.Wait()
		}
		if len(w.queue) == 0 {
			return
		}
		chunk := w.queue
		w.queue, w.busy, w.left = room[:0], true, len(chunk)
		w.mu.Unlock()
		err := w.write(chunk)
		w.mu.Lock()
		room, w.busy, w.left = chunk, false, 0
		if err != nil {
			w.err = ErrGone
			return
		}
	}
}

// writeSize is how much is written at once, so that since is not far behind.
const writeSize = 64 << 10

func (w *Writer) write(chunk []byte) error {
	for len(chunk) > 0 {
		n, err := w.file.Write(chunk[:min(len(chunk), writeSize)])
		if err != nil {
			return err
		}
		chunk = chunk[n:]
		w.mu.Lock()
		w.since = time.Now()
		w.left = len(chunk)
		w.mu.Unlock()
	}
	return nil
}

// Stuck is for how long bytes have waited without any being read; 0: none wait.
func (w *Writer) Stuck(now time.Time) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.busy && len(w.queue) == 0 || w.err != nil {
		return 0
	}
	return now.Sub(w.since)
}

// Close closes the process's stdin. What is queued is lost.
func (w *Writer) Close() {
	w.mu.Lock()
	w.closed, w.queue = true, nil
	w.ready.Signal()
	w.mu.Unlock()
	w.file.Close() // ends a write under way
	<-w.done
}
