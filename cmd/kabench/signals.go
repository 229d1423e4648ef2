package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"

	"github.com/kabench/kabench/internal/harness"
)

// interruptible returns a context and a channel for a run: the first SIGINT,
// SIGTERM or SIGHUP closes stop, so that what is in flight may finish; the second cancels
// the context, so that it is given up. A third one, after restore or not, is the
// system's: it kills. Restore may be called again.
func interruptible(parent context.Context, stderr io.Writer) (ctx context.Context, stop <-chan struct{}, restore func()) {
	ctx, cancel := context.WithCancel(parent)
	stopping := make(chan struct{})
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, harness.StopSignals()...)
	done := make(chan struct{})
	go func() {
		select {
		case <-signals:
		case <-done:
			return
		}
		fmt.Fprintln(stderr, "\nkabench: interrupted; waiting for what is in flight (once more: give it up)")
		close(stopping)
		select {
		case <-signals:
		case <-done:
			return
		}
		signal.Stop(signals)
		cancel()
	}()
	return ctx, stopping, sync.OnceFunc(func() {
		close(done)
		signal.Stop(signals)
		cancel()
	})
}
