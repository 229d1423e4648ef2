package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/kabench/kabench/internal/harness"
)

// progress tells a person how far a run has come: a line that is written over
// in a terminal, one every five seconds elsewhere, nothing with --json.
type progress struct {
	s      *streams
	title  string
	over   bool // the line is written over
	width  int  // of the line on the screen
	last   time.Duration
	silent bool
}

func newProgress(s *streams) *progress {
	return &progress{s: s, over: isTerminal(s.err), silent: s.json}
}

// begin starts a run with a title of its own.
func (p *progress) begin(title string) {
	p.end()
	p.title, p.last = title+": ", 0
	if !p.silent && !p.over {
		fmt.Fprintln(p.s.err, title)
	}
}

func (p *progress) show(now harness.Progress) {
	if p.silent || !p.over && now.Elapsed-p.last < 5*time.Second {
		return
	}
	p.last = now.Elapsed
	line := fmt.Sprintf("%s%d s", p.title, int(now.Elapsed.Seconds()))
	if now.Total > 0 {
		line += fmt.Sprintf(" of %d", int(now.Total.Seconds()))
	}
	t := now.Totals
	line += fmt.Sprintf(" · due %d, ok %d, failed %d, in flight %d · %s", t.Due, t.OK, t.Failed, now.InFlight, now.Pool)
	if !p.over {
		fmt.Fprintln(p.s.err, line)
		return
	}
	fmt.Fprintf(p.s.err, "\r%s%s", line, strings.Repeat(" ", max(p.width-len(line), 0)))
	p.width = len(line)
}

// end clears the line.
func (p *progress) end() {
	if p.width > 0 {
		fmt.Fprintf(p.s.err, "\r%s\r", strings.Repeat(" ", p.width))
		p.width = 0
	}
}
