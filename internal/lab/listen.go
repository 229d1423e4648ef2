package lab

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

// listener hands each connection it accepts to a goroutine of its own.
type listener struct {
	tcp    *net.TCPListener
	ctx    context.Context // done when close is called; ends the goroutines
	cancel context.CancelFunc
	wg     sync.WaitGroup // the accept loop and the goroutines
	once   sync.Once
	err    error // of close; set by once
}

// listen opens addr ("" is a free port of 127.0.0.1) for plain TCP: a socket of
// multipath TCP, Go's default, does not reset and count states as TCP does.
func listen(addr string) (*listener, error) {
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
	return &listener{tcp: ln.(*net.TCPListener), ctx: ctx, cancel: cancel}, nil
}

// serve starts accepting. admit, unless nil, is called before each connection
// and waits until it may be accepted; false ends the loop. accepted is called
// for each connection in turn, and what it returns in a goroutine of the
// connection's own.
func (l *listener) serve(admit func() bool, accepted func(*net.TCPConn) (handle func())) {
	l.wg.Go(func() {
		const first, most = 5 * time.Millisecond, time.Second
		wait, admitted := first, admit == nil
		for {
			if !admitted && !admit() {
				return
			}
			admitted = true
			conn, err := l.tcp.AcceptTCP()
			if l.ctx.Err() != nil {
				if err == nil {
					conn.Close()
				}
				return
			}
			if err != nil { // out of files, most likely: it passes
				if !sleep(l.ctx, wait) {
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

// close stops everything and waits for it. It may be called again.
func (l *listener) close() error {
	l.once.Do(func() {
		l.cancel()
		l.err = l.tcp.Close()
	})
	l.wg.Wait()
	return l.err
}

// sleep reports whether d passed before ctx was done.
func sleep(ctx context.Context, d time.Duration) bool {
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
