package freed

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/kabench/kabench/internal/watch"
)

const (
	groups   = 1<<0 | 1<<2 // SKNLGRP_INET_TCP_DESTROY and SKNLGRP_INET6_TCP_DESTROY
	received = 4 << 20     // bytes that the kernel may keep for us, if it allows that
	queued   = 100_000     // messages that wait for Take
)

// Listener hears of the sockets of the network namespace in which it was opened.
type Listener struct {
	conn  *netlink.Conn
	began time.Time
	done  chan struct{}

	mu   sync.Mutex
	list []watch.Gone // guarded by mu
	lost uint64       // guarded by mu
}

// Open begins to listen. Times are since began. The calling goroutine's thread must be in the
// network namespace of the service.
func Open(began time.Time) (*Listener, error) {
	conn, err := netlink.Dial(unix.NETLINK_SOCK_DIAG, &netlink.Config{Groups: groups})
	if err != nil {
		return nil, fmt.Errorf("the last word of sockets (sock_diag): %w", err)
	}
	_ = conn.SetReadBuffer(received) // as much as it allows
	l := &Listener{conn: conn, began: began, done: make(chan struct{})}
	go l.read()
	return l, nil
}

func (l *Listener) read() {
	defer close(l.done)
	raw, err := l.conn.SyscallConn()
	if err != nil {
		return
	}
	buf := make([]byte, 32<<10)
	for {
		var n int
		var failed error
		err := raw.Read(func(fd uintptr) bool {
			n, failed = unix.Read(int(fd), buf)
			return failed != unix.EAGAIN && failed != unix.EINTR
		})
		switch {
		case err != nil:
			return // closed
		case errors.Is(failed, unix.ENOBUFS):
			l.miss()
			continue
		case failed != nil:
			return
		}
		l.take(buf[:n], time.Since(l.began))
	}
}

func (l *Listener) miss() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost++
}

// take takes the messages of a datagram.
func (l *Listener) take(b []byte, at time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(b) >= unix.NLMSG_HDRLEN {
		size := int(binary.NativeEndian.Uint32(b))
		if size < unix.NLMSG_HDRLEN || size > len(b) {
			return
		}
		if g, ok := parse(b[unix.NLMSG_HDRLEN:size]); ok {
			if g.At = at; len(l.list) < queued {
				l.list = append(l.list, g)
			} else {
				l.lost++
			}
		}
		b = b[min((size+unix.NLMSG_ALIGNTO-1)&^(unix.NLMSG_ALIGNTO-1), len(b)):]
	}
}

// Take calls do with each socket that was freed since the last call.
func (l *Listener) Take(do func(*watch.Gone)) {
	l.mu.Lock()
	list := l.list
	l.list = nil
	l.mu.Unlock()
	for i := range list {
		do(&list[i])
	}
}

// Lost is how often messages were lost, at least one each time.
func (l *Listener) Lost() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost
}

// Close stops listening.
func (l *Listener) Close() error {
	err := l.conn.Close()
	<-l.done
	return err
}
