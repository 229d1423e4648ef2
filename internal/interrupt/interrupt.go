// Package interrupt stops a command on a signal: in order after the first one, soon after
// the second.
package interrupt

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"time"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/internal/exit"
)

// Catch returns a context and a channel for a run. The first SIGINT, SIGTERM or SIGHUP closes
// stop, so that requests in flight may finish. The second cancels ctx, so that they are given
// up, and ends the program after LastResort if it has not ended by then. A third signal, or
// any after restore, has the system's default action: it kills the program. restore may be
// called more than once.
func Catch(parent context.Context, stderr io.Writer) (ctx context.Context, stop <-chan struct{}, restore func()) {
	return CatchWaiting(parent, stderr, func() string { return InFlight })
}

// InFlight is what a run waits for after the first signal.
const InFlight = "requests in flight"

// CatchWaiting is Catch for a command that waits for something else after the first signal:
// waits names it at that moment, as "the results to be delivered". "" means that the command
// ends at once.
func CatchWaiting(parent context.Context, stderr io.Writer, waits func() string) (ctx context.Context, stop <-chan struct{}, restore func()) {
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
		what := waits() // before the command knows of the signal and changes its answer
		close(stopping)
		if what == "" {
			say(stderr, "\nkabench: stopping")
		} else {
			say(stderr, "\nkabench: stopping: waiting for "+what+". Press Ctrl-C again to stop now")
		}
		select {
		case <-signals:
		case <-done:
			return
		}
		signal.Stop(signals)
		cancel()
		endAnyhow(stderr, what, done)
	}()
	return ctx, stopping, sync.OnceFunc(func() {
		close(done)
		signal.Stop(signals)
		cancel()
	})
}

// LastResort is how long the program has after the second signal to give up requests and to
// write its results. A run in a private network has less, because its process is killed
// earlier (patience in isolated.go of the root).
const LastResort = 25 * time.Second

// endAnyhow ends the program by force unless done is closed in time.
func endAnyhow(stderr io.Writer, what string, done <-chan struct{}) {
	if what == "" {
		what = "rest"
	}
	say(stderr, "kabench: giving up the "+strings.TrimPrefix(what, "the ")+". Press Ctrl-C again to end kabench at once")
	select {
	case <-done:
		return
	case <-time.After(LastResort):
	}
	say(stderr, fmt.Sprintf("kabench: ended by force, because something did not stop within %v; 'kabench report DIR' shows what a run had recorded", LastResort))
	os.Exit(int(exit.Interrupted))
}

// sayTime is how long to wait until a line has been written. A terminal that accepts no
// output must not prevent a signal from having its effect.
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
