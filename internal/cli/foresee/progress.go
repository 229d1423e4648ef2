package foresee

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/interrupt"
	"github.com/kabench/kabench/results"
)

// catch returns a context for work on virtual time, which the first signal ends; stop and
// hard are for a real run, as interrupt.Catch returns them. waits names what such a run still
// waits for at that moment; "": nothing.
func catch(parent context.Context, s *cli.Streams, waits func() string) (soft, hard context.Context, stop <-chan struct{}, restore func()) {
	hard, stop, release := interrupt.CatchWaiting(parent, s.Err, waits)
	soft, cancel := context.WithCancel(hard)
	go func() {
		select {
		case <-stop:
			cancel()
		case <-soft.Done():
		}
	}()
	return soft, hard, stop, func() {
		release()
		cancel()
	}
}

// progress says on stderr how far the work is, and how long the rest will take.
type progress struct {
	*cli.Progress
	what  string
	mu    sync.Mutex
	begun time.Time
}

func newProgress(s *cli.Streams, what string) *progress {
	return &progress{Progress: cli.NewProgress(s), what: what, begun: time.Now()}
}

// share shows the share of the work that is done. It may be called by several goroutines.
func (p *progress) share(done float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	took := time.Since(p.begun)
	if done <= 0 || took < time.Second {
		return // most forecasts are over by then
	}
	line := fmt.Sprintf("%s: %.0f %%, about %v left", p.what, 100*done, time.Duration(float64(took)*(1-done)/done).Round(time.Second))
	p.Draw(took, []string{line}, line)
}

// trial shows how many of several trials are done. Most searches end before the last.
func (p *progress) trial(done, most int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	line := fmt.Sprintf("%s: %s tried, at most %d", p.what, results.FormatCount(uint64(done), "choice"), most)
	p.Draw(time.Since(p.begun), []string{line}, line)
}
