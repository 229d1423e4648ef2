package results

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// timersMet reports whether an idle timer ran out on any connection, as far as it
// was seen: the pool's, or the peer's, whose close met an idle connection or a
// request on its way.
func (run *Run) timersMet() bool {
	ended := func(reused bool, c Cause) bool {
		return reused && (c == CauseFIN || c == CauseRST || c == CauseCloseNotify)
	}
	switch p := run.Idle.AtPeerClose; {
	case run.Connections.Evictions["expired"] > 0,
		slices.ContainsFunc(run.Outcomes, func(o Outcome) bool { return o.failed() && ended(o.Reused, o.Cause) }),
		slices.ContainsFunc(run.Resends.Causes, func(r ResendCause) bool { return ended(r.Reused, r.Cause) }):
		return true
	case p != nil:
		return p.Count > 0
	}
	return run.Connections.ClosedByPeer+run.Connections.Reset > 0
}

// NoTimerMet says that no idle timer had a chance; "" when one ran out, when no
// connection was idle, or when that is not known.
func NoTimerMet(run *Run) string {
	switch {
	case !run.Complete || run.timersMet() || run.Connections.Opened == 0:
		return ""
	case run.Idle.Longest == 0:
		return "No connection was used again or kept idle, so no idle timer could be met."
	}
	return fmt.Sprintf("No connection was idle for more than %s: idle timers above that, the server's or a balancer's, were never met. To meet one, use a lower load.rate, bursts, or a longer run.",
		humanSeconds(run.Idle.Longest))
}

// renderIdle writes how long connections were idle.
func renderIdle(b *bytes.Buffer, run *Run) {
	i := run.Idle
	if i.AtLease.Count > 0 || i.AtPeerClose != nil && i.AtPeerClose.Count > 0 {
		fmt.Fprintln(b)
		t := table(b)
		fmt.Fprintf(t, "Idle time\tp50\tp90\tp99\tmax\tcount\n")
		row := func(name string, q *Quantiles) {
			if q != nil && q.Count > 0 {
				fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\t%d\n", name, humanSeconds(q.P50), humanSeconds(q.P90), humanSeconds(q.P99), humanSeconds(q.Max), q.Count)
			}
		}
		row("at lease", &i.AtLease)
		row("at the peer's close", i.AtPeerClose)
		t.Flush()
	}
	if text := NoTimerMet(run); text != "" {
		wrap(b, "", text)
	}
}

// markdownIdle says of each run for how long connections were idle.
func (k *Kept) markdownIdle() string {
	var b strings.Builder
	rows := [][]string{{"run", "idle", "p50", "p90", "p99", "max", "count"}}
	for _, r := range k.Runs {
		if r.Run == nil {
			continue
		}
		for _, kind := range []struct {
			name string
			q    *Quantiles
		}{{"at lease", &r.Run.Idle.AtLease}, {"at the peer's close", r.Run.Idle.AtPeerClose}} {
			if q := kind.q; q != nil && q.Count > 0 {
				rows = append(rows, []string{inline(r.Name, maxLabel), kind.name, humanSeconds(q.P50), humanSeconds(q.P90), humanSeconds(q.P99), humanSeconds(q.Max), fmt.Sprint(q.Count)})
			}
		}
	}
	if len(rows) > 1 {
		markdownRows(&b, rows, ":---", ":---", "---:")
	}
	for _, r := range k.Runs {
		if text := NoTimerMet(cmp.Or(r.Run, &Run{})); text != "" {
			fmt.Fprintf(&b, "\n%s: %s\n", inline(r.Name, maxLabel), prose(text, maxSentence))
		}
	}
	return b.String()
}
