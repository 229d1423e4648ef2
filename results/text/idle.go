package text

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

// timersMet reports whether an idle timer was seen to run out on any connection. It is
// the pool's timer, or the peer's: then the peer closed a connection that was idle or
// had a request on its way.
func timersMet(run *results.Run) bool {
	ended := func(reused bool, c results.Cause) bool {
		return reused && (c == results.CauseFIN || c == results.CauseRST || c == results.CauseCloseNotify)
	}
	switch p := run.Idle.AtPeerClose; {
	case run.Connections.Evictions["expired"] > 0,
		slices.ContainsFunc(run.Outcomes, func(o results.Outcome) bool { return o.Failed() && ended(o.Reused, o.Cause) }),
		slices.ContainsFunc(run.Resends.Causes, func(r results.ResendCause) bool { return ended(r.Reused, r.Cause) }):
		return true
	case p != nil:
		return p.Count > 0
	}
	return run.Connections.ClosedByPeer+run.Connections.Reset > 0
}

// NoTimerMet says that no idle timer could run out. It returns "" if one ran out, if
// no connection was opened, or if the run is not complete.
func NoTimerMet(run *results.Run) string {
	switch {
	case !run.Complete || timersMet(run) || run.Connections.Opened == 0:
		return ""
	case run.Idle.Longest == 0:
		return "No connection was used again or kept idle, so no idle timer could be met."
	}
	return fmt.Sprintf("No connection was idle for more than %s: idle timers above that, the server's or a balancer's, were never met. To meet one, use a lower load.rate, bursts, or a longer run.",
		results.FormatSeconds(run.Idle.Longest))
}

// renderIdle writes how long connections were idle.
func renderIdle(b *bytes.Buffer, run *results.Run) {
	i := run.Idle
	if i.AtLease.Count > 0 || i.AtPeerClose != nil && i.AtPeerClose.Count > 0 {
		fmt.Fprintln(b)
		t := table(b)
		fmt.Fprintf(t, "Idle time\tp50\tp90\tp99\tmax\tcount\n")
		row := func(name string, q *results.Quantiles) {
			if q != nil && q.Count > 0 {
				fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\t%d\n", name, results.FormatSeconds(q.P50), results.FormatSeconds(q.P90), results.FormatSeconds(q.P99), results.FormatSeconds(q.Max), q.Count)
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

// markdownIdle says for how long the connections of each run were idle.
func markdownIdle(k *record.Archive) string {
	var b strings.Builder
	rows := [][]string{{"run", "idle", "p50", "p90", "p99", "max", "count"}}
	for _, r := range k.Runs {
		if r.Run == nil {
			continue
		}
		for _, kind := range []struct {
			name string
			q    *results.Quantiles
		}{{"at lease", &r.Run.Idle.AtLease}, {"at the peer's close", r.Run.Idle.AtPeerClose}} {
			if q := kind.q; q != nil && q.Count > 0 {
				rows = append(rows, []string{inline(r.Name, maxLabel), kind.name, results.FormatSeconds(q.P50), results.FormatSeconds(q.P90), results.FormatSeconds(q.P99), results.FormatSeconds(q.Max), fmt.Sprint(q.Count)})
			}
		}
	}
	if len(rows) > 1 {
		markdownRows(&b, rows, ":---", ":---", "---:")
	}
	for _, r := range k.Runs {
		if text := NoTimerMet(cmp.Or(r.Run, &results.Run{})); text != "" {
			fmt.Fprintf(&b, "\n%s: %s\n", inline(r.Name, maxLabel), prose(text, maxSentence))
		}
	}
	return b.String()
}
