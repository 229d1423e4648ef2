package text

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/results"
)

// textWidth is the number of columns of a report, unless its writer is a
// layout.Terminal with another number.
const textWidth = 100

// RenderRun writes the summary of run for a terminal: first whether it is valid, then
// the accounts, failures, connections, sockets, latencies, warnings and expectations.
func RenderRun(w io.Writer, run *results.Run) error {
	var b bytes.Buffer
	renderHead(&b, run)
	if run.Forecast != nil {
		renderForecast(&b, run)
		fmt.Fprintln(&b)
	}
	renderAccounts(&b, run)
	renderAgents(&b, run)
	renderFailures(&b, run)
	renderErrorAnswers(&b, run)
	renderKernel(&b, run)
	renderDriver(&b, run)
	renderPreset(&b, run.Preset)
	renderConnections(&b, run)
	renderIdle(&b, run)
	renderLatency(&b, run)
	renderTargets(&b, run)
	renderNotes(&b, run)
	if run.Forecast != nil {
		renderLeftOut(&b, run.Forecast)
	}
	if run.Packets != nil {
		for _, e := range run.Packets.Failures {
			fmt.Fprintln(&b)
			renderEvidence(&b, e)
		}
		if note := run.PacketsNote(); note != "" && len(run.Packets.Failures) > 0 {
			wrap(&b, "", note)
		}
	}
	if text := uncountedErrors(run); text != "" {
		fmt.Fprintln(&b)
		wrap(&b, "", text)
	}
	return layout.Print(w, b.String(), textWidth)
}

func renderHead(b *bytes.Buffer, run *results.Run) {
	name := run.Name
	if name == "" {
		name = "run"
	}
	if run.Version != "" {
		name += "  (kabench " + run.Version + ")"
	}
	fmt.Fprintln(b, name)
	if run.Question != "" {
		wrap(b, "", run.Question)
	}
	partial := run.Partial() && !run.Valid && !run.Complete && len(run.Invalid) == 0
	switch {
	case partial:
		wrap(b, "", "Not judged: a program filled this document by itself, with what it measured")
	case !run.Valid:
		for _, why := range run.Invalid {
			wrap(b, "INVALID  ", why)
		}
		if len(run.Invalid) == 0 {
			fmt.Fprintln(b, "INVALID")
		}
	}
	if !run.Complete && !partial {
		fmt.Fprintln(b, "INCOMPLETE: the run was cut off; this is what was recorded until then")
	}
	switch s := run.Stopped; {
	case s != nil:
		wrap(b, "STOPPED  ", fmt.Sprintf("after %s by abort_when: %s %s (seen %s)", results.FormatSeconds(s.At), s.Path, s.When, s.Seen))
	case run.Interrupted:
		fmt.Fprintln(b, "Interrupted: stopped early by a signal")
	}
	if run.Driver != nil {
		wrap(b, "Client  ", DriverLine(run.Driver))
	}
	if run.Preset != nil {
		wrap(b, "Pool  ", run.Preset.String())
	}
	fmt.Fprintln(b)
}

func renderAccounts(b *bytes.Buffer, run *results.Run) {
	c := run.Counts
	t := table(b)
	fmt.Fprintf(t, "Exchanges\t%d due = %d started + %d dropped\n", c.Due, c.Started, c.Dropped)
	fmt.Fprintf(t, "\t%d started = %d ok + %d failed + %d unfinished\n", c.Started, c.OK, c.Failed, c.Unfinished)
	if !c.Balance() {
		fmt.Fprintf(t, "\tTHE ACCOUNTS DO NOT BALANCE\n")
	}
	if c.Waited > 0 {
		fmt.Fprintf(t, "\t%d of the started waited in the buffer first\n", c.Waited)
	}
	if c.WarmUp > 0 {
		fmt.Fprintf(t, "\t%d more in the warm-up, not counted\n", c.WarmUp)
	}
	fmt.Fprintf(t, "Rate\t%s/s offered, %s/s achieved, %s/s throughput\n",
		results.FormatThree(run.Rate.Offered), results.FormatThree(run.Rate.Achieved), results.FormatThree(run.Rate.Throughput))
	renderInstrument(t, run)
	if len(run.Statuses) > 0 {
		fmt.Fprintf(t, "Statuses\t%s\n", statuses(run.Statuses))
	}
	t.Flush()
	if text := attempts(run); text != "" {
		wrap(b, "Attempts   ", text) // as wide as the table's first column
	}
}

// renderInstrument writes how well kabench kept to its schedule, if it fell behind or
// its arrivals were tested.
func renderInstrument(w io.Writer, run *results.Run) {
	s := run.Instrument.Schedule
	if s.Overload != "" || s.Held < s.Seconds {
		fmt.Fprintf(w, "Held\t%d of %d whole seconds without a drop or too much lag", s.Held, s.Seconds)
		if s.Held > 0 {
			fmt.Fprintf(w, ", at most %s/s", results.FormatThree(s.HeldRate))
		}
		fmt.Fprintf(w, "; %s/s got through", results.FormatThree(s.Through))
		if s.Overload != "" {
			fmt.Fprintf(w, " (overloaded: the %s)", map[string]string{results.OverloadKabench: "generator", results.OverloadMachine: "machine", results.OverloadTarget: "target or pool"}[s.Overload])
		}
		fmt.Fprintln(w)
	}
	switch a := run.Instrument.Arrivals; {
	case a.Trace != nil:
		fmt.Fprintf(w, "Arrivals\t%s\n", fromLog(*a.Trace))
	case a.Law == "" || a.Verdict == results.ArrivalsNotTested:
	case a.Distance != nil:
		fmt.Fprintf(w, "Arrivals\t%s, as asked for: %s (D %.3f, p %.2g, %d values)\n", a.Law, fits(a), *a.Distance, *a.P, a.Count)
	case a.OffP99 != nil:
		fmt.Fprintf(w, "Arrivals\t%s, as asked for: %s (gaps off by %s at p99, %d values)\n", a.Law, yesNo(a.Verdict == results.ArrivalsFit), results.FormatSeconds(*a.OffP99), a.Count)
	}
}

// fromLog says what arrivals that were taken from a log are like.
func fromLog(t results.Trace) string {
	text := "from a log: " + results.FormatCount(t.Requests, "request") + " in " + results.FormatSeconds(t.Seconds)
	if uint64(t.Log) > t.Requests {
		text += fmt.Sprintf(" of its %d", t.Log)
	}
	if t.Speed != 1 {
		text += fmt.Sprintf(", at %s times its speed", results.FormatThree(t.Speed))
	}
	if t.Spread {
		text += "; its times are whole seconds, so requests are spread at random within each"
	}
	var parts []string
	for _, d := range []struct {
		of    string
		index *float64
	}{{"10 ms", t.Dispersion10ms}, {"1 s", t.Dispersion1s}, {"60 s", t.Dispersion60s}} {
		if d.index != nil {
			parts = append(parts, results.FormatThree(*d.index)+" at "+d.of)
		}
	}
	if len(parts) > 0 {
		text += "; index of dispersion " + strings.Join(parts, ", ") + " (1: Poisson)"
	}
	if t.BurstLongest > 1 {
		text += fmt.Sprintf("; bursts of %s requests, at most %d in %s", results.FormatThree(t.BurstMean), t.BurstLongest, results.FormatSeconds(t.BurstSeconds))
	}
	return text
}

// likely is the least probability with which a distance is taken for chance.
const likely = 0.001

// fits says whether arrivals tested against a random law follow it. A distance that is no
// chance, and too small for a misfit, is not passed over.
func fits(a results.Arrivals) string {
	if a.Verdict == results.ArrivalsFit && *a.P < likely {
		return "nearly"
	}
	return yesNo(a.Verdict == results.ArrivalsFit)
}

func yesNo(v bool) string {
	if v {
		return "yes"
	}
	return "NO"
}

// attempts compares the attempts with the requests; "" if each request was put on a
// connection exactly once.
func attempts(run *results.Run) string {
	r, unasked := run.Resends, run.Unasked()
	if run.Attempts == run.Counts.Started && r.Count == 0 && unasked == 0 {
		return ""
	}
	text := fmt.Sprintf("%d for %s", run.Attempts, results.FormatCount(run.Counts.Started, "request"))
	if n := run.Reuse.NoConnection; n > 0 {
		text += fmt.Sprintf("; %d put on no connection", n)
	}
	if r.Count > 0 {
		text += fmt.Sprintf("; %d sent again", r.Exchanges)
		if r.Count != r.Exchanges {
			text += fmt.Sprintf(", %d times in all", r.Count)
		}
		text += retries(r) + fmt.Sprintf(", %d of these ok", r.Rescued)
	}
	if r.MaybeTwice > 0 {
		text += fmt.Sprintf("; %d may have been executed twice", r.MaybeTwice)
	}
	if unasked > 0 {
		text += fmt.Sprintf("; %d sent again below the pool, unasked", unasked)
	}
	return text
}

// retriesNamed is the largest number of ways of failing that a summary names.
const retriesNamed = 4

// retries lists in brackets how attempts had failed before they were sent again:
// " (48 before_response/fin on reused, 2 otherwise)".
func retries(r results.Resends) string {
	var list []string
	rest := r.Count
	for i, c := range r.Causes {
		if i == retriesNamed {
			break
		}
		on := results.Outcome{Phase: c.Phase, Reused: c.Reused}.Connection()
		list = append(list, fmt.Sprintf("%d %v/%v on %s", c.Count, c.Phase, c.Cause, on))
		rest -= min(rest, c.Count)
	}
	if len(list) > 0 && rest > 0 {
		list = append(list, fmt.Sprintf("%d otherwise", rest))
	}
	if len(list) == 0 {
		return ""
	}
	return " (" + strings.Join(list, ", ") + ")"
}

func renderFailures(b *bytes.Buffer, run *results.Run) {
	c := run.Counts
	fmt.Fprintln(b)
	if ended := c.OK + c.Failed; c.Failed == 0 {
		switch {
		case c.Started > 0 && ended == 0:
			fmt.Fprintf(b, "None of %d started came to an end, so the failure rate is unknown\n", c.Started)
		case c.Unfinished > 0:
			fmt.Fprintf(b, "No failures in %d that came to an end (95 %% interval %s)\n", ended, interval(0, ended))
		case c.Started > 0:
			fmt.Fprintf(b, "No failures in %d started (95 %% interval %s)\n", c.Started, interval(0, c.Started))
		default:
			fmt.Fprintln(b, "No failures in 0 started")
		}
		return
	}
	fmt.Fprintf(b, "Failures: %d of %d, %s (95 %% interval %s)\n",
		c.Failed, c.Started, ratio(c.Failed, c.Started), interval(c.Failed, c.Started))
	t := table(b)
	for _, o := range run.Outcomes {
		if o.Failed() {
			fmt.Fprintf(t, "  %v / %v\t%s\t%d\t%s\t(%s)\n", o.Phase, o.Cause, o.Connection(), o.Count,
				ratio(o.Count, c.Started), interval(o.Count, c.Started))
		}
	}
	t.Flush()
	for _, o := range run.Outcomes {
		if o.Failed() && o.Example != "" {
			wrap(b, fmt.Sprintf("  e.g. %v / %v: ", o.Phase, o.Cause), o.Example)
		}
	}
	for _, o := range run.Outcomes {
		if o.Failed() && o.Looked > 0 {
			wrap(b, fmt.Sprintf("  %v / %v: ", o.Phase, o.Cause), fmt.Sprintf(
				"when leased, %d of the %d sockets looked at were ESTABLISHED; the peer had closed %d already", o.Looked-o.Stale, o.Looked, o.Stale))
		}
	}
	if q := run.IdleAtFailure; q != nil {
		fmt.Fprintf(b, "  idle at lease of those on reused connections: min %s, p50 %s, max %s\n",
			results.FormatSeconds(q.Min), q.Format(50), results.FormatSeconds(q.Max))
	}
}

// renderErrorAnswers counts the responses whose status says that the request was not
// served.
func renderErrorAnswers(b *bytes.Buffer, run *results.Run) {
	e := run.ErrorAnswers
	if e.Sum() == 0 {
		return
	}
	fmt.Fprintf(b, "Error answers: %d of %d, %s (95 %% interval %s): %d of status 4xx, %d of 5xx\n",
		e.Sum(), run.Counts.OK, ratio(e.Sum(), run.Counts.OK), interval(e.Sum(), run.Counts.OK), e.Client, e.Server)
}

// renderPreset describes the failures in the words of the client that the pool
// imitates, and lists what this client does and the policy cannot.
func renderPreset(b *bytes.Buffer, p *results.Preset) {
	if p == nil {
		return
	}
	if len(p.Log) > 0 {
		fmt.Fprintf(b, "\nWhat the log of %s would have said\n", p.Client)
		for _, line := range p.Log {
			wrap(b, fmt.Sprintf("  %v / %v: ", line.Phase, line.Cause), strings.Join(line.Says, " | "))
		}
	}
	if len(p.Cannot) > 0 {
		fmt.Fprintf(b, "\nWhat %s does and this policy cannot\n", p.Name)
		for _, text := range p.Cannot {
			wrap(b, "  - ", text)
		}
	}
}

func renderNotes(b *bytes.Buffer, run *results.Run) {
	warnings := slices.Clone(run.Warnings)
	if run.Recording.Error != "" && run.Complete { // otherwise the warnings say it
		warnings = append(warnings, fmt.Sprintf("not everything was recorded (%s lost): %s",
			results.FormatCount(run.Recording.Lost, "exchange"), run.Recording.Error))
	}
	if len(warnings) > 0 {
		fmt.Fprintf(b, "\nWarnings\n")
		for _, text := range warnings {
			wrap(b, "  - ", text)
		}
	}
	renderExpectations(b, run)
	if n := run.Recording.SuccessesOneIn; n > 1 && run.Recording.Error == "" {
		fmt.Fprintf(b, "\nThe record holds one success in %d, every failure, and all that was sent again.\n", n)
	}
}

func table(b *bytes.Buffer) *layout.Rows { return layout.Table(b) }

// pairs prints a map in the order of its keys: "200 23880, 503 12".
func pairs(m map[string]uint64) string {
	list := make([]string, 0, len(m))
	for _, key := range slices.Sorted(maps.Keys(m)) {
		list = append(list, fmt.Sprintf("%s %d", key, m[key]))
	}
	return strings.Join(list, ", ")
}

// statuses prints counts by status: "200: 395, 503: 5".
func statuses(m map[string]uint64) string {
	list := make([]string, 0, len(m))
	for _, status := range slices.Sorted(maps.Keys(m)) {
		list = append(list, fmt.Sprintf("%s: %d", status, m[status]))
	}
	return strings.Join(list, ", ")
}

func ratio(k, n uint64) string {
	if n == 0 {
		return "-"
	}
	return results.FormatPercent(float64(k) / float64(n))
}

// interval prints the 95 % interval of k in n.
func interval(k, n uint64) string {
	lo, hi := results.Interval(k, n, 0.95)
	return results.FormatPercent(lo) + " to " + results.FormatPercent(hi)
}

// wrap writes prefix and text. Long text is broken between words, and later lines are
// indented by the length of prefix.
func wrap(b *bytes.Buffer, prefix, text string) { layout.Paragraph(b, prefix, text) }
