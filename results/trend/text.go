package trend

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/results"
)

// Title names s among the series of other questions and settings.
func (s *Series) Title() string {
	title := cmp.Or(layout.OneLine(s.Name), "without a name")
	if s.Arm != "" {
		title += ", " + layout.OneLine(s.Arm)
	}
	return title
}

// Spans says how many runs s has and when they were made.
func (s *Series) Spans() string {
	text := results.FormatCount(uint64(len(s.Points)), "run")
	if first, last := &s.Points[0], &s.Points[len(s.Points)-1]; len(s.Points) > 1 {
		text += fmt.Sprintf(", from %s to %s UTC", first.At(), last.At())
	} else {
		text += fmt.Sprintf(", on %s UTC", first.At())
	}
	if n := len(s.Points) - s.Used; n > 0 {
		text += fmt.Sprintf("; %d not used, because invalid or stopped early", n)
	}
	return text
}

// Which names p for people: its time, and its commit if that is known.
func (p *Point) Which() string {
	if p.Commit == "" {
		return p.At() + " UTC"
	}
	return p.At() + " UTC, commit " + p.Short()
}

// Short is the abbreviated commit of p; "" if it is not known.
func (p *Point) Short() string { return p.Commit[:min(len(p.Commit), 10)] }

// Format prints a value of the figure of c.
func (c *Change) Format(v float64) string {
	if c.Figure == Failures {
		return results.FormatPercent(v)
	}
	return results.FormatSeconds(v)
}

// Says is c in a sentence.
func (s *Series) Says(c *Change) string {
	figure, how := "The failure rate", "fell"
	if c.Figure == P99 {
		figure = "The response time (99th percentile)"
	}
	if c.Worse {
		how = "rose"
	}
	p := results.FormatP(c.P)
	if !strings.HasPrefix(p, "<") {
		p = "= " + p
	}
	text := fmt.Sprintf("%s %s from %s to %s with the run of %s (p %s; %d runs before, %d since).", figure, how,
		c.Format(c.Before), c.Format(c.After), s.Points[c.At].Which(), p, c.Runs[0], c.Runs[1])
	if len(c.Also) > 0 {
		text += " That run also had " + layout.OneLine(strings.Join(c.Also, "; ")) + "."
	}
	return text
}

// Verdict is what s shows, in sentences: each change, or why there is none.
func (s *Series) Verdict() (sentences []string) {
	for i := range s.Changes {
		sentences = append(sentences, s.Says(&s.Changes[i]))
	}
	switch {
	case len(sentences) > 0:
	case s.Few():
		sentences = append(sentences, fmt.Sprintf("Too few runs to find a change: there are %d, and %d are needed.", s.Used, 2*Fewest))
	default:
		sentences = append(sentences, fmt.Sprintf("No change was found in %d runs.", s.Used))
	}
	return sentences
}

// Render prints all, for people.
func Render(w io.Writer, all []Series) error {
	var b strings.Builder
	for i := range all {
		s := &all[i]
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s: %s\n", s.Title(), s.Spans())
		for _, sentence := range s.Verdict() {
			fmt.Fprintf(&b, "  %s\n", sentence)
		}
		for n := len(s.Points) - 1; n >= 0; n-- {
			if p := &s.Points[n]; p.Unfit == "" {
				rate, low, high := p.Rate()
				fmt.Fprintf(&b, "  Last: %s of requests failed (95 %% interval %s to %s)", results.FormatPercent(rate), results.FormatPercent(low), results.FormatPercent(high))
				if p.P99 > 0 {
					fmt.Fprintf(&b, ", response p99 %s", results.FormatSeconds(p.P99))
				}
				fmt.Fprintf(&b, ".\n")
				break
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
