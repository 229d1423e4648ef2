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

// Sockets says that sockets can be added.
const Sockets = true

const (
	// maxSpin bounds the time before a deadline that is spent awake. It is above
	// the lateness of a sleeping thread on an idle machine, some 50 us.
	maxSpin = 100 * time.Microsecond
	// share is how much of the time asleep may be spent on being exact, by waking
	// for everything and spinning: one in so many. Beyond it, what happens within
	// a quantum is seen together.
	share = 10
	// maxCredit is how much of that may be kept for later.
	maxCredit = 2 * time.Millisecond
	// wakeCost is what waking a sleeping thread costs, about.
	wakeCost = 20 * time.Microsecond
	// quantum is the least time between two wake-ups where there is no credit left
	// and a deadline sooner than that.
	quantum = 100 * time.Microsecond
	// yieldEvery is how often the goroutine passes through the scheduler. A P
	// whose goroutine has not done so for 10 ms is taken from it in its next
	// system call (runtime.retake), and to take it back costs several wake-ups
	// of other threads at every wait. To pass through costs one.
	yieldEvery = 8 * time.Millisecond
)

// wakeToken is the token of the descriptor behind Wake.
const wakeToken = ^uint64(0)

// A Poller waits for sockets and for the clock. It belongs to one goroutine,
// but for Wake. Its errors are of the machine (no descriptors left), so a
// Poller that was made works until it is closed.
type Poller struct {
	epoll, wake int
	woken       atomic.Bool
	closing     sync.Mutex // held to write to wake, and to close it
	closed      bool       // guarded by closing
	raw         [256]unix.EpollEvent
	noPwait2    bool // the kernel is older than 5.11

	early   time.Duration // how long before a deadline the thread is to be awake
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

// Close gives the Poller's own descriptors back. Nobody may be waiting.
func (p *Poller) Close() {
	p.closing.Lock()
	defer p.closing.Unlock()
	p.closed = true
	unix.Close(p.epoll)
	unix.Close(p.wake)
}

// Add has Wait tell of a non-blocking socket, once for each change, until it is
// closed: who is told that it is readable must read until there is nothing
// left. A token must not be ^uint64(0).
func (p *Poller) Add(fd int, token uint64) error {
	return p.add(fd, token, unix.EPOLLIN|unix.EPOLLOUT|unix.EPOLLRDHUP|unix.EPOLLET)
}

func (p *Poller) add(fd int, token uint64, events uint32) error {
	ev := unix.EpollEvent{Events: events, Fd: int32(token), Pad: int32(token >> 32)}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, fd, &ev))
}

// Wake makes a Wait under way, or else the next one, return at once. It may be
// called from any goroutine, and does nothing after Close.
func (p *Poller) Wake() {
	p.closing.Lock()
	defer p.closing.Unlock()
	if !p.closed && p.woken.CompareAndSwap(false, true) {
		one := [8]byte{1} // any number above 0 in either byte order
		unix.Write(p.wake, one[:])
	}
}

// Wait returns when something has happened, after d, when woken, or sooner for
// no reason. It fills events, none of them unless it was the first, and returns
// how many. With d 0 it does not wait, with d below 0 it waits without limit.
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
		if n > 0 || early == 0 || left > early { // the last by a signal
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

// learn moves early towards the median of how late the thread wakes.
func (p *Poller) learn(late time.Duration) {
	const step = time.Microsecond
	if late > p.early {
		p.early = min(p.early+step, maxSpin)
	} else {
		p.early = max(p.early-step, step)
	}
}

// yield lets the scheduler see the goroutine, if it has not for a while.
func (p *Poller) yield(now time.Time) {
	if now.Sub(p.yielded) >= yieldEvery {
		p.yielded = now
		runtime.Gosched()
	}
}

// look takes what has happened, without waiting.
func (p *Poller) look() int {
	// A raw call: it returns at once, so the scheduler need not know.
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.epoll), uintptr(unsafe.Pointer(&p.raw[0])), uintptr(len(p.raw)), 0, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}

// nap sleeps for a quantum, whatever happens.
func (p *Poller) nap() {
	p.exact()
	ts := unix.NsecToTimespec(int64(quantum))
	unix.Syscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&ts)), 0, 0)
	p.awake = time.Now()
}

// exact has the kernel wake this thread when it is time. It groups wake-ups
// within a thread's slack, 50 us unless it is set (prctl(2)), and a goroutine may
// have come to another thread since the last time.
func (p *Poller) exact() { unix.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_TIMERSLACK, 1, 0) }

// sleep waits for d, or without limit when it is negative, and takes what has
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
		// Sandboxes of system calls refuse what they do not know by EPERM.
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
			p.woken.Store(false) // after the read: a Wake in between is this one
			continue
		}
		events[filled] = Event{
			Token:    token,
			Readable: raw.Events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0,
			Writable: raw.Events&(unix.EPOLLOUT|unix.EPOLLHUP|unix.EPOLLERR) != 0,
			Ended:    raw.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0,
		}
		filled++
	}
	return filled
}

// MaxEvents is how many events one Wait may return; the slice it is given must
// have room for them.
const MaxEvents = 256
