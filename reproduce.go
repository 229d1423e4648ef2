package kabench

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kabench/kabench/dialers/external"
	"github.com/kabench/kabench/dialers/external/drivers"
	"github.com/kabench/kabench/internal/judge"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/profiles/schema"
	"github.com/kabench/kabench/profiles/settings"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

// ReproduceOptions are Options for several runs.
type ReproduceOptions struct {
	Options
	// Before, if set, is called before each run with its name: "incident", or the
	// remedy's.
	Before func(step, steps int, name string)
	// Forecast, if set, is what is expected of the incident's run. Without it, the
	// profile's forecast is used, if there is one.
	Forecast *results.Forecast
	// Again, if set, is called with an invalid run before it is made again.
	Again func(results.MadeAgain)
}

// MostAgain is how often an invalid run is made again, at most.
const MostAgain = 3

// Reproduce runs the incident p and then each of its remedies, and says whether
// the incident showed its signature and the remedies cleared it. An invalid run is
// made again, at most MostAgain times; invalid runs are neither kept nor judged,
// and without a valid run of the incident no remedy is run. The runs are kept below
// Out as "incident" and "remedy-1", "remedy-2" and so on. What was done until an
// interruption or a failure is still returned.
func Reproduce(ctx context.Context, p *profiles.Profile, opts ReproduceOptions) (*results.Reproduction, error) {
	b, err := planReproduction(p, opts)
	if err != nil {
		return nil, err
	}
	if opts.Out != "" {
		lock, err := claimForRuns(opts.Out, &results.Plan{
			Version: opts.Version, Kind: record.KindIncident, Name: p.Name, Question: p.Question, Start: time.Now(), Seed: b.incident.Load.Seed,
		})
		if err != nil {
			return nil, &InputError{err}
		}
		defer lock.Close()
		b.keepIncident()
	}
	if err := b.runIncident(ctx); err != nil {
		if opts.Out != "" {
			unclaim(opts.Out)
		}
		return nil, err
	}
	for i := range b.remedies {
		if ctx.Err() != nil || closed(opts.Stop) || !b.doc.IncidentRun.Valid || b.doc.IncidentRun.Degraded() != "" || !b.runRemedy(ctx, i) {
			break
		}
	}
	judge.Reproduction(says(b.incident), b.doc)
	return b.doc, errors.Join(b.problems...)
}

// reproducing is a reproduction being made.
type reproducing struct {
	incident *profiles.Profile
	remedies []*profiles.Profile // the incident's profile, each with a remedy applied
	opts     ReproduceOptions
	doc      *results.Reproduction
	problems []error // what could not be written, or run
}

// planReproduction finds out whether p and its remedies can be run.
func planReproduction(p *profiles.Profile, opts ReproduceOptions) (*reproducing, error) {
	if len(p.Expect) == 0 || len(p.Remedies) == 0 && p.Says.Happened == "" {
		return nil, inputErrorf("%s is not an incident: an incident has expect, and remedies or says; to send its traffic, use 'kabench run'", p.Name)
	}
	if p.Client == profiles.ClientExternal && opts.Fleet == nil { // before a run is announced
		if _, _, err := driverCommand(p); err != nil {
			return nil, &InputError{err}
		}
	}
	if p.Load.Seed == 0 {
		// One for all runs, so that they differ in the remedy and not in the arrivals.
		p = p.Clone()
		p.Load.Seed = newSeed()
	}
	opts.Incident = nil
	b := &reproducing{incident: p, opts: opts, doc: &results.Reproduction{
		Schema: results.ReproductionSchema, Incident: p.Name, Question: profiles.Redact(*p).Question, RemedyRuns: []results.RemedyRun{},
		Forecast: forecastOf(p, opts.Forecast),
	}}
	for _, remedy := range p.Remedies {
		changed, err := p.With(remedy)
		if err == nil {
			asked(changed, remedy)
		}
		if err == nil && changed.CannotSend() == "" { // else it is not run
			err = validate(changed, true)
		}
		if err != nil {
			return nil, inputErrorf("remedy %q: %w", remedy.Name, err)
		}
		b.remedies = append(b.remedies, changed)
	}
	return b, nil
}

// asked notes that what a remedy sets of p's pool must be set on a real client: without it,
// the run would not be the remedy's.
func asked(p *profiles.Profile, remedy profiles.Remedy) {
	p.Given = maps.Clone(p.Given)
	for path := range remedy.Set {
		if strings.HasPrefix(path, "pool.") {
			if p.Given == nil {
				p.Given = map[string]profiles.Place{}
			}
			p.Given[path] = profiles.Place{Text: fmt.Sprintf("remedy %q", remedy.Name), Mine: true}
		}
	}
}

// forecastOf returns what is expected of p: more, or else what p itself says.
func forecastOf(p *profiles.Profile, more *results.Forecast) *results.Forecast {
	f := p.Forecast
	if more != nil || f == nil {
		return more
	}
	expected := &results.Forecast{
		Path: f.Path, Mean: f.Mean, Low: f.Low, High: f.High, Seconds: p.Sending().Seconds(),
		IdleFrom: f.IdleFrom.Seconds(), IdleTo: f.IdleTo.Seconds(),
	}
	if p.Client == profiles.ClientExternal {
		expected.Preset = p.Preset
	}
	if p.Target.Link != nil {
		expected.LinkDelay = p.Target.Link.Delay.Seconds()
	}
	return expected
}

func (b *reproducing) runIncident(ctx context.Context) error {
	run, err := b.run(ctx, 0, "incident", "incident", b.incident)
	if err != nil {
		return err
	}
	b.doc.IncidentRun, b.opts.Incident = run, run
	b.doc.Reproduced = judge.Shown(run)
	b.keep()
	return nil
}

// runRemedy runs the i-th remedy, and reports whether there is a run of it.
func (b *reproducing) runRemedy(ctx context.Context, i int) bool {
	remedy := profiles.Redact(*b.incident).Remedies[i] // what it sets may be a secret
	if why := b.lacking(i); why != "" {
		b.doc.NotAvailable = append(b.doc.NotAvailable, results.NotAvailable{Remedy: remedy.Name, Change: remedy.Set, Why: why})
		b.keep()
		return true
	}
	run, err := b.run(ctx, i+1, remedy.Name, fmt.Sprintf("remedy-%d", i+1), b.remedies[i])
	refused, isRefused := errors.AsType[*external.RefusedError](err)
	switch {
	case isRefused:
		b.doc.NotAvailable = append(b.doc.NotAvailable, results.NotAvailable{
			Remedy: remedy.Name, Change: remedy.Set, Why: fmt.Sprintf("%s does not take it as %s: %s", b.doc.IncidentRun.Driver.Client, refused.Setting, refused.Text),
		})
		b.keep()
		return true
	case errors.Is(err, ErrInterrupted):
		return false
	case err != nil:
		b.problems = append(b.problems, fmt.Errorf("remedy %q: %w", remedy.Name, err))
		return false
	}
	cleared := judge.Shown(run)
	b.doc.Reproduced = b.doc.Reproduced && cleared
	b.doc.RemedyRuns = append(b.doc.RemedyRuns, results.RemedyRun{
		Remedy: remedy.Name, Change: remedy.Set, Cleared: cleared, Run: run, Settings: b.spelled(i, run),
	})
	b.keep()
	return true
}

// lacking says why the i-th remedy cannot be set on the real client that has made the
// incident's run; "" if it can, or if kabench's own client has made it. A remedy whose field
// the driver's own settings say already would change nothing.
func (b *reproducing) lacking(i int) string {
	seen := b.doc.IncidentRun.Driver
	if seen == nil {
		return ""
	}
	if why := b.remedies[i].CannotSend(); why != "" {
		return why
	}
	d := settings.Driver{Client: seen.Client, Has: seen.Available}
	_, lacks, why := d.Spelled(b.remedies[i].Pool, b.incident.Remedies[i].Set)
	if len(lacks) > 0 {
		return strings.Join(why, "; ")
	}
	for _, path := range slices.Sorted(maps.Keys(b.incident.Remedies[i].Set)) {
		if s, found := d.For(strings.TrimPrefix(path, "pool.")); found && strings.HasPrefix(path, "pool.") {
			if _, own := b.remedies[i].Driver.Settings[s.Name]; own {
				return fmt.Sprintf("driver.settings.%s sets it already; leave that out", s.Name)
			}
		}
	}
	return ""
}

// spelled is the i-th remedy in the words of clients: of the real client that made the run,
// or of the preset's.
func (b *reproducing) spelled(i int, run *results.Run) []results.ClientSetting {
	change := b.incident.Remedies[i].Set
	seen := run.Driver
	if seen == nil {
		return b.incident.Spelled(change)
	}
	d := settings.Driver{Client: seen.Client, Has: seen.Available}
	list, _, _ := d.Spelled(b.remedies[i].Pool, change)
	for k := range list {
		list[k].Versions = strings.TrimSpace(seen.Client + " " + seen.Version)
	}
	entry, err := drivers.Find(b.incident.Driver.Name)
	if err != nil || len(list) == 0 || len(entry.Preset) == 0 {
		return list
	}
	if preset, found := profiles.FindPool(entry.Preset[0]); found {
		for _, s := range preset.SpelledChange(change) {
			if s.Text != "" {
				s.Client = seen.Client
				list = append(list, s)
			}
		}
	}
	return list
}

// run makes a run of p, and makes it again while it is invalid. An error means that
// there is no run.
func (b *reproducing) run(ctx context.Context, step int, name, dir string, p *profiles.Profile) (*results.Run, error) {
	opts := b.opts.Options
	if opts.Out != "" {
		opts.Out = filepath.Join(opts.Out, dir)
	}
	for try := 1; ; try++ {
		if b.opts.Before != nil {
			b.opts.Before(step+1, len(b.remedies)+1, name)
		}
		run, err := Run(ctx, p, opts)
		if run != nil && err != nil {
			b.problems = append(b.problems, err)
			return run, nil
		}
		if err != nil || run.Valid || run.Interrupted || try > MostAgain || ctx.Err() != nil || closed(opts.Stop) {
			return run, err
		}
		if opts.Out != "" {
			if err := os.RemoveAll(opts.Out); err != nil { // Run made it
				b.problems = append(b.problems, err)
				return run, nil
			}
		}
		again := results.MadeAgain{Run: name, Try: try, Invalid: run.Invalid}
		b.doc.MadeAgain = append(b.doc.MadeAgain, again)
		if b.opts.Again != nil {
			b.opts.Again(again)
		}
	}
}

// keepIncident writes an incident that was aimed at a target, so that it can be run again.
func (b *reproducing) keepIncident() {
	if b.incident.Forecast == nil {
		return
	}
	redacted := profiles.Redact(*b.incident)
	text, err := profiles.Marshal(&redacted)
	if err == nil {
		err = record.SaveIncident(b.opts.Out, append([]byte(schema.Line("profile")), text...))
	}
	if err != nil {
		b.problems = append(b.problems, err)
	}
}

// keep writes an unfinished reproduction, so that it can be read if this
// process is killed.
func (b *reproducing) keep() {
	if b.opts.Out == "" {
		return
	}
	doc := *b.doc
	judge.Reproduction(says(b.incident), &doc)
	if err := record.SaveReproduction(b.opts.Out, &doc); err != nil {
		b.problems = append(b.problems, err)
	}
}

// says returns what p says about its runs.
func says(p *profiles.Profile) judge.Says {
	s := judge.Says{Happened: p.Says.Happened, Set: p.Says.Set}
	for _, remedy := range p.Remedies {
		s.Costs, s.Names = append(s.Costs, remedy.Cost), append(s.Names, remedy.Name)
	}
	return s
}
