package watching

import (
	"fmt"
	"strings"
	"time"

	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/results"
)

// title says what is watched.
func (d *session) title() string {
	var what []string
	switch {
	case d.o.container != "":
		what = append(what, "container "+d.o.container)
	case d.o.pod != "":
		what = append(what, "pod "+d.o.pod)
	case d.o.pid != 0:
		text := fmt.Sprintf("process %d", d.o.pid)
		if d.at.name != "" {
			text += " (" + d.at.name + ")"
		}
		what = append(what, text)
	}
	if len(d.o.targets) > 0 {
		what = append(what, "connections to "+strings.Join(d.o.targets, ", "))
	}
	if len(d.o.listens) > 0 {
		what = append(what, "connections accepted at "+strings.Join(d.o.listens, ", "))
	}
	return "watching " + strings.Join(what, ", ")
}

// draw shows the state: several lines in a terminal, one every ten seconds elsewhere.
func (d *session) draw(now time.Duration) {
	p, sum := d.w.Now(), &d.w.Sum
	passed := now.Round(time.Second).String()
	if d.o.length > 0 {
		passed += " of " + d.o.length.String()
	}
	pool := fmt.Sprintf("idle %d, leased %d, stale %d", p.Idle, p.Leased, p.Stale)
	if p.Accepted > 0 {
		pool += fmt.Sprintf(", accepted %d", p.Accepted)
	}
	closes := fmt.Sprintf("closed first: server %d, client %d", sum.Closes["server"], sum.Closes["client"])
	failed := fmt.Sprintf("failed %d", sum.Failures)
	lines := []string{
		d.title() + ": " + passed,
		"sockets    " + pool,
		fmt.Sprintf("closes     %s; opened %d", closes, sum.Connections-sum.Older),
	}
	for _, side := range []string{"server", "client"} {
		if spans, ok := sum.Idle[side]; ok {
			lines[2] += fmt.Sprintf("; idle before by the %s %s", side, results.FormatSeconds(spans.Median().Seconds()))
		}
	}
	if p.SaysIdle >= 0 || p.SaysLease >= 0 {
		lines = append(lines, fmt.Sprintf("gauges     idle %s, leased %s, pending %s of %s", shown(p.SaysIdle), shown(p.SaysLease), shown(p.Pending), shown(p.Max)))
	}
	ports := fmt.Sprintf("ports      %d", p.Ports)
	if p.Range > 0 {
		ports += fmt.Sprintf(" of %d", p.Range)
	}
	lines = append(lines, fmt.Sprintf("%s; TIME_WAIT opened %d, accepted %d", ports, p.TimeWait[0], p.TimeWait[1]))
	if sum.Failures > 0 {
		lines = append(lines, "failures   "+cli.Count(sum.Failures, "request")+" met the end of its connection")
	}
	if d.held > 0 {
		lines = append(lines, fmt.Sprintf("written    %d times", d.held))
	}
	d.progress.Draw(now, lines, fmt.Sprintf("%s · %s · %s · %s", passed, pool, closes, failed))
}

func shown(v float64) string {
	if v < 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f", v)
}
