package judge

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/expect"
)

// Says are the texts of an incident's profile about its runs; expect.FillIn fills in the
// figures.
type Says struct {
	Happened string   // of the incident's own run
	Set      string   // of the first remedy
	Costs    []string // what each remedy costs, in their order; "" for none
	Names    []string // of the remedies, in their order
}

// Reproduction sets rep.Verdict and rep.Reproduced by the runs made so far. An
// incident is reproduced only when all of its remedies have been run.
func Reproduction(says Says, rep *results.Reproduction) {
	rep.Reproduced = rep.Reproduced && len(rep.RemedyRuns)+len(rep.NotAvailable) == len(says.Costs)
	rep.Verdict = verdict(says, rep) + madeAgain(rep)
	if rep.Forecast != nil {
		if rep.Forecast = Forecast(rep.Forecast, rep.IncidentRun); rep.Forecast.Says != "" {
			rep.Verdict += "\n" + rep.Forecast.Says
		}
	}
}

// madeAgain says, in a line of its own for each, which runs were made again and
// why; "" if none was. If the run stayed invalid, the verdict has its reasons already.
func madeAgain(rep *results.Reproduction) string {
	var text strings.Builder
	for i, a := range rep.MadeAgain {
		if i+1 < len(rep.MadeAgain) && rep.MadeAgain[i+1].Run == a.Run {
			continue // the last of its tries speaks for all
		}
		if rep.IncidentRun != nil && !rep.IncidentRun.Valid {
			fmt.Fprintf(&text, "\n%q was run %d times, because its run was invalid each time.", a.Run, a.Try+1)
			continue
		}
		fmt.Fprintf(&text, "\n%q was run %d times, because its run was invalid: %s.", a.Run, a.Try+1, strings.Join(a.Invalid, "; "))
	}
	return text.String()
}

// Shown reports whether a run is valid, had its load, and met all its expectations.
func Shown(run *results.Run) bool {
	return run.Valid && !run.Interrupted && run.Degraded() == "" && len(run.Unmet()) == 0 && !untold(run)
}

// untold reports whether run has conditions, and a real client tells no figure of them.
func untold(run *results.Run) bool {
	return len(run.Expect) > 0 && len(run.Unjudged()) == len(run.Expect)
}

// verdict returns a sentence that says what happened and, for each remedy, a sentence
// that says what to set and what that costs, with the figures of the runs.
func verdict(says Says, rep *results.Reproduction) string {
	switch {
	case rep.IncidentRun.Stopped != nil:
		return "Not judged: the incident's own run was stopped by abort_when " + stoppedBy(rep.IncidentRun) + "."
	case rep.IncidentRun.Interrupted:
		return "Not judged: the incident's own run was interrupted."
	case !rep.IncidentRun.Valid:
		s := "Not judged, because the incident's run is invalid: " + strings.Join(rep.IncidentRun.Invalid, "; ") + "."
		if len(says.Costs) > 0 {
			s += " Its remedies were not run."
		}
		return s
	case rep.IncidentRun.Degraded() != "":
		return "Not judged: " + rep.IncidentRun.Degraded() + "."
	}
	sentences := []string{happened(says, rep.IncidentRun)}
	if !Shown(rep.IncidentRun) {
		return sentences[0] // there is nothing for a remedy to clear
	}
	for i, r := range rep.RemedyRuns {
		if n := slices.Index(says.Names, r.Remedy); n >= 0 {
			i = n // some may not be available
		}
		sentences = append(sentences, remedied(says, i, rep.IncidentRun, r))
	}
	for _, n := range rep.NotAvailable {
		sentences = append(sentences, fmt.Sprintf("%q is not available on this client, so it was not run: %s.", n.Remedy, n.Why))
	}
	if missing := len(says.Costs) - len(rep.RemedyRuns) - len(rep.NotAvailable); missing > 0 {
		sentences = append(sentences, fmt.Sprintf("Not judged: %d of %d remedies were not run to their end.", missing, len(says.Costs)))
	}
	return strings.Join(sentences, "\n")
}

func happened(says Says, run *results.Run) string {
	s := failed(run)
	if run.Counts.Failed > 0 {
		s += ", " + commonest(run)
	}
	if q := run.IdleAtFailure; q != nil && q.Count > 0 && strings.HasSuffix(s, " connections") {
		s += fmt.Sprintf(" that had been idle for %s in the median", results.FormatSeconds(q.P50))
	}
	if untold(run) {
		return "Not judged: " + s + "; none of its conditions can be checked: " + conditions(run.Expect) + "."
	}
	if !Shown(run) {
		return "Not reproduced: " + s + "; expected " + conditions(run.Unmet()) + "."
	}
	s = strings.ToUpper(s[:1]) + s[1:] // "none of" begins the sentence
	return s + ": " + expect.FillIn(says.Happened, run, run) + "."
}

// remedied returns the sentence about the i-th remedy. The first is the one that Says.Set
// advises.
func remedied(says Says, i int, before *results.Run, r results.RemedyRun) string {
	if r.Stopped != nil {
		return fmt.Sprintf("%q was not judged: its run was stopped by abort_when %s.", r.Remedy, stoppedBy(r.Run))
	}
	if r.Interrupted {
		return fmt.Sprintf("%q was not judged: its run was interrupted.", r.Remedy)
	}
	if !r.Valid {
		return fmt.Sprintf("%q was not judged, because its run is invalid: %s.", r.Remedy, strings.Join(r.Invalid, "; "))
	}
	if text := r.Run.Degraded(); text != "" {
		return fmt.Sprintf("%q was not judged: %s.", r.Remedy, text)
	}
	if untold(r.Run) {
		return fmt.Sprintf("%q was not judged, because none of its conditions can be checked: %s.", r.Remedy, conditions(r.Expect))
	}
	if !r.Cleared {
		return fmt.Sprintf("With %q %s; expected %s.", r.Remedy, failed(r.Run), conditions(r.Unmet()))
	}
	sets := setBy(r)
	outcome := failed(r.Run)
	if r.Counts.Dropped > 0 {
		outcome += fmt.Sprintf(" and %d were dropped", r.Counts.Dropped)
	}
	s := fmt.Sprintf("With %q, which is %s, %s. It took %s", r.Remedy, strings.Join(sets, " and "), outcome, cost(before, r.Run))
	if advice := expect.FillIn(says.Set, r.Run, before); i == 0 && advice != "" {
		takes := "costs"
		if r.Connections.Opened < before.Connections.Opened { // which is no cost
			takes = "takes"
		}
		s = fmt.Sprintf("Set %s: with %s %s. It %s %s", advice, strings.Join(sets, " and "), outcome, takes, cost(before, r.Run))
	}
	if says.Costs[i] != "" {
		s += ": " + expect.FillIn(says.Costs[i], r.Run, before)
	}
	return s + "."
}

// setBy is what a remedy sets: on a real client by its own settings, where it has them.
func setBy(r results.RemedyRun) (sets []string) {
	own := map[string]string{}
	if r.Run != nil && r.Driver != nil {
		for _, s := range r.Settings {
			if _, told := own[s.Path]; !told && s.Text != "" {
				own[s.Path] = s.Text
			}
		}
	}
	for _, path := range slices.Sorted(maps.Keys(r.Change)) {
		sets = append(sets, cmp.Or(own[path], path+" "+cmp.Or(r.Change[path], `""`)))
	}
	return sets
}

// stoppedBy returns the condition that stopped a run.
func stoppedBy(run *results.Run) string {
	return fmt.Sprintf("%s %s (seen: %s)", run.Stopped.Path, run.Stopped.When, run.Stopped.Seen)
}

// cost compares the connections and sockets that the two runs took.
func cost(before, after *results.Run) string {
	s := fmt.Sprintf("%s opened instead of %d", results.FormatCount(after.Connections.Opened, "connection"), before.Connections.Opened)
	if after.Connections.Opened == before.Connections.Opened {
		s = fmt.Sprintf("the same number of connections (%d)", before.Connections.Opened)
	}
	a, b := after.Sockets, before.Sockets
	if !a.Available || !b.Available {
		return s
	}
	client := a.TimeWaitPeak != b.TimeWaitPeak
	server := a.ServerSide && b.ServerSide && a.TimeWaitServer != b.TimeWaitServer
	if client {
		s += fmt.Sprintf(" and at most %d TIME_WAIT sockets on the client instead of %d", a.TimeWaitPeak, b.TimeWaitPeak)
	}
	switch {
	case server && client:
		s += fmt.Sprintf(" (on the server %d instead of %d)", a.TimeWaitServer, b.TimeWaitServer)
	case server:
		s += fmt.Sprintf(" and at most %d TIME_WAIT sockets on the server instead of %d", a.TimeWaitServer, b.TimeWaitServer)
	}
	return s
}

// commonest names the most frequent outcome of the failures.
func commonest(run *results.Run) string {
	var most results.Outcome
	for _, o := range run.Outcomes {
		if o.Phase != results.PhaseDone && o.Phase != results.PhaseSchedule && o.Count > most.Count {
			most = o
		}
	}
	how := "all"
	if most.Count < run.Counts.Failed {
		how = fmt.Sprintf("%d of them", most.Count)
	}
	s := fmt.Sprintf("%s %v/%v", how, most.Phase, most.Cause)
	if kind := most.Connection(); kind != "no connection" {
		s += " on " + kind + " connections"
	}
	return s
}

// conditions writes conditions, each with what was seen or why it could not be checked.
func conditions(list []results.Expectation) string {
	var all []string
	for _, e := range list {
		all = append(all, fmt.Sprintf("%s %s (%s)", e.Path, e.Want, cmp.Or(e.Why, "seen: "+e.Seen)))
	}
	return strings.Join(all, ", ")
}

// failed says how many requests failed, and how many of the responses had an error status.
func failed(run *results.Run) string {
	s := fmt.Sprintf("%s of %d requests failed", count(run.Counts.Failed), run.Counts.Started)
	if n := run.ErrorAnswers.Sum(); n > 0 {
		s += fmt.Sprintf(" (%d of %d responses were errors)", n, run.Counts.OK)
	}
	return s
}

func count(n uint64) string {
	if n == 0 {
		return "none"
	}
	return fmt.Sprint(n)
}
