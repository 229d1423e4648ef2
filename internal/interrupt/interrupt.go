// Package interrupt lets a first signal end a command in order, and a second one end it
// soon.
package interrupt

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/internal/exit"
)

// Catch returns a context and a channel for a run: the first SIGINT, SIGTERM
// or SIGHUP closes stop, so that what is in flight may finish; the second cancels
// the context, so that it is given up, and ends the program after LastResort,
// whatever then goes on in it. A third one, after restore or not, is the
// system's: it kills. Restore may be called again.
func Catch(parent context.Context, stderr io.Writer) (ctx context.Context, stop <-chan struct{}, restore func()) {
	ctx, cancel := context.WithCancel(parent)
	stopping := make(chan struct{})
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, kabench.StopSignals()...)
	done := make(chan struct{})
	go func() {
		select {
		case <-signals:
		case <-done:
			return
		}
		close(stopping)
		say(stderr, "\nkabench: interrupted; waiting for what is in flight (once more: give it up)")
		select {
		case <-signals:
		case <-done:
			return
		}
		signal.Stop(signals)
		cancel()
		endAnyhow(stderr, done)
	}()
	return ctx, stopping, sync.OnceFunc(func() {
		close(done)
		signal.Stop(signals)
		cancel()
	})
}

// LastResort is how long a program that was told to give up has for it and for
// writing what it has. It is longer than a run in a private network has, whose
// process is killed before (patience in internal/harness).
const LastResort = 25 * time.Second

// endAnyhow ends the program unless it is done in time.
func endAnyhow(stderr io.Writer, done <-chan struct{}) {
	say(stderr, "kabench: giving up what is in flight (once more: end at once)")
	select {
	case <-done:
		return
	case <-time.After(LastResort):
	}
	say(stderr, fmt.Sprintf("kabench: not everything gave up within %v, so kabench ends here; `kabench report DIR` shows what a run had recorded", LastResort))
	os.Exit(int(exit.Interrupted))
}

// sayTime bounds the wait for a terminal, or whoever else reads, to take a line:
// one that takes none must not keep a signal from having its effect.
const sayTime = time.Second

func say(to io.Writer, line string) {
	said := make(chan struct{})
	go func() {
		defer close(said)
		fmt.Fprintln(to, line)
	}()
	select {
	case <-said:
	case <-time.After(sayTime):
	}
}
