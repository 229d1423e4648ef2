// Package serve is what the lab's server, link and proxy are built on: a listener
// with a goroutine for each connection, a certificate, a bounded reader.
package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Listener hands each connection it accepts to a goroutine of its own.
type Listener struct {
	TCP    *net.TCPListener
	Ctx    context.Context // done when Close is called, which ends the goroutines
	cancel context.CancelFunc
	wg     sync.WaitGroup // the accept loop and the goroutines
	once   sync.Once
	err    error // of Close; set by once
}

// Listen opens addr ("" is a free port of 127.0.0.1) for plain TCP. It switches off
// multipath TCP, Go's default, whose sockets differ from TCP in resets and states.
func Listen(addr string) (*Listener, error) {
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	ln, err := lc.Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Listener{TCP: ln.(*net.TCPListener), Ctx: ctx, cancel: cancel}, nil
}

// Serve starts to accept connections. Before each it calls admit, unless that is nil:
// admit waits until a connection may be accepted, and ends the loop with false. Serve
// calls accepted for one connection after the other, and runs the function that
// accepted returns in a goroutine of its own.
func (l *Listener) Serve(admit func() bool, accepted func(*net.TCPConn) (handle func())) {
	l.wg.Go(func() {
		const first, most = 5 * time.Millisecond, time.Second
		wait, admitted := first, admit == nil
		for {
			if !admitted && !admit() {
				return
			}
			admitted = true
			conn, err := l.TCP.AcceptTCP()
			if l.Ctx.Err() != nil {
				if err == nil {
					conn.Close()
				}
				return
			}
			if errors.Is(err, net.ErrClosed) { // by Refuse
				return
			}
			if err != nil { // most likely there is no file descriptor left; try again later
				if !Sleep(l.Ctx, wait) {
					return
				}
				wait = min(2*wait, most)
				continue
			}
			wait, admitted = first, admit == nil
			l.wg.Go(accepted(conn))
		}
	})
}

// Close stops the listener and all its goroutines, and waits for them. It may be
// called again.
func (l *Listener) Close() error {
	l.once.Do(func() {
		l.cancel()
		if err := l.TCP.Close(); !errors.Is(err, net.ErrClosed) { // Refuse has closed it
			l.err = err
		}
	})
	l.wg.Wait()
	return l.err
}

// Refuse closes the socket that listens, so that connects are refused. Connections that are
// open stay. It may be called again.
func (l *Listener) Refuse() { _ = l.TCP.Close() } // an error says that it is closed

// Go runs f in a goroutine that Close waits for.
func (l *Listener) Go(f func()) { l.wg.Go(f) }

// LongAgo is a deadline that has passed.
var LongAgo = time.Unix(1, 0)

// SetReadDeadline sets the deadline of conn's reads, unless the listener is being
// closed: then it has passed. The check comes last, because Close may have set
// its own deadline before this one.
func (l *Listener) SetReadDeadline(conn *net.TCPConn, t time.Time) {
	conn.SetReadDeadline(t)
	if l.Ctx.Err() != nil {
		conn.SetReadDeadline(LongAgo)
	}
}

// Sleep waits for d; false: ctx was done earlier.
func Sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
