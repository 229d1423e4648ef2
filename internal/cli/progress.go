package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/collectors"
	"github.com/kabench/kabench/internal/interrupt"
	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/internal/terminal"
	"github.com/kabench/kabench/results"
)

// plainEvery is how often a line of progress is printed if stderr is no terminal.
const plainEvery = 10 * time.Second

// Progress shows how far a run has come: as lines that are drawn over and over in a
// terminal, as a line every ten seconds elsewhere, and not at all with --json or --quiet.
type Progress struct {
	screen *terminal.Screen
	Title  string
	last   time.Duration // when the last plain line was written
	Silent bool
	runs   runs

	preparing atomic.Bool // since Prepare, until Show or End

	prepared string    // the last plain line of Prepare, up to its first number
	at       time.Time // when it was written
}

// runs are the runs of a command that makes several.
type runs struct {
	first time.Time     // when the first one began
	made  int           // those that have ended
	left  int           // those after the one that goes on
	each  time.Duration // how long one took, with what comes before and after it; 0: none has ended
}

// begin notes that another run begins: step of steps, counted from 1.
func (r *runs) begin(now time.Time, step, steps int) {
	if r.first.IsZero() {
		r.first = now
	} else {
		r.made++
		r.each = now.Sub(r.first) / time.Duration(r.made)
	}
	r.left = steps - step
}

// after returns how long the runs will take that follow one of that length.
func (r *runs) after(length time.Duration) time.Duration {
	if r.each > 0 {
		length = r.each
	}
	return time.Duration(r.left) * length
}

func NewProgress(s *Streams) *Progress {
	to, ok := s.Err.(*terminal.Screen)
	if !ok {
		to = terminal.NewScreen(s.Err)
	}
	return &Progress{screen: to, Silent: s.JSON || s.Quiet}
}

// Begin shows the title of a run that begins.
func (p *Progress) Begin(title string) {
	p.End()
	p.Title, p.last = title, 0
	if !p.Silent && !p.screen.IsTerminal() {
		fmt.Fprintln(p.screen, title)
	}
}

// BeginRun shows the title of a run that begins, step of steps.
func (p *Progress) BeginRun(step, steps int, title string) {
	p.runs.begin(time.Now(), step, steps)
	p.Begin(title)
}

// Show draws now. It is the function for kabench.Options.Progress.
func (p *Progress) Show(now kabench.Progress) {
	p.preparing.Store(false)
	p.Draw(now.Elapsed, progressLines(p.Title, now, p.runs), plainProgress(p.Title, now, p.runs))
}

// Prepare shows what goes on before the first request. It is the function for
// kabench.Options.Preparing.
func (p *Progress) Prepare(what string) {
	p.preparing.Store(true)
	kind := what
	if i := strings.IndexAny(what, "0123456789"); i >= 0 {
		kind = what[:i]
	}
	if p.Title != "" {
		what = p.Title + ": " + what
	}
	switch {
	case p.Silent:
	case p.screen.IsTerminal():
		p.screen.Draw([]string{what})
	default:
		// Lines that differ from their first number on only count something, and would fill a log.
		if now := time.Now(); kind != p.prepared || now.Sub(p.at) >= plainEvery {
			p.prepared, p.at = kind, now
			fmt.Fprintln(p.screen, what)
		}
	}
}

// Draw shows lines in a terminal. Elsewhere it prints plain every ten seconds. elapsed is
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
func (p *Progress) End() {
	p.preparing.Store(false)
	p.screen.Draw(nil)
}

// WaitsFor is what a command that is stopped now waits for. It is for interrupt.CatchWaiting, and
// may be called from any goroutine.
func (p *Progress) WaitsFor() string {
	if p.preparing.Load() {
		return "the preparation"
	}
	return interrupt.InFlight
}

// elapsed returns for example "12 s of 35 s, 23 s left" or, if more runs follow, "12 s of 35 s,
// all runs in 3 min".
func elapsed(now kabench.Progress, rest runs) string {
	s := seconds(now.Elapsed)
	if now.Total > 0 && now.Elapsed > now.Total {
		s = "all sent in " + seconds(now.Total) + ", waiting for requests in flight"
		if now.InFlight == 0 {
			s = "all sent in " + seconds(now.Total)
		}
	} else if now.Total > 0 {
		s += " of " + seconds(now.Total)
	}
	left := max(now.Total-now.Elapsed, 0)
	switch {
	case now.Total > 0 && rest.left > 0:
		s += ", all runs in " + roughly(left+rest.after(now.Total))
	case left > 0:
		s += ", " + roughly(left) + " left"
	}
	if now.Elapsed < now.WarmUp {
		s += ", warming up"
	}
	return s
}

// brief formats a latency.
func brief(d time.Duration) string { return results.FormatSeconds(d.Seconds()) }

func seconds(d time.Duration) string { return fmt.Sprintf("%d s", int(d.Round(time.Second).Seconds())) }

// roughly returns a time to wait: in seconds below two minutes, else in minutes or hours.
func roughly(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return seconds(d)
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Round(time.Minute).Minutes()))
	}
	return fmt.Sprintf("%.1f h", d.Hours())
}

// Countdown says how many of several works have ended, and how long the others will take if the
// first ones took so long: "3 of 27, about 8 min left".
func Countdown(done, of int, took time.Duration) string {
	text := fmt.Sprintf("%d of %d", done, of)
	if done > 0 && done < of {
		text += ", about " + roughly(took/time.Duration(done)*time.Duration(of-done)) + " left"
	}
	return text
}

// timesLine returns for example "p50 12 ms, p99 80 ms; lag p99 1.2 ms"; "" if nothing is known.
func timesLine(t *kabench.TimesSoFar) string {
	if t == nil {
		return ""
	}
	lag := "lag p99 " + brief(t.Lag)
	if t.P99 == 0 {
		return lag
	}
	return fmt.Sprintf("p50 %s, p99 %s; %s", brief(t.P50), brief(t.P99), lag)
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

func progressLines(title string, now kabench.Progress, rest runs) []string {
	head := elapsed(now, rest)
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
	if times := timesLine(now.Times); times != "" {
		lines = slices.Insert(lines, 3, "times      "+times)
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

// plainProgress returns one line with what a log needs. The gauges of the pool and the sockets are
// in the results.
func plainProgress(title string, now kabench.Progress, rest runs) string {
	t := now.Totals
	rate := "nothing due now" // between bursts
	if now.Offered >= 0.5 || now.Achieved >= 0.5 {
		rate = fmt.Sprintf("%.0f/s of %.0f/s started", now.Achieved, now.Offered)
	}
	line := fmt.Sprintf("%s · %s · ok %d%s, failed %d", elapsed(now, rest), rate, t.OK, errorsOf(t), t.Failed)
	if title != "" {
		line = title + ": " + line
	}
	if t.Failed > 0 {
		line += " (" + byPhase(now) + ")"
	}
	if dropped := t.Due - min(t.Started, t.Due); dropped > 0 {
		line += fmt.Sprintf(", dropped %d", dropped)
	}
	if times := timesLine(now.Times); times != "" {
		line += " · " + times
	}
	line, _ = layout.Cut(line, len(line))
	return line
}
