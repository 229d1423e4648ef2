package harness

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
)

// ReproduceOptions are Options for several runs.
type ReproduceOptions struct {
	Options
	// Before, if set, is told of each run before it is made: "incident", or the
	// remedy's name.
	Before func(step, steps int, name string)
}

// Reproduce runs the incident p and then each of its remedies, and says whether
// the incident showed its signature and the remedies cleared it. The runs are
// kept below Out as "incident" and "remedy-1", "remedy-2" and so on. What was
// done until an interruption is returned with ctx's error, or none if Stop was
// closed.
func Reproduce(ctx context.Context, p *profiles.Profile, opts ReproduceOptions) (*results.Reproduction, error) {
	rep := &results.Reproduction{Schema: results.ReproductionSchema, Incident: p.Name, Question: p.Question, RemedyRuns: []results.RemedyRun{}}
	if len(p.Expect) == 0 || len(p.Remedies) == 0 && p.Says.Happened == "" {
		return nil, inputErrorf("%s is no incident: it needs a signature to check (expect), and remedies or what to say of it (says); to send its traffic use 'kabench run'", p.Name)
	}
	remedies := make([]*profiles.Profile, len(p.Remedies))
	for i, remedy := range p.Remedies {
		changed, err := p.With(remedy)
		if err == nil {
			err = changed.Validate()
		}
		if err != nil {
			return nil, inputErrorf("remedy %q: %w", remedy.Name, err)
		}
		remedies[i] = changed
	}
	var problems []error
	one := func(step int, name, dir string, p *profiles.Profile) (*results.Run, error) {
		if opts.Before != nil {
			opts.Before(step+1, len(remedies)+1, name)
		}
		o := opts.Options
		if o.Out != "" {
			o.Out = filepath.Join(o.Out, dir)
		}
		run, err := Run(ctx, p, o)
		if run == nil {
			return nil, err
		}
		if err != nil {
			problems = append(problems, err)
		}
		return run, nil
	}
	run, err := one(0, "incident", "incident", p)
	if err != nil {
		return nil, err
	}
	rep.IncidentRun = run
	rep.Reproduced = shown(run)
	for i, remedy := range p.Remedies {
		if ctx.Err() != nil || closed(opts.Stop) {
			break
		}
		run, err := one(i+1, remedy.Name, fmt.Sprintf("remedy-%d", i+1), remedies[i])
		if err != nil {
			return rep, err
		}
		cleared := shown(run)
		rep.Reproduced = rep.Reproduced && cleared
		rep.RemedyRuns = append(rep.RemedyRuns, results.RemedyRun{Remedy: remedy.Name, Change: remedy.Set, Cleared: cleared, Run: run})
	}
	if len(rep.RemedyRuns) < len(remedies) {
		rep.Reproduced = false
	}
	rep.Verdict = verdict(p, rep)
	return rep, errors.Join(problems...)
}

// shown reports whether a run may be believed and showed all it was to show.
func shown(run *results.Run) bool {
	if !run.Valid || run.Interrupted {
		return false
	}
	for _, e := range run.Expect {
		if !e.Met {
			return false
		}
	}
	return true
}

// verdict is one sentence that says what happened and one that says what to
// set and what that costs, with the figures of the runs.
func verdict(p *profiles.Profile, rep *results.Reproduction) string {
	switch {
	case rep.IncidentRun.Interrupted || len(rep.RemedyRuns) < len(p.Remedies):
		return "Interrupted: the runs do not tell whether the incident was reproduced."
	case !rep.IncidentRun.Valid:
		return "Not judged: the incident's run is invalid: " + strings.Join(rep.IncidentRun.Invalid, "; ") + "."
	}
	sentences := []string{happened(p, rep)}
	for i, r := range rep.RemedyRuns {
		sentences = append(sentences, remedied(p.Remedies[i], rep.IncidentRun, r))
	}
	return strings.Join(sentences, "\n")
}

func happened(p *profiles.Profile, rep *results.Reproduction) string {
	run := rep.IncidentRun
	s := fmt.Sprintf("%s of %d requests failed", count(run.Counts.Failed), run.Counts.Started)
	if run.Counts.Failed > 0 {
		s += " (" + commonest(run) + ")"
	}
	if q := run.IdleFailed; q != nil {
		s += fmt.Sprintf(", on reused connections that had been idle for %v (median)", seconds(q.P50))
	}
	if !shown(run) {
		return "Not reproduced: " + s + "; expected " + unmet(run) + "."
	}
	return s + ": " + p.Says.Happened
}

func remedied(remedy profiles.Remedy, before *results.Run, r results.RemedyRun) string {
	if !r.Valid {
		return fmt.Sprintf("With %q nothing can be said: the run is invalid: %s.", r.Remedy, strings.Join(r.Invalid, "; "))
	}
	if !r.Cleared {
		return fmt.Sprintf("With %q %d of %d requests failed; expected %s.", r.Remedy, r.Counts.Failed, r.Counts.Started, unmet(r.Run))
	}
	var sets []string
	for path, value := range r.Change {
		sets = append(sets, path+": "+value)
	}
	s := fmt.Sprintf("Set %s: %s of %d requests failed, and it costs %s.", strings.Join(sets, ", "), count(r.Counts.Failed), r.Counts.Started, cost(before, r.Run))
	if remedy.Cost != "" {
		s += " " + remedy.Cost
	}
	return s
}

// cost compares what the two runs took.
func cost(before, after *results.Run) string {
	s := fmt.Sprintf("%d connections opened instead of %d", after.Connections.Opened, before.Connections.Opened)
	a, b := after.Sockets, before.Sockets
	if a.Available && b.Available {
		s += fmt.Sprintf(", and a peak of %d TIME_WAIT sockets on the client instead of %d", a.TimeWaitPeak, b.TimeWaitPeak)
		if a.ServerSide && b.ServerSide {
			s += fmt.Sprintf(" (on the server %d instead of %d)", a.TimeWaitServer, b.TimeWaitServer)
		}
	}
	return s
}

func commonest(run *results.Run) string {
	var most results.Outcome
	for _, o := range run.Outcomes {
		if o.Phase != results.PhaseDone && o.Phase != results.PhaseSchedule && o.Count > most.Count {
			most = o
		}
	}
	kind := "fresh"
	if most.Reused {
		kind = "reused"
	}
	return fmt.Sprintf("%d of them %v/%v on %s connections", most.Count, most.Phase, most.Cause, kind)
}

func unmet(run *results.Run) string {
	var all []string
	for _, e := range run.Expect {
		if !e.Met {
			all = append(all, fmt.Sprintf("%s %s (seen: %s)", e.Path, e.Want, e.Seen))
		}
	}
	return strings.Join(all, ", ")
}

func count(n uint64) string {
	if n == 0 {
		return "none"
	}
	return fmt.Sprint(n)
}
