package conform

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/kabench/kabench/dialers/external"
	"github.com/kabench/kabench/profiles"
)

// Pair is a client and a preset that are held against each other.
type Pair struct {
	Command  external.Command
	Preset   profiles.Preset
	Defaults profiles.Preset // the preset of the client's own defaults
	// Settings are given to the client besides those that make of its defaults the
	// preset's values, by its own names.
	Settings map[string]any
	Stories  []Story
	Lanes    int // how many processes of the client play at the same time
	Done     func(Result)
}

// Hold starts the client, plays the stories and returns what they said. The report's
// Error says why nothing could be played.
func Hold(ctx context.Context, p Pair) Report {
	began := time.Now()
	report := Report{Driver: p.Command.Name, Preset: p.Preset.Name, Run: append([]string{}, p.Preset.Run...), Date: began.UTC().Format(time.DateOnly), Results: []Result{}}
	first, err := StartReal(ctx, p.Command, nil)
	if err != nil {
		report.Error = err.Error()
		return report
	}
	hello := first.Hello()
	report.Client, report.Version, report.Runtime = hello.Client, hello.Version, hello.Runtime
	settings, err := Settings(hello, p.Defaults.Pool, p.Preset.Pool)
	if err != nil {
		first.Close()
		report.Error = err.Error()
		return report
	}
	maps.Copy(settings, p.Settings)
	first.settings, report.Settings = settings, settings
	lanes, err := moreLanes(ctx, first, p)
	defer func() {
		for _, lane := range lanes {
			lane.Close()
		}
	}()
	if err != nil {
		report.Error = err.Error()
		return report
	}
	o := Options{Stories: p.Stories, Preset: p.Preset, Done: p.Done}
	for _, lane := range lanes {
		o.Lanes = append(o.Lanes, lane)
	}
	report.Results = Run(ctx, o)
	for i := range report.Results { // what agrees needs no proof in a document
		if one := &report.Results[i]; one.Verdict == Agrees {
			one.Client, one.Preset = nil, nil
		}
	}
	report.Seconds = took(time.Since(began))
	return report
}

// moreLanes starts the client as often as it is needed. The returned ones must be closed,
// also beside an error.
func moreLanes(ctx context.Context, first *Real, p Pair) ([]*Real, error) {
	lanes := make([]*Real, max(1, min(p.Lanes, len(p.Stories))))
	lanes[0] = first
	errs := make([]error, len(lanes))
	var starting sync.WaitGroup
	for i := range lanes {
		if i > 0 {
			lanes[i] = &Real{command: p.Command, settings: first.settings}
			starting.Go(func() { errs[i] = lanes[i].start(ctx) })
		}
	}
	starting.Wait()
	return lanes, errors.Join(errs...)
}
