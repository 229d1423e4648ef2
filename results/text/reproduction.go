package text

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/results"
)

// column is one run in the comparison.
type column struct {
	name string
	run  *results.Run
}

// RenderReproduction writes the incident and its remedies side by side, then whether
// the incident was reproduced, and the verdict. Remedies that do not fit beside the
// incident follow in further tables, which repeat the incident.
func RenderReproduction(w io.Writer, r *results.Reproduction) error {
	var b bytes.Buffer
	fmt.Fprintln(&b, r.Incident)
	if r.Question != "" {
		wrap(&b, "", r.Question)
	}
	incident := column{"incident", cmp.Or(r.IncidentRun, &results.Run{})}
	if d := incident.run.Driver; d != nil {
		wrap(&b, "Client  ", DriverLine(d))
	}
	runs := []column{incident}
	for _, remedy := range r.RemedyRuns {
		runs = append(runs, column{remedy.Remedy, cmp.Or(remedy.Run, &results.Run{})})
	}
	fmt.Fprintln(&b)
	compare(&b, runs)
	if len(r.RemedyRuns) > 0 {
		fmt.Fprintln(&b)
	}
	for _, remedy := range r.RemedyRuns {
		wrap(&b, "Remedy "+remedy.Remedy+": ", remedySets(remedy))
	}
	for _, line := range notAvailable(r) {
		wrap(&b, "", line)
	}
	fmt.Fprintln(&b)
	renderShortcomings(r, &b)
	if d := incident.run.Driver; d != nil {
		renderDriver(&b, incident.run)
		fmt.Fprintln(&b)
	}
	if p := incident.run.Packets; p != nil && len(p.Failures) > 0 {
		fmt.Fprintln(&b, "A failure of the incident, packet by packet")
		renderEvidence(&b, p.Failures[0])
		if note := incident.run.PacketsNote(); note != "" {
			wrap(&b, "", note)
		}
		fmt.Fprintln(&b)
	}
	fmt.Fprintln(&b, strings.ToUpper(reproductionOutcome(r)))
	for sentence := range strings.Lines(r.Verdict) {
		wrap(&b, "", sentence)
	}
	for _, remedy := range SpelledRemedies(r) {
		if ofOneClient(remedy.Settings) {
			fmt.Fprintf(&b, "\nRemedy %s\n", remedy.Remedy)
			renderSpelled(&b, remedy.Settings)
		}
	}
	if incident.run.Lab != nil && slices.ContainsFunc(SpelledRemedies(r), func(r results.RemedyRun) bool { return ofOneClient(r.Settings) }) {
		fmt.Fprintln(&b)
		wrap(&b, "", "The values are those of this incident's server; take values that fit the timers of your own ('kabench probe URL' measures them).")
	}
	return layout.Print(w, b.String(), textWidth)
}

func changes(change map[string]string) string {
	list := make([]string, 0, len(change))
	for _, path := range slices.Sorted(maps.Keys(change)) {
		list = append(list, path+" = "+change[path])
	}
	return cmp.Or(strings.Join(list, ", "), "changes nothing")
}

// RenderShortcomings writes why runs are invalid and which expectations they did not
// meet. It writes nothing if all are valid and met theirs.
func RenderShortcomings(w io.Writer, r *results.Reproduction) error {
	var b bytes.Buffer
	renderShortcomings(r, &b)
	return layout.Print(w, b.String(), textWidth)
}

func renderShortcomings(r *results.Reproduction, b *bytes.Buffer) {
	renderUnmet(b, "the incident", cmp.Or(r.IncidentRun, &results.Run{}))
	for _, remedy := range r.RemedyRuns {
		renderUnmet(b, "remedy "+remedy.Remedy, cmp.Or(remedy.Run, &results.Run{}))
	}
}

// renderUnmet lists why run is invalid, or else the expectations that it did not meet.
func renderUnmet(b *bytes.Buffer, who string, run *results.Run) {
	for _, why := range run.Invalid {
		wrap(b, "INVALID "+who+": ", why)
	}
	if !run.Valid {
		return // an invalid run is not judged
	}
	for _, e := range run.Unmet() {
		wrap(b, "NOT MET by "+who+": ", fmt.Sprintf("%s %s, %s", e.Path, e.Want, cmp.Or(e.Why, "seen "+e.Seen)))
	}
}

// compare writes a row for each figure and a column for each run. If the columns do
// not fit beside each other, there are several tables, and each repeats the first run.
func compare(b *bytes.Buffer, runs []column) {
	t := layout.Grid(b, 2)
	for _, row := range sideBySide(runs) {
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	t.Flush()
}

// sideBySide returns a table. The first row has the names of runs. Each further row is
// a figure, with its label first. An indented label is a part of the row above it.
func sideBySide(runs []column) [][]string {
	var rows [][]string
	row := func(label string, cell func(*results.Run) string) {
		cells := []string{label}
		for _, c := range runs {
			cells = append(cells, cell(c.run))
		}
		rows = append(rows, cells)
	}
	number := func(label string, cell func(*results.Run) uint64) {
		row(label, func(r *results.Run) string { return fmt.Sprint(cell(r)) })
	}
	counted := func(label string, cell func(*results.Run) uint64) {
		row(label, func(r *results.Run) string {
			if !r.CountsConnections() {
				return "not seen"
			}
			return fmt.Sprint(cell(r))
		})
	}
	names := []string{""}
	for _, c := range runs {
		names = append(names, c.name)
	}
	rows = append(rows, names)
	number("requests started", func(r *results.Run) uint64 { return r.Counts.Started })
	number("  ok", func(r *results.Run) uint64 { return r.Counts.OK })
	number("  failed", func(r *results.Run) uint64 { return r.Counts.Failed })
	row("  failure rate", func(r *results.Run) string { return ratio(r.Counts.Failed, r.Counts.Started) })
	row("  95 % interval", func(r *results.Run) string { return interval(r.Counts.Failed, r.Counts.Started) })
	if anyOf(runs, func(r *results.Run) bool { return r.ErrorAnswers.Sum() > 0 }) {
		number("  error answers, 4xx", func(r *results.Run) uint64 { return r.ErrorAnswers.Client })
		number("  error answers, 5xx", func(r *results.Run) uint64 { return r.ErrorAnswers.Server })
	}
	number("  dropped", func(r *results.Run) uint64 { return r.Counts.Dropped })
	for _, f := range failuresOf(runs) {
		label := fmt.Sprintf("  %v / %v, %s", f.Phase, f.Cause, f.Connection())
		number(label, func(r *results.Run) uint64 { return countIn(f, r) })
	}
	if anyOf(runs, func(r *results.Run) bool { return attemptsAgain(r) > 0 }) {
		number("attempts", func(r *results.Run) uint64 { return r.Attempts })
		number("  sent again", attemptsAgain)
		number("  requests rescued", func(r *results.Run) uint64 { return r.Resends.Rescued })
		number("  maybe executed twice", func(r *results.Run) uint64 { return r.Resends.MaybeTwice })
	}
	if anyOf(runs, func(r *results.Run) bool { return r.Lab != nil && r.Lab.Duplicates > 0 }) {
		number("executed by the server", func(r *results.Run) uint64 { return labOf(r).Executed })
		number("  for the second time", func(r *results.Run) uint64 { return labOf(r).Duplicates })
	}
	if anyOf(runs, func(r *results.Run) bool { return r.Counts.Unbounded > 0 }) {
		number("ok, whole or not", func(r *results.Run) uint64 { return r.Counts.Unbounded })
	}
	row("idle at failure, p50", func(r *results.Run) string {
		return idleAtFailure(r, func(q *results.Quantiles) string {
			if text := q.Format(50); strings.HasPrefix(text, ">") {
				return text
			}
			return results.FormatSecondsWithin(q.P50, q.Min, q.Max)
		})
	})
	row("  min to max", func(r *results.Run) string {
		return idleAtFailure(r, func(q *results.Quantiles) string {
			return results.FormatSecondsRange(q.Min, q.Max)
		})
	})
	counted("connections opened", func(r *results.Run) uint64 { return r.Connections.Opened })
	counted("  closed first by us", func(r *results.Run) uint64 { return r.Connections.ClosedByUs })
	counted("  closed first by peer", func(r *results.Run) uint64 { return r.Connections.ClosedByPeer })
	counted("  reset by peer", func(r *results.Run) uint64 { return r.Connections.Reset })
	if anyOf(runs, func(r *results.Run) bool { return r.Connections.Unknown > 0 }) {
		counted("  not known who first", func(r *results.Run) uint64 { return r.Connections.Unknown })
	}
	if anyOf(runs, func(r *results.Run) bool { return r.Connections.NotifiedUs+r.Connections.NotifiedPeer > 0 }) {
		counted("  close_notify by us", func(r *results.Run) uint64 { return r.Connections.NotifiedUs })
		counted("  close_notify by peer", func(r *results.Run) uint64 { return r.Connections.NotifiedPeer })
	}
	if anyOf(runs, func(r *results.Run) bool { return r.Connections.TLSResumed > 0 }) {
		counted("  TLS resumed", func(r *results.Run) uint64 { return r.Connections.TLSResumed })
	}
	counted("exchanges on fresh", func(r *results.Run) uint64 { return r.Reuse.Fresh })
	counted("  on reused", func(r *results.Run) uint64 { return r.Reuse.Reused })
	row("TIME_WAIT peak, ours", func(r *results.Run) string { return socketPeak(r.Sockets.Available, r.Sockets.TimeWaitPeak) })
	row("  the server's", func(r *results.Run) string {
		return socketPeak(r.Sockets.Available && r.Sockets.ServerSide, r.Sockets.TimeWaitServer)
	})
	for _, k := range kernelRows(runs) {
		row(k.label, k.cell)
	}
	row("pending peak", pendingPeak)
	if anyOf(runs, func(r *results.Run) bool { return r.Pool.PeakPending > 0 }) {
		row("longest acquire, ok", func(r *results.Run) string { return latencyCell(r, results.PhaseAcquire.String(), longest) })
	}
	if anyOf(runs, func(r *results.Run) bool { return r.Counts.Waited > 0 }) {
		number("waited in the buffer", func(r *results.Run) uint64 { return r.Counts.Waited })
		row("  longest", func(r *results.Run) string { return latencyCell(r, results.LatencyBuffer, longest) })
	}
	for _, name := range [...]string{results.LatencyResponse, results.LatencyService, results.LatencyLag} {
		row(name+" p50", func(r *results.Run) string { return latencyCell(r, name, p50) })
		row("  p99", func(r *results.Run) string { return latencyCell(r, name, p99) })
		row("  p99.9", func(r *results.Run) string { return latencyCell(r, name, p999) })
	}
	return rows
}

// kernelRow is a kernel counter in the comparison.
type kernelRow struct {
	label string
	cell  func(*results.Run) string
}

// kernelRows returns the counters that are related to the failures of any run and
// differ between the runs. In a private network a counter has a row for the client and
// a row for the sum of the other hosts.
func kernelRows(runs []column) []kernelRow {
	var rows []kernelRow
	add := func(label string, of func(*results.Kernel) (n uint64, known bool)) {
		cell := func(r *results.Run) string {
			if n, known := of(&r.Kernel); known {
				return fmt.Sprint(n)
			}
			return "not seen"
		}
		first := cell(runs[0].run)
		if anyOf(runs, func(r *results.Run) bool { return cell(r) != first }) {
			rows = append(rows, kernelRow{label, cell})
		}
	}
	others := map[string]bool{}
	for _, c := range runs {
		for host := range c.run.Kernel.Hosts {
			others[host] = others[host] || host != clientHost
		}
	}
	delete(others, clientHost)
	name := "the other hosts"
	if len(others) == 1 {
		name = slices.Collect(maps.Keys(others))[0]
	}
	for _, x := range explanations {
		related := func(r *results.Run) bool {
			return slices.ContainsFunc(r.Outcomes, func(o results.Outcome) bool { return o.Failed() && x.of(o) })
		}
		if !anyOf(runs, related) {
			continue
		}
		label := "kernel " + x.counter
		if len(others) == 0 {
			add(label, func(k *results.Kernel) (uint64, bool) { n, known := k.Counters[x.counter]; return n, known })
			continue
		}
		add(label+", "+clientHost, func(k *results.Kernel) (uint64, bool) { n, known := k.Hosts[clientHost][x.counter]; return n, known })
		add(label+", "+name, func(k *results.Kernel) (sum uint64, known bool) {
			for host, counters := range k.Hosts {
				n, has := counters[x.counter]
				if host != clientHost && has {
					sum, known = sum+n, true
				}
			}
			return sum, known
		})
	}
	return rows
}

func anyOf(runs []column, is func(*results.Run) bool) bool {
	return slices.ContainsFunc(runs, func(c column) bool { return is(c.run) })
}

// labOf returns what kabench's own server saw; the zero value if the run used another
// server.
func labOf(r *results.Run) results.LabSeen {
	if r.Lab == nil {
		return results.LabSeen{}
	}
	return *r.Lab
}

// attemptsAgain counts the attempts that were sent again, by the pool or below it.
func attemptsAgain(run *results.Run) uint64 { return run.Resends.Count + run.Unasked() }

// failuresOf lists the ways in which any of runs failed, once each.
func failuresOf(runs []column) []results.Outcome {
	var list []results.Outcome
	for _, c := range runs {
		for _, o := range c.run.Outcomes {
			if o.Failed() && !slices.ContainsFunc(list, func(p results.Outcome) bool { return sameOutcome(o, p) }) {
				list = append(list, o)
			}
		}
	}
	return list
}

func sameOutcome(o results.Outcome, p results.Outcome) bool {
	return o.Phase == p.Phase && o.Cause == p.Cause && o.Reused == p.Reused
}

func countIn(o results.Outcome, run *results.Run) uint64 {
	i := slices.IndexFunc(run.Outcomes, func(p results.Outcome) bool { return sameOutcome(o, p) })
	if i < 0 {
		return 0
	}
	return run.Outcomes[i].Count
}

func idleAtFailure(run *results.Run, cell func(*results.Quantiles) string) string {
	if run.IdleAtFailure == nil {
		return "-"
	}
	return cell(run.IdleAtFailure)
}

func socketPeak(seen bool, n int) string {
	if !seen {
		return "not seen"
	}
	return fmt.Sprint(n)
}

func latencyCell(run *results.Run, name string, stat func(results.Quantiles) string) string {
	q := run.Latency[name]
	if q.Count == 0 {
		return "-"
	}
	return stat(q)
}

// pendingPeak is the peak of the requests that waited for a connection, if the client tells.
func pendingPeak(r *results.Run) string {
	if !r.Tells("pending") {
		return "not told"
	}
	return fmt.Sprint(r.Pool.PeakPending)
}

func p50(q results.Quantiles) string { return q.Format(50) }

func p99(q results.Quantiles) string { return q.Format(99) }

func p999(q results.Quantiles) string { return q.Format(99.9) }

func longest(q results.Quantiles) string { return results.FormatSeconds(q.Max) }

// wasJudged reports whether every run reached its end, is valid and had its load. Otherwise the runs
// do not show that the incident was not reproduced.
func wasJudged(r *results.Reproduction) bool {
	all := []*results.Run{r.IncidentRun}
	for _, remedy := range r.RemedyRuns {
		all = append(all, remedy.Run)
	}
	return !slices.ContainsFunc(all, func(run *results.Run) bool {
		return run == nil || run.Interrupted || !run.Valid || run.Degraded() != ""
	})
}
