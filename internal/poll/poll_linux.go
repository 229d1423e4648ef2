package poll

import (
	"errors"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Sockets reports whether sockets can be added.
const Sockets = true

const (
	// maxSpin bounds how long the thread spins before a deadline. It is longer than the
	// lateness of a sleeping thread on an idle machine, about 50 us.
	maxSpin = 100 * time.Microsecond
	// share bounds the cost of exactness, which is waking for every event and spinning:
	// it may take at most 1/share of the time asleep. Beyond that, the events of a
	// quantum are taken together.
	share = 10
	// maxCredit is how much of that time may be saved for later.
	maxCredit = 2 * time.Millisecond
	// wakeCost is about what waking a sleeping thread costs.
	wakeCost = 20 * time.Microsecond
	// quantum is the shortest time between two wake-ups when no credit is left and the
	// deadline is sooner.
	quantum = 100 * time.Microsecond
	// yieldEvery is how often the goroutine calls the scheduler. If it has not done so
	// for 10 ms, the runtime takes its P away at the next system call
	// (runtime.retake); to get a P back then costs several wake-ups of other threads at
	// every wait. A call of the scheduler costs one.
	yieldEvery = 8 * time.Millisecond
)

// wakeToken is the token of the descriptor behind Wake.
const wakeToken = ^uint64(0)

// A Poller waits for sockets and for the clock. It belongs to one goroutine; only Wake
// may be called from others. New fails only if the machine has no descriptors left, and
// a Poller works until it is closed.
type Poller struct {
	epoll, wake int
	woken       atomic.Bool
	closing     sync.Mutex // held to write to wake, and to close it
	closed      bool       // guarded by closing
	raw         [256]unix.EpollEvent
	noPwait2    bool // the kernel is older than 5.11

	early   time.Duration // how long before a deadline the thread must be awake
	credit  time.Duration // see share
	yielded time.Time
	awake   time.Time // when it last woke from a sleep
}

// New returns a Poller with no sockets.
func New() (*Poller, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(epoll)
		return nil, os.NewSyscallError("eventfd", err)
	}
	now := time.Now()
	p := &Poller{epoll: epoll, wake: wake, early: 50 * time.Microsecond, yielded: now}
	if err := p.add(wake, wakeToken, unix.EPOLLIN); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// Close closes the Poller's own descriptors. No Wait may be in progress.
func (p *Poller) Close() {
	p.closing.Lock()
	defer p.closing.Unlock()
	p.closed = true
	unix.Close(p.epoll)
	unix.Close(p.wake)
}

// Add makes Wait return an event for each change of a non-blocking socket, until the
// socket is closed. After an event that the socket is readable, the caller must read
// until nothing is left. The token must not be ^uint64(0).
func (p *Poller) Add(fd int, token uint64) error {
	return p.add(fd, token, unix.EPOLLIN|unix.EPOLLOUT|unix.EPOLLRDHUP|unix.EPOLLET)
}

func (p *Poller) add(fd int, token uint64, events uint32) error {
	ev := unix.EpollEvent{Events: events, Fd: int32(token), Pad: int32(token >> 32)}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, fd, &ev))
}

// Wake makes the Wait in progress, or otherwise the next one, return at once. It may be
// called from any goroutine, and does nothing after Close.
func (p *Poller) Wake() {
	p.closing.Lock()
	defer p.closing.Unlock()
	if !p.closed && p.woken.CompareAndSwap(false, true) {
		one := [8]byte{1} // any number above 0 in either byte order
		unix.Write(p.wake, one[:])
	}
}

// Wait returns when an event has happened, after d, or after Wake; it may also return
// earlier without a reason. It stores the events that have happened and returns their
// number. It does not wait if d is 0, and waits without limit if d is below 0.
func (p *Poller) Wait(events []Event, d time.Duration) int {
	if d == 0 {
		return p.take(events, p.look())
	}
	start := time.Now()
	p.yield(start)
	if d < 0 {
		return p.take(events, p.sleep(-1))
	}
	early := p.early
	if p.credit < early {
		if d < quantum && start.Sub(p.awake) < quantum {
			p.nap()
			return p.take(events, p.look())
		}
		early = 0
	}
	if d > early {
		n := p.sleep(d - early)
		left := d - time.Since(start)
		if n > 0 || early == 0 || left > early { // the last case: a signal
			return p.take(events, n)
		}
		p.learn(early - left)
	}
	spinning := time.Now()
	defer func() { p.credit = max(p.credit-time.Since(spinning), 0) }()
	for {
		if n := p.look(); n > 0 {
			return p.take(events, n)
		}
		if time.Since(start) >= d {
			return 0
		}
	}
}

// learn moves early towards the median lateness of the thread.
func (p *Poller) learn(late time.Duration) {
	const step = time.Microsecond
	if late > p.early {
		p.early = min(p.early+step, maxSpin)
	} else {
		p.early = max(p.early-step, step)
	}
}

// yield calls the scheduler if yieldEvery has passed since the last call.
func (p *Poller) yield(now time.Time) {
	if now.Sub(p.yielded) >= yieldEvery {
		p.yielded = now
		runtime.Gosched()
	}
}

// look stores the events that have happened, without waiting.
func (p *Poller) look() int {
	// A raw call: it returns at once, so the scheduler need not know about it.
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.epoll), uintptr(unsafe.Pointer(&p.raw[0])), uintptr(len(p.raw)), 0, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}

// nap sleeps for a quantum, even if events happen.
func (p *Poller) nap() {
	p.exact()
	ts := unix.NsecToTimespec(int64(quantum))
	unix.Syscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&ts)), 0, 0)
	p.awake = time.Now()
}

// exact makes the kernel wake this thread without timer slack. The kernel groups
// wake-ups within the slack of a thread, 50 us by default (prctl(2)). It must be set
// again each time, because the goroutine may have moved to another thread.
func (p *Poller) exact() { unix.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_TIMERSLACK, 1, 0) }

// sleep waits for d, or without limit if d is negative, and stores the events that have
// happened.
func (p *Poller) sleep(d time.Duration) int {
	p.exact()
	asleep := time.Now()
	defer func() {
		p.awake = time.Now()
		p.credit = min(max(p.credit-wakeCost, 0)+p.awake.Sub(asleep)/share, maxCredit)
	}()
	var ts unix.Timespec
	var limit *unix.Timespec
	if d >= 0 {
		ts = unix.NsecToTimespec(int64(d))
		limit = &ts
	}
	if !p.noPwait2 {
		n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(p.epoll), uintptr(unsafe.Pointer(&p.raw[0])), uintptr(len(p.raw)),
			uintptr(unsafe.Pointer(limit)), 0, 0)
		if errno == 0 {
			return int(n)
		}
		// Sandboxes refuse system calls that they do not know with EPERM.
		p.noPwait2 = errors.Is(errno, syscall.ENOSYS) || errors.Is(errno, syscall.EPERM)
		if !p.noPwait2 {
			return 0 // interrupted by a signal
		}
	}
	fds := [1]unix.PollFd{{Fd: int32(p.epoll), Events: unix.POLLIN}}
	if n, err := unix.Ppoll(fds[:], limit, nil); n <= 0 || err != nil {
		return 0
	}
	return p.look()
}

// take turns n raw events into Events.
func (p *Poller) take(events []Event, n int) int {
	filled := 0
	for i := range n {
		raw := &p.raw[i]
		token := uint64(uint32(raw.Fd)) | uint64(uint32(raw.Pad))<<32
		if token == wakeToken {
			var b [8]byte
			unix.Read(p.wake, b[:])
			p.woken.Store(false) // after the read: a Wake in between counts for this Wait
			continue
		}
		events[filled] = Event{
			Token:    token,
			Readable: raw.Events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0,
			Writable: raw.Events&(unix.EPOLLOUT|unix.EPOLLHUP|unix.EPOLLERR) != 0,
			Ended:    raw.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0,
			Failed:   raw.Events&(unix.EPOLLHUP|unix.EPOLLERR) != 0,
		}
		filled++
	}
	return filled
}

// MaxEvents is how many events one Wait may return. Its slice must be that long.
const MaxEvents = 256
