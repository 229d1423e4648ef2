package sandbox

import (
	"fmt"
	"runtime"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// batch is how many packets the wire reads from one device before it checks whether
// others are due.
const batch = 32

// wire is the thread that carries the packets of a core between TUN devices.
type wire struct {
	core  *core
	start time.Time
	fds   []int // of the hosts' TUN devices, by node
	polls []unix.PollFd
	wake  int // eventfd
	spare *frame

	mu     sync.Mutex // guards jobs and closed; after done, the core too
	jobs   []func()
	closed bool
	done   chan struct{}
	err    error // why it ended, other than by stop; read after done
}

func startWire(c *core, start time.Time, fds []int) (*wire, error) {
	wake, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	w := &wire{core: c, start: start, fds: fds, wake: wake, spare: c.frame(), done: make(chan struct{})}
	for _, fd := range append(fds[:len(fds):len(fds)], wake) {
		w.polls = append(w.polls, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	}
	c.deliver = w.write
	onOwnThread(w.run)
	return w, nil
}

// do runs f between two packets and waits for it. After the wire has ended, do runs f
// itself, because nothing else uses the core then.
func (w *wire) do(f func()) {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		<-w.done
		w.mu.Lock()
		defer w.mu.Unlock()
		f()
		return
	}
	done := make(chan struct{})
	w.jobs = append(w.jobs, func() { f(); close(done) })
	w.signal()
	w.mu.Unlock()
	<-done
}

// stop ends the wire and waits for it.
func (w *wire) stop() error {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		w.signal()
	}
	w.mu.Unlock()
	<-w.done
	return w.err
}

// signal wakes the thread; called under mu.
func (w *wire) signal() {
	one := [8]byte{1}
	_, _ = unix.Write(w.wake, one[:]) // if it is full, the thread will wake anyway
}

func (w *wire) now() int64 { return int64(time.Since(w.start)) }

// run is the wire's thread. It changes settings of the thread, which ends with it.
//
// Its system calls are raw: Go's scheduler does not learn that the thread blocks. So
// the thread keeps its place among the GOMAXPROCS threads that run Go code, and need
// not wait for a place behind the load each time it wakes. GOMAXPROCS is one larger
// while the thread runs. If the runtime needs the thread, as for a garbage collection,
// it sends a signal, which ends the wait.
func (w *wire) run() {
	defer close(w.done)
	defer reservePlace()()
	precise()
	for {
		w.core.advance(w.now())
		timeout := time.Duration(-1)
		if next := w.core.next(); next != never {
			timeout = time.Duration(max(0, next-w.now()))
		}
		if err := w.wait(timeout); err != nil {
			w.fail(err)
			return
		}
		if w.polls[len(w.polls)-1].Revents != 0 && w.work() {
			return
		}
		for node := range w.fds {
			if w.polls[node].Revents == 0 {
				continue
			}
			if err := w.read(node); err != nil {
				w.fail(err)
				return
			}
		}
	}
}

// fail records why the wire ended, and runs the jobs that are left.
func (w *wire) fail(err error) {
	w.err = fmt.Errorf("the wire broke: %w", err)
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.work()
}

// work runs the jobs of do. It reports whether the wire must end.
func (w *wire) work() (ended bool) {
	var count [8]byte
	_, _ = unix.Read(w.wake, count[:])
	w.mu.Lock()
	jobs := w.jobs
	w.jobs, ended = nil, w.closed
	w.mu.Unlock()
	for _, job := range jobs {
		job()
	}
	return ended
}

// wait waits for a packet or a job, but not longer than timeout (below 0: no limit).
func (w *wire) wait(timeout time.Duration) error {
	for i := range w.polls {
		w.polls[i].Revents = 0
	}
	var ts *unix.Timespec
	if timeout >= 0 {
		t := unix.NsecToTimespec(int64(timeout))
		ts = &t
	}
	_, _, errno := unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&w.polls[0])), uintptr(len(w.polls)),
		uintptr(unsafe.Pointer(ts)), 0, 0, 0)
	if errno != 0 && errno != unix.EINTR {
		return fmt.Errorf("ppoll: %w", errno)
	}
	return nil
}

// read takes in the packets that node has sent.
func (w *wire) read(node int) error {
	c := w.core
	for range batch {
		f := w.spare
		n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(w.fds[node]), uintptr(unsafe.Pointer(&f.buf[0])), uintptr(len(f.buf)))
		switch {
		case errno == unix.EAGAIN || errno == unix.EINTR:
			return nil
		case errno != 0:
			return fmt.Errorf("read from host %s: %w", c.names[node], errno)
		}
		f.n = int(n)
		now := w.now()
		if next := c.frame(); next != nil {
			w.spare = next
			c.receive(f, node, now)
		} else {
			c.overflow(f, node, now)
		}
		c.advance(now)
	}
	return nil
}

// write delivers a packet to node.
func (w *wire) write(node int, packet []byte) bool {
	for {
		_, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(w.fds[node]), uintptr(unsafe.Pointer(&packet[0])), uintptr(len(packet)))
		if errno != unix.EINTR {
			return errno == 0
		}
	}
}

// precise makes the calling thread wake as exactly as this process may: without timer
// slack, and before all ordinary threads if it is root; otherwise the short time slice
// helps (shortSlice). Errors are ignored, because the wire measures how late it is.
func precise() {
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	if unix.SchedSetAttr(0, &unix.SchedAttr{Policy: unix.SCHED_FIFO, Priority: 1}, 0) != nil {
		shortSlice()
	}
}

var places sync.Mutex // guards GOMAXPROCS: there may be several wires

// reservePlace raises GOMAXPROCS by one. The function that it returns lowers it again.
func reservePlace() (release func()) {
	places.Lock()
	defer places.Unlock()
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	return func() {
		places.Lock()
		defer places.Unlock()
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) - 1)
	}
}
