package foresee

import (
	"fmt"
	"sync"
	"time"

	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/terminal"
)

// progress says on stderr how far the work is, and how long the rest will take.
type progress struct {
	s     *cli.Streams
	mu    sync.Mutex
	begun time.Time
	last  time.Time
}

func newProgress(s *cli.Streams) *progress {
	now := time.Now()
	return &progress{s: s, begun: now, last: now}
}

// show may be called by several goroutines.
func (p *progress) show(done float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	screen, _ := p.s.Err.(*terminal.Screen)
	drawn := screen != nil && screen.IsTerminal()
	every := time.Second
	if !drawn {
		every = 10 * time.Second
	}
	now := time.Now()
	if now.Sub(p.last) < every || done <= 0 {
		return
	}
	p.last = now
	left := time.Duration(float64(now.Sub(p.begun)) * (1 - done) / done).Round(time.Second)
	line := fmt.Sprintf("forecast: %.0f %%, %v left", 100*done, left)
	if drawn {
		screen.Draw([]string{line})
	} else {
		fmt.Fprintln(p.s.Err, line)
	}
}

// end takes the line away.
func (p *progress) end() {
	if screen, ok := p.s.Err.(*terminal.Screen); ok && screen.IsTerminal() {
		screen.Draw(nil)
	}
}
