package kabench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/kabench/kabench/internal/judge"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
)

// ReproduceOptions are Options for several runs.
type ReproduceOptions struct {
	Options
	// Before, if set, is told of each run before it is made: "incident", or the
	// remedy's name.
	Before func(step, steps int, name string)
	// Again, if set, is told of an invalid run before it is made again.
	Again func(results.MadeAgain)
}

// MostAgain is how often an invalid run is made again.
const MostAgain = 3

// Reproduce runs the incident p and then each of its remedies, and says whether
// the incident showed its signature and the remedies cleared it. An invalid run is
// made again, MostAgain times at most; what was invalid is neither kept nor judged,
// and without a valid run of the incident no remedy is run. The runs are kept below
// Out as "incident" and "remedy-1", "remedy-2" and so on. What was done until an
// interruption or a failure is returned all the same.
func Reproduce(ctx context.Context, p *profiles.Profile, opts ReproduceOptions) (*results.Reproduction, error) {
	rep := &results.Reproduction{Schema: results.ReproductionSchema, Incident: p.Name, Question: profiles.Redact(*p).Question, RemedyRuns: []results.RemedyRun{}}
	if len(p.Expect) == 0 || len(p.Remedies) == 0 && p.Says.Happened == "" {
		return nil, inputErrorf("%s is no incident: it needs a signature to check (expect), and remedies or what to say of it (says); to send its traffic use 'kabench run'", p.Name)
	}
	if p.Load.Seed == 0 {
		// One for all runs, so that they differ in the remedy and not in the arrivals.
		p = p.Clone()
		p.Load.Seed = newSeed()
	}
	remedies := make([]*profiles.Profile, len(p.Remedies))
	for i, remedy := range p.Remedies {
		changed, err := p.With(remedy)
		if err == nil {
			bare := changed.Clone()
			bare.Expect = nil // it may name the incident, as no profile's own may
			err = errors.Join(bare.Validate(), results.ValidateRemedy(changed.Expect))
		}
		if err != nil {
			return nil, inputErrorf("remedy %q: %w", remedy.Name, err)
		}
		remedies[i] = changed
	}
	if opts.Out != "" {
		lock, err := claimForRuns(opts.Out, &results.Plan{
			Version: opts.Version, Kind: results.KindIncident, Name: p.Name, Question: p.Question, Start: time.Now(), Seed: p.Load.Seed,
		})
		if err != nil {
			return nil, &InputError{err}
		}
		defer lock.Close()
	}
	secretless := profiles.Redact(*p).Remedies
	var problems []error
	opts.Incident = nil
	one := func(step int, name, dir string, p *profiles.Profile) (*results.Run, error) {
		o := opts.Options
		if o.Out != "" {
			o.Out = filepath.Join(o.Out, dir)
		}
		for try := 1; ; try++ {
			if opts.Before != nil {
				opts.Before(step+1, len(remedies)+1, name)
			}
			run, err := Run(ctx, p, o)
			if run != nil && err != nil {
				problems = append(problems, err)
				return run, nil
			}
			if err != nil || run.Valid || run.Interrupted || try > MostAgain || ctx.Err() != nil || closed(opts.Stop) {
				return run, err
			}
			if o.Out != "" {
				if err := os.RemoveAll(o.Out); err != nil { // Run made it
					problems = append(problems, err)
					return run, nil
				}
			}
			again := results.MadeAgain{Run: name, Try: try, Invalid: run.Invalid}
			rep.MadeAgain = append(rep.MadeAgain, again)
			if opts.Again != nil {
				opts.Again(again)
			}
		}
	}
	run, err := one(0, "incident", "incident", p)
	if err != nil {
		if opts.Out != "" {
			unclaim(opts.Out)
		}
		return nil, err
	}
	rep.IncidentRun, opts.Incident = run, run
	rep.Reproduced = judge.Shown(run)
	problems = append(problems, keepReproduction(opts.Out, p, rep))
	for i, remedy := range p.Remedies {
		if ctx.Err() != nil || closed(opts.Stop) || !rep.IncidentRun.Valid {
			break
		}
		run, err := one(i+1, remedy.Name, fmt.Sprintf("remedy-%d", i+1), remedies[i])
		if errors.Is(err, ErrInterrupted) {
			break
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("remedy %q: %w", remedy.Name, err))
			break
		}
		cleared := judge.Shown(run)
		rep.Reproduced = rep.Reproduced && cleared
		rep.RemedyRuns = append(rep.RemedyRuns, results.RemedyRun{Remedy: remedy.Name, Change: secretless[i].Set, Cleared: cleared, Run: run})
		problems = append(problems, keepReproduction(opts.Out, p, rep))
	}
	judge.Reproduction(says(p), rep)
	return rep, errors.Join(problems...)
}

// keepReproduction writes what there is of a reproduction that goes on to dir,
// unless that is "", so that it can be read if this process is killed.
func keepReproduction(dir string, p *profiles.Profile, rep *results.Reproduction) error {
	if dir == "" {
		return nil
	}
	so := *rep
	judge.Reproduction(says(p), &so)
	return results.SaveReproduction(dir, &so)
}

// says is what p has to say of its runs.
func says(p *profiles.Profile) judge.Says {
	s := judge.Says{Happened: p.Says.Happened, Set: p.Says.Set}
	for _, remedy := range p.Remedies {
		s.Costs = append(s.Costs, remedy.Cost)
	}
	return s
}
