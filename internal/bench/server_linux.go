package main

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

func newServer() (server, error) { return newEpollServer() }

// cpuTime returns the CPU time of this process so far, in nanoseconds.
func cpuTime() int64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// epollServer is the recording server with the least CPU time: an epoll loop over
// non-blocking sockets, in one goroutine that never parks and so stays on its thread.
// For each request it makes one read and one write, and neither wakes nor waits for
// another thread. (The goroutine is not locked to its thread, because the scheduler
// interrupts it at times, and each interruption of a locked goroutine costs two
// switches.)
type epollServer struct {
	epoll, wake int // descriptors; wake is an eventfd

	mu       sync.Mutex
	commands []func()      // guarded by mu; the loop runs them
	ended    chan struct{} // closed, under mu, when the loop has ended
	failed   error         // why it ended; read after ended is closed

	// Used only by the loop.
	rec       *recording
	listeners map[int]*tls.Config // by descriptor; nil: without TLS
	shaking   map[*os.File]bool   // connections whose handshake goes on
	conns     []epollConn         // by descriptor
	spare     int                 // a descriptor in reserve, for connections when no other is left
	buf       []byte
	stopping  bool
}

type epollConn struct {
	stream
	live bool
	owed []byte // responses that the socket has not taken yet; until then nothing is read
	last bool   // the connection ends when owed is written

	secure *tls.Conn // over wire; nil: without TLS
	wire   *wire
}

func newEpollServer() (*epollServer, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	s := &epollServer{
		epoll: epoll, wake: wake, rec: newRecording(), listeners: map[int]*tls.Config{}, shaking: map[*os.File]bool{}, spare: -1,
		buf: make([]byte, 64<<10), ended: make(chan struct{}),
	}
	s.keepSpare()
	if err := s.watch(wake, unix.EPOLL_CTL_ADD, unix.EPOLLIN); err != nil {
		return nil, err
	}
	go s.loop()
	return s, nil
}

func (s *epollServer) watch(fd, op int, events uint32) error {
	if err := unix.EpollCtl(s.epoll, op, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)}); err != nil {
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	return nil
}

// inLoop runs f on the loop's thread and waits for it.
func (s *epollServer) inLoop(f func()) error {
	ran := make(chan struct{})
	if err := s.post(func() { f(); close(ran) }); err != nil {
		return err
	}
	select {
	case <-ran:
		return nil
	case <-s.ended:
	}
	select {
	case <-ran: // f itself ended the loop
		return nil
	default:
		return s.gone()
	}
}

func (s *epollServer) post(f func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.ended:
		return s.gone()
	default:
	}
	s.commands = append(s.commands, f)
	if _, err := unix.Write(s.wake, binary.NativeEndian.AppendUint64(nil, 1)); err != nil {
		return fmt.Errorf("waking the recording server: %w", err)
	}
	return nil
}

func (s *epollServer) gone() error {
	return fmt.Errorf("the recording server has ended: %w", cmp.Or(s.failed, net.ErrClosed))
}

func (s *epollServer) do(f func(*recording)) error {
	return s.inLoop(func() { f(s.rec) })
}

func (s *epollServer) listen(host string, as manner) (string, error) {
	ip, err := netip.ParseAddr(host)
	if err != nil || !ip.Is4() {
		return "", fmt.Errorf("listen on %q: not an IPv4 address", host)
	}
	config, err := as.config()
	if err != nil {
		return "", err
	}
	var addr string
	failed := s.inLoop(func() { addr, err = s.listenOn(ip, config) })
	return addr, errors.Join(failed, err)
}

func (s *epollServer) listenOn(ip netip.Addr, config *tls.Config) (string, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", fmt.Errorf("socket: %w", err)
	}
	bound, err := func() (unix.Sockaddr, error) {
		if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: ip.As4()}); err != nil {
			return nil, fmt.Errorf("bind: %w", err)
		}
		if err := unix.Listen(fd, 1<<15); err != nil { // limited by the kernel's somaxconn
			return nil, fmt.Errorf("listen: %w", err)
		}
		if err := s.watch(fd, unix.EPOLL_CTL_ADD, unix.EPOLLIN); err != nil {
			return nil, err
		}
		return unix.Getsockname(fd)
	}()
	if err != nil {
		unix.Close(fd)
		return "", err
	}
	s.listeners[fd] = config
	return netip.AddrPortFrom(ip, uint16(bound.(*unix.SockaddrInet4).Port)).String(), nil
}

func (s *epollServer) close() error {
	err := s.inLoop(func() { s.stopping = true })
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	<-s.ended
	return cmp.Or(err, s.failed)
}

func (s *epollServer) loop() {
	events := make([]unix.EpollEvent, 256)
	for !s.stopping && s.failed == nil {
		n, err := epollWait(s.epoll, events)
		if err != 0 && err != unix.EINTR {
			s.failed = fmt.Errorf("epoll_pwait: %w", err)
		}
		for _, event := range events[:n] {
			fd := int(event.Fd)
			switch {
			case fd < len(s.conns) && s.conns[fd].live:
				s.ready(fd)
			case fd == s.wake:
				s.runCommands()
			default:
				if config, ok := s.listeners[fd]; ok {
					s.accept(fd, config)
				}
			}
		}
	}
	for fd := range s.conns {
		if s.conns[fd].live {
			s.drop(fd)
		}
	}
	for fd := range s.listeners {
		unix.Close(fd)
	}
	for file := range s.shaking {
		file.Close() // its goroutine notices
	}
	unix.Close(s.spare)
	unix.Close(s.epoll)
	s.mu.Lock()
	defer s.mu.Unlock()
	unix.Close(s.wake)
	close(s.ended)
}

// epollWait waits without notice to Go's scheduler. With notice, the scheduler takes the
// processor from a waiting thread and gives it back for every event: at a few hundred
// requests per second, each request then costs four futex calls and a busy monitor
// thread, several times the other costs. Without notice, the monitor interrupts the wait
// every 10 ms (EINTR), which also lets a garbage collection run.
func epollWait(epoll int, events []unix.EpollEvent) (int, unix.Errno) {
	n, _, err := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epoll), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)),
		^uintptr(0), 0, 0) // no timeout, no signal mask
	if err != 0 {
		return 0, err
	}
	return int(n), 0
}

func (s *epollServer) runCommands() {
	var b [8]byte
	unix.Read(s.wake, b[:]) // resets the eventfd; an error means that the commands have run already
	s.mu.Lock()
	commands := s.commands
	s.commands = nil
	s.mu.Unlock()
	for _, f := range commands {
		f()
	}
}

func (s *epollServer) keepSpare() {
	fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		fd = -1
	}
	s.spare = fd
}

func (s *epollServer) accept(listener int, config *tls.Config) {
	for {
		fd, _, err := unix.Accept4(listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch {
		case errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE):
			// A connection that stays in the queue would wake the loop again and again.
			s.rec.refused++
			unix.Close(s.spare)
			if fd, _, err := unix.Accept4(listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC); err == nil {
				unix.Close(fd)
			}
			s.keepSpare()
			return
		case errors.Is(err, unix.ECONNABORTED) || errors.Is(err, unix.EINTR):
			continue
		case err != nil: // EAGAIN: no further connection
			return
		}
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) // otherwise pipelined responses would wait for ACKs
		if config != nil {
			s.rec.opened()
			s.shake(fd, config)
			continue
		}
		if s.watch(fd, unix.EPOLL_CTL_ADD, unix.EPOLLIN) != nil {
			s.rec.refused++
			unix.Close(fd)
			continue
		}
		s.add(fd, epollConn{})
		s.rec.opened()
		s.ready(fd) // the request has often arrived by now
	}
}

// add makes a connection known.
func (s *epollServer) add(fd int, c epollConn) {
	if fd >= len(s.conns) {
		s.conns = append(s.conns, make([]epollConn, fd+1-len(s.conns)+1024)...)
	}
	c.stream, c.live = stream{held: s.conns[fd].held[:0]}, true
	s.conns[fd] = c
}

// ready reads once and responds to the requests, or writes what is owed.
func (s *epollServer) ready(fd int) {
	c := &s.conns[fd]
	if len(c.owed) > 0 {
		s.write(fd, nil)
		return
	}
	if c.secure != nil {
		s.readSecure(fd)
		return
	}
	n, err := unix.Read(fd, s.buf)
	now := s.rec.now()
	switch {
	case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR):
		return
	case err != nil || n == 0:
		s.drop(fd)
		return
	}
	answers, last, ok := s.rec.took(&c.stream, s.buf[:n], now)
	c.last = last
	switch {
	case !ok:
		s.drop(fd)
	case answers == 0:
	default:
		s.write(fd, answersOf(answers, last))
	}
}

// answersOf returns the responses to n requests. With last, the last of them ends the
// connection.
func answersOf(n int, last bool) []byte {
	final := answer
	if last {
		final = answerClose
	}
	if n <= 1 {
		return final[:n*len(final)]
	}
	return append(bytes.Repeat(answer, n-1), final...)
}

// write writes what is owed, then data. It keeps what the socket does not take.
func (s *epollServer) write(fd int, data []byte) {
	c := &s.conns[fd]
	waited := len(c.owed) > 0
	if waited {
		data = append(c.owed, data...)
	}
	n, err := unix.Write(fd, data)
	switch {
	case err == nil:
		data = data[n:]
	case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR):
	default:
		s.drop(fd)
		return
	}
	if len(data) == 0 {
		c.owed = nil
		if c.last {
			s.drop(fd)
		} else if waited && s.watch(fd, unix.EPOLL_CTL_MOD, unix.EPOLLIN) != nil {
			s.drop(fd)
		}
		return
	}
	c.owed = append([]byte(nil), data...)
	if !waited && s.watch(fd, unix.EPOLL_CTL_MOD, unix.EPOLLOUT) != nil {
		s.drop(fd)
	}
}

func (s *epollServer) drop(fd int) {
	s.conns[fd].live, s.conns[fd].secure, s.conns[fd].wire = false, nil, nil
	s.rec.closed()
	unix.Close(fd)
}
