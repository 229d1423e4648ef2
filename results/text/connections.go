package text

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

// portsText says when the ports were predicted to run out, and when they did.
func portsText(p results.Ports) string {
	s := "not predicted to run out"
	if p.Predicted > 0 {
		s = "predicted to run out after " + results.FormatSeconds(p.Predicted)
	}
	if p.FirstFail == 0 {
		return s + "; every request got one"
	}
	s += fmt.Sprintf("; requests without one started from %s to %s", results.FormatSeconds(p.FirstFail), results.FormatSeconds(p.LastFail))
	if p.Recovered == 0 {
		return s + "; no port came back"
	}
	return s + fmt.Sprintf("; from %s on ports came back, and %d requests were ok", results.FormatSeconds(p.Back), p.Recovered)
}

// toldPeaks lists the peaks of a real client's pool, as far as they are known.
func toldPeaks(run *results.Run) string {
	var list []string
	for _, g := range []struct {
		label, gauge string
		peak         int
	}{
		{"leased", "active", run.Pool.PeakLeased}, {"idle", "idle", run.Pool.PeakIdle}, {"pending", "pending", run.Pool.PeakPending},
	} {
		if run.Tells(g.gauge) {
			list = append(list, fmt.Sprintf("%s %d", g.label, g.peak))
		} else {
			list = append(list, g.label+" not told")
		}
	}
	return strings.Join(list, ", ")
}

func renderConnections(b *bytes.Buffer, run *results.Run) {
	c, k, p := run.Connections, run.Sockets, run.Pool
	fmt.Fprintln(b)
	t := table(b)
	if run.Partial() && c.Evictions == nil && c.Opened == 0 {
		fmt.Fprintln(t, "Connections\tnot measured")
	} else if !run.CountsConnections() {
		fmt.Fprintln(t, "Connections\tnot seen")
	} else {
		fmt.Fprintf(t, "Connections\t%d opened, at most %d open at once\n", c.Opened, c.MaxOpen)
	}
	if c.TLSResumed > 0 || run.CountsConnections() && results.SetupOf(run).TLSResume {
		fmt.Fprintf(t, "\tTLS sessions resumed: %d\n", c.TLSResumed)
	}
	if run.Complete && run.CountsConnections() {
		fmt.Fprintf(t, "\tclosed first: %d by us, %d by the peer, %d reset by the peer", c.ClosedByUs, c.ClosedByPeer, c.Reset)
		if c.Unknown > 0 {
			fmt.Fprintf(t, ", %d not known", c.Unknown)
		}
		fmt.Fprintln(t)
		if c.NotifiedUs+c.NotifiedPeer > 0 {
			fmt.Fprintf(t, "\tclose_notify first: %d by us, %d by the peer\n", c.NotifiedUs, c.NotifiedPeer)
		}
	}
	if len(c.Evictions) > 0 {
		fmt.Fprintf(t, "\tleft the pool: %s\n", pairs(c.Evictions))
	}
	if run.CountsConnections() {
		fmt.Fprintf(t, "\texchanges: %d on fresh, %d on reused, %d on none\n", run.Reuse.Fresh, run.Reuse.Reused, run.Reuse.NoConnection)
	}
	if run.Partial() && p == (results.PoolPeaks{}) {
		fmt.Fprintln(t, "Pool peaks\tnot measured")
	} else if run.Driver != nil {
		fmt.Fprintf(t, "Pool peaks\t%s\n", toldPeaks(run))
	} else {
		fmt.Fprintf(t, "Pool peaks\tleased %d, idle %d, dialing %d, pending %d\n", p.PeakLeased, p.PeakIdle, p.PeakDialing, p.PeakPending)
	}
	if l := run.Limit; l != nil {
		fmt.Fprintf(t, "Limit\t%s, in flight: %d at first, from %d to %d, %d at the end\n", l.Algorithm, l.Initial, l.Lowest, l.Highest, l.Final)
	}
	renderSockets(t, run)
	if k.Available {
		fmt.Fprintf(t, "Ports\tat most %d seen in use", k.PortsUsedPeak)
		if k.PortsAvailable > 0 {
			fmt.Fprintf(t, " of %d (%s)", k.PortsAvailable, ratio(uint64(max(k.PortsUsedPeak, 0)), uint64(k.PortsAvailable)))
		}
		fmt.Fprintln(t)
	}
	if p := run.Ports; p != nil {
		fmt.Fprintf(t, "\t%s\n", portsText(*p))
	}
	if p := run.Packets; p != nil && run.Driver != nil && len(p.Fates) == 0 {
		fmt.Fprintf(t, "Packets\t%d seen on the client's connections\n", p.Seen)
	} else if p != nil {
		fmt.Fprintf(t, "Packets\t%d seen, %d no longer recorded, delivered late by %s at p99\n", p.Seen, p.Overwritten, results.FormatSeconds(p.LateP99))
		for _, c := range p.Closed {
			if c.By == "" {
				fmt.Fprintf(t, "\t%s of the %s not closed\n", results.FormatCount(c.Count, "connection"), c.Opened)
			} else {
				fmt.Fprintf(t, "\t%s of the %s closed first by the %s, by %s\n", results.FormatCount(c.Count, "connection"), c.Opened, c.By, strings.ToUpper(c.How))
			}
		}
	}
	if l := run.Lab; l != nil {
		fmt.Fprintf(t, "Server saw\t%s, %s; it closed %d first, %d of them idle\n",
			results.FormatCount(l.Connections, "connection"), results.FormatCount(l.Requests, "request"), l.ClosedFirst, l.ClosedIdle)
	}
	t.Flush()
}

func renderSockets(t io.Writer, run *results.Run) {
	k := run.Sockets
	switch {
	case k.Available && k.ServerSide:
		fmt.Fprintf(t, "TIME_WAIT\tat most %d on our side, %d on the server's\n", k.TimeWaitPeak, k.TimeWaitServer)
	case k.Available:
		fmt.Fprintf(t, "TIME_WAIT\tat most %d on our side; the server's cannot be seen\n", k.TimeWaitPeak)
	case k.Why != "":
		fmt.Fprintf(t, "Sockets\tnot available here: %s\n", k.Why)
	case run.Partial():
		fmt.Fprintln(t, "Sockets\tnot measured")
	default:
		fmt.Fprintf(t, "Sockets\tnot available here\n")
	}
}

func renderLatency(b *bytes.Buffer, run *results.Run) {
	title := "Latency (ok)"
	if run.Counts.OK == 0 {
		title = "Latency" // only lag, which every started request has
	}
	latencyTable(b, title, run.Latency)
	latencyTable(b, "Latency (failed)", run.FailedLatency)
}

func latencyTable(b *bytes.Buffer, title string, m map[string]results.Quantiles) {
	if !slices.ContainsFunc(results.LatencyNames(), func(name string) bool { return m[name].Count > 0 }) {
		return
	}
	fmt.Fprintln(b)
	t := table(b)
	fmt.Fprintf(t, "%s\tp50\tp90\tp99\tp99.9\tmax\tcount\n", title)
	for _, name := range results.LatencyNames() {
		if q := m[name]; q.Count > 0 {
			fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\t%s\t%d\n", name, q.Format(50), q.Format(90),
				q.Format(99), q.Format(99.9), results.FormatSeconds(q.Max), q.Count)
		}
	}
	t.Flush()
}

// renderEvidence writes the packets of a failed exchange as a ladder diagram.
func renderEvidence(b *bytes.Buffer, e results.Evidence) {
	closed := "not closed"
	if e.By != "" {
		closed = fmt.Sprintf("closed first by the %s, by %s", e.By, strings.ToUpper(e.How))
	}
	fmt.Fprintf(b, "Exchange %d, use %d of connection %d, %v / %v (%s to %s, %s):\n", e.Seq, e.Use, e.Conn, e.Phase, e.Cause, e.Client, e.Server, closed)
	if e.Earlier > 0 {
		fmt.Fprintf(b, "  ... %s before\n", results.FormatCount(uint64(e.Earlier), "packet"))
	}
	for _, line := range e.Lines() {
		fmt.Fprintln(b, line)
	}
}

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
	case run.Idle.Longest == 0, run.Reuse.Reused == 0 && run.Idle.AtLease.Count == 0 && closedEach(run):
		return "No connection was used again or kept idle, so no idle timer could be met."
	}
	return fmt.Sprintf("No connection was idle for more than %s: idle timers above that, the server's or a balancer's, were never met. To meet one, use a lower load.rate, bursts, or a longer run.",
		results.FormatSeconds(run.Idle.Longest))
}

// closedEach reports whether every connection ended after its only response, as the server had
// said.
func closedEach(run *results.Run) bool {
	return run.Connections.Opened > 0 && run.Connections.Evictions["server_said_close"] >= run.Connections.Opened
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
				fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\t%d\n", name, q.Format(50), q.Format(90), q.Format(99), results.FormatSeconds(q.Max), q.Count)
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
				rows = append(rows, []string{inline(r.Name, maxLabel), kind.name, q.Format(50), q.Format(90), q.Format(99), results.FormatSeconds(q.Max), fmt.Sprint(q.Count)})
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
