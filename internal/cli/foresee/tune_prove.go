package foresee

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/forecast"
	"github.com/kabench/kabench/internal/resultsdir"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
)

// proof is a real run beside its forecast.
type proof struct {
	Name    string         `json:"name"` // recommended, now
	Dir     string         `json:"dir"`
	Invalid []string       `json:"invalid,omitempty"` // why the run proves nothing
	Figures []provedFigure `json:"figures"`
}

// slack is the share by which a run may lie outside the runs that were forecast: a real
// machine is sometimes late, and requests that are late come together.
const slack = 0.1

// fewMore is how many connections more than that a run may have opened, for the same reason.
const fewMore = 3

// provedFigure is a count of the run, and the least and the most of the runs that were
// forecast.
type provedFigure struct {
	Path   string  `json:"path"`
	Seen   float64 `json:"seen"`
	Least  float64 `json:"least"`
	Most   float64 `json:"most"`
	Agrees bool    `json:"agrees"`
}

// proven are the figures that a run is compared by.
var proven = []string{"failures", "connections.opened"}

// prove makes a real run of the recommended choice and of the present one. If a server was named,
// and the profile has a lab, then the lab plays that server. soft ends forecasts, and hard a run
// that does not stop in order.
func (t *tuned) prove(soft, hard context.Context, s *cli.Streams, stop <-chan struct{}) error {
	recommended, err := t.with(t.set(t.found.Safe.Values))
	if err != nil {
		return err
	}
	progress := cli.NewProgress(s)
	for i, c := range []*choice{{profile: recommended}, {profile: t.profile}} {
		p := proof{Name: [...]string{"recommended", "now"}[i]}
		run := c.profile.Clone()
		run.Name = t.profile.Name + "-" + p.Name
		run.Remedies, run.Expect = nil, nil // the forecast says what is expected
		run.Load.Seed = max(run.Load.Seed, 1)
		if run.Target.Lab != nil && t.opts.Server != nil {
			lab := t.opts.Server.Lab
			run.Target.Lab = &lab
		}
		p.Dir = resultsdir.Out("", run.Name)
		progress.BeginRun(i+1, 2, fmt.Sprintf("proof %d of 2: %s", i+1, p.Name))
		made, err := kabench.Run(hard, run, kabench.Options{Out: p.Dir, Version: cli.Version(), Stop: stop, Progress: progress.Show, Preparing: progress.Prepare})
		progress.End()
		if errors.Is(err, kabench.ErrInterrupted) || made != nil && made.Interrupted {
			t.stopped = true
			return nil
		}
		if err != nil {
			return err
		}
		switch err := t.compare(soft, &p, made, run); {
		case errors.Is(err, context.Canceled):
			t.stopped = true
			return nil
		case err != nil:
			return err
		}
		t.proofs = append(t.proofs, p)
	}
	return nil
}

// compare checks a run against a forecast of runs of its length.
func (t *tuned) compare(ctx context.Context, p *proof, made *results.Run, run *profiles.Profile) error {
	if !made.Valid {
		p.Invalid = made.Invalid
		return nil
	}
	opts := t.opts
	opts.For, opts.Seed = 0, run.Load.Seed
	opts.Requests = 0
	r, err := forecast.Run(ctx, run, opts)
	if err != nil {
		return err
	}
	for _, path := range proven {
		seen := float64(made.Counts.Failed)
		if path == "connections.opened" {
			seen = float64(made.Connections.Opened)
		}
		f := provedFigure{Path: path, Seen: seen}
		f.Least, f.Most = r.Range(path)
		most := f.Most * (1 + slack)
		if path == "connections.opened" {
			most += fewMore
		}
		f.Agrees = seen >= f.Least*(1-slack) && seen <= most
		p.Figures = append(p.Figures, f)
	}
	return nil
}

// set is a choice as changes of the profile.
func (t *tuned) set(values []string) map[string]string {
	set := map[string]string{}
	for i, a := range t.o.axis {
		set[a.Path] = values[i]
	}
	return set
}

// unproven reports whether a run was invalid, so that it proves nothing.
func (t *tuned) unproven() bool {
	return slices.ContainsFunc(t.proofs, func(p proof) bool { return len(p.Invalid) > 0 })
}

// disagrees reports whether a run lies outside its forecast.
func (t *tuned) disagrees() bool {
	for _, p := range t.proofs {
		for _, f := range p.Figures {
			if !f.Agrees {
				return true
			}
		}
	}
	return false
}
