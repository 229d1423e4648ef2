package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/collectors"
	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/internal/terminal"
	"github.com/kabench/kabench/results"
)

// plainEvery is how often a line of progress is printed if stderr is no terminal.
const plainEvery = 5 * time.Second

// Progress shows how far a run has come: as lines that are drawn over and over in a
// terminal, as a line every five seconds elsewhere, and not at all with --json.
type Progress struct {
	screen *terminal.Screen
	Title  string
	last   time.Duration // when the last plain line was written
	Silent bool
}

func NewProgress(s *Streams) *Progress {
	to, ok := s.Err.(*terminal.Screen)
	if !ok {
		to = terminal.NewScreen(s.Err)
	}
	return &Progress{screen: to, Silent: s.JSON}
}

// Begin shows the title of a run that begins.
func (p *Progress) Begin(title string) {
	p.End()
	p.Title, p.last = title, 0
	if !p.Silent && !p.screen.IsTerminal() {
		fmt.Fprintln(p.screen, title)
	}
}

// Show draws now. It is the function for kabench.Options.Progress.
func (p *Progress) Show(now kabench.Progress) {
	p.Draw(now.Elapsed, progressLines(p.Title, now), plainProgress(p.Title, now))
}

// Prepare shows what goes on before the first request. It is the function for
// kabench.Options.Preparing.
func (p *Progress) Prepare(what string) {
	if p.Title != "" {
		what = p.Title + ": " + what
	}
	switch {
	case p.Silent:
	case p.screen.IsTerminal():
		p.screen.Draw([]string{what})
	default:
		fmt.Fprintln(p.screen, what)
	}
}

// Draw shows lines in a terminal. Elsewhere it prints plain every five seconds. elapsed is
// the time since Begin.
func (p *Progress) Draw(elapsed time.Duration, lines []string, plain string) {
	switch {
	case p.Silent:
	case p.screen.IsTerminal():
		p.screen.Draw(lines)
	case elapsed-p.last >= plainEvery:
		p.last = elapsed
		fmt.Fprintln(p.screen, plain)
	}
}

// End clears the lines.
func (p *Progress) End() { p.screen.Draw(nil) }

// elapsed returns for example "12 s of 35 s, warming up".
func elapsed(now kabench.Progress) string {
	s := strconv.Itoa(int(now.Elapsed.Round(time.Second).Seconds())) + " s"
	if now.Total > 0 {
		s += fmt.Sprintf(" of %d s", int(now.Total.Round(time.Second).Seconds()))
	}
	switch {
	case now.Elapsed < now.WarmUp:
		s += ", warming up"
	case now.Total > 0 && now.Elapsed > now.Total:
		s += ", waiting for requests in flight"
	}
	return s
}

// errorsOf counts the responses with an error status among the requests that are ok; "" if
// there are none.
func errorsOf(t collectors.Totals) string {
	if t.Errors == 0 {
		return ""
	}
	return fmt.Sprintf(" (%d error responses)", t.Errors)
}

// byPhase counts failed exchanges by phase, for example "before_response 10, connect 2".
func byPhase(now kabench.Progress) string {
	var list []string
	for phase, n := range now.Totals.Phases {
		if n > 0 {
			list = append(list, fmt.Sprintf("%v %d", results.Phase(phase), n))
		}
	}
	return strings.Join(list, ", ")
}

// ofCap returns a gauge and its cap, if there is one.
func ofCap(n, limit int) string {
	if limit < 0 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%d of %d", n, limit)
}

// poolLine returns the pool's gauges. The cap on connections is shown with the leased ones,
// because those are what uses it up.
func poolLine(now kabench.Progress) string {
	maxConns := now.MaxConns
	if maxConns == 0 {
		maxConns = -1
	}
	g := now.Pool
	return fmt.Sprintf("leased %s, idle %d, dialing %d, pending %s", ofCap(g.Leased, maxConns), g.Idle, g.Dialing, ofCap(g.Pending, now.PendingMax))
}

func progressLines(title string, now kabench.Progress) []string {
	head := elapsed(now)
	if title != "" {
		head = title + ": " + head
	}
	t := now.Totals
	lines := []string{
		head,
		fmt.Sprintf("rate       %.0f/s offered, %.0f/s achieved, %.0f/s ok", now.Offered, now.Achieved, now.Throughput),
		fmt.Sprintf("requests   in flight %d, ok %d%s, failed %d, dropped %d", now.InFlight, t.OK, errorsOf(t), t.Failed, t.Due-min(t.Started, t.Due)),
		"pool       " + poolLine(now),
	}
	if now.Buffered > 0 {
		lines[2] += fmt.Sprintf(", buffered %d", now.Buffered)
	}
	if t.Failed > 0 {
		lines = append(lines, "failures   "+byPhase(now))
	}
	if k := now.Sockets; k != nil {
		line := fmt.Sprintf("sockets    TIME_WAIT client %d", k.Client["TIME_WAIT"])
		if k.Server != nil {
			line += fmt.Sprintf(", server %d", k.Server["TIME_WAIT"])
		}
		line += fmt.Sprintf("; ports used %d", k.PortsUsed)
		if now.Ports > 0 {
			line += fmt.Sprintf(" of %d", now.Ports)
		}
		lines = append(lines, line)
	}
	return lines
}

func plainProgress(title string, now kabench.Progress) string {
	t := now.Totals
	rate := "nothing due now" // between bursts
	if now.Offered >= 0.5 || now.Achieved >= 0.5 {
		rate = fmt.Sprintf("%.0f/s of %.0f/s started", now.Achieved, now.Offered)
	}
	line := fmt.Sprintf("%s · %s · due %d, ok %d%s, failed %d", elapsed(now), rate, t.Due, t.OK, errorsOf(t), t.Failed)
	if title != "" {
		line = title + ": " + line
	}
	if t.Failed > 0 {
		line += " (" + byPhase(now) + ")"
	}
	line += fmt.Sprintf(", in flight %d · %s", now.InFlight, poolLine(now))
	if k := now.Sockets; k != nil {
		line += fmt.Sprintf(" · TIME_WAIT %d, ports used %d", k.Client["TIME_WAIT"], k.PortsUsed)
	}
	line, _ = layout.Cut(line, len(line))
	return line
}
