package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// crowd is the number of sockets in TIME_WAIT of the scenario with that name.
const crowd = 30_000

// fill makes n connections end so that their sockets stay in TIME_WAIT, which takes a
// minute on Linux. They are between addresses that no tool uses, so they take no ports
// from the tools. It returns an error if the system does not keep them.
func (b *bench) fill(ctx context.Context, n int) error {
	if n == 0 {
		return nil
	}
	before := waitingSockets()
	for left := n; left > 0; {
		part := min(left, portRange()/2)
		if err := waitFor(ctx, b.loopbackAddress(), part); err != nil {
			return fmt.Errorf("making sockets in TIME_WAIT: %w", err)
		}
		left -= part
	}
	// Some that were there before may have ended meanwhile.
	if now := waitingSockets(); now >= 0 && now < int64(n)*9/10 {
		return fmt.Errorf("%d connections were closed, and there are %d sockets in TIME_WAIT, %d before", n, now, before)
	}
	return nil
}

// waitFor opens n connections to a listener on host and closes them, at the end of the
// client first: that end stays in TIME_WAIT.
func waitFor(ctx context.Context, host string, n int) error {
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return err
	}
	accepting := make(chan struct{})
	go func() {
		defer close(accepting)
		var all sync.WaitGroup
		defer all.Wait()
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				conn.SetDeadline(time.Now().Add(10 * time.Second))
				conn.Read(make([]byte, 1)) // until the client has closed
				conn.Close()
			})
		}
	}()
	var failed error
	for i := 0; i < n && failed == nil; i++ {
		if failed = context.Cause(ctx); failed != nil {
			break
		}
		var conn net.Conn
		if conn, failed = net.Dial("tcp", l.Addr().String()); failed == nil {
			failed = conn.Close()
		}
	}
	closed := l.Close()
	<-accepting
	return errors.Join(failed, closed)
}
