package conform

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kabench/kabench/dialers/external"
	"github.com/kabench/kabench/profiles"
)

// Client is a real client and the presets that it is compared with.
type Client struct {
	Command external.Command
	// Presets imitate the client. One of them has the values of its defaults in the
	// version that is here; for the others the client is set, as far as it can be.
	Presets []profiles.Preset
	// Settings are the client's settings for a preset, by the preset's name and the client's
	// own names. Without them those are set that differ from the preset of the defaults.
	Settings map[string]map[string]any
	Only     string // the preset to play; "": all
	Stories  []Story
	Lanes    int // how many processes of the client play at the same time
	// Begins, if set, is called before the stories are played with a preset.
	Begins func(preset string)
	Done   func(Result)
}

// Hold starts the client, plays the stories with it and each of its presets, and returns a
// report for each preset. The Error of a report says why nothing could be played.
func Hold(ctx context.Context, c Client) []Report {
	lanes, err := c.start(ctx)
	defer func() {
		for _, lane := range lanes {
			lane.Close()
		}
	}()
	if err != nil {
		report := Report{Driver: c.Command.Name, Preset: c.Only, Run: []string{}, Error: err.Error(), Results: []Result{}}
		if c.Only == "" && len(c.Presets) > 0 {
			report.Preset = c.Presets[0].Name
		}
		return []Report{report}
	}
	hello := lanes[0].Hello()
	defaults := Defaults(c.Presets, hello.Version)
	var reports []Report
	for _, preset := range c.Presets {
		if ctx.Err() != nil {
			break
		}
		settings, err := c.Settings[preset.Name], error(nil)
		if settings == nil {
			settings, err = Settings(hello, defaults.Pool, preset.Pool)
		}
		if c.Only != "" && preset.Name != c.Only || err != nil && c.Only == "" && len(c.Presets) > 1 {
			continue // it is of another version, or of another way to make the client
		}
		report := Report{
			Driver: c.Command.Name, Client: hello.Client, Version: hello.Version, Runtime: hello.Runtime,
			Preset: preset.Name, Run: append([]string{}, preset.Run...), Settings: settings, Results: []Result{},
		}
		if err == nil {
			c.play(ctx, lanes, preset, &report)
		} else {
			report.Error = err.Error()
		}
		reports = append(reports, report)
	}
	return reports
}

// play plays the stories with one preset.
func (c Client) play(ctx context.Context, lanes []*Real, preset profiles.Preset, report *Report) {
	if c.Begins != nil {
		c.Begins(preset.Name)
	}
	began := time.Now()
	o := Options{Stories: c.Stories, Preset: preset, Done: c.Done}
	for _, lane := range lanes {
		lane.settings = report.Settings
		o.Lanes = append(o.Lanes, lane)
	}
	report.Results = Run(ctx, o)
	for i := range report.Results { // what agrees needs no proof in a document
		if one := &report.Results[i]; one.Verdict == Agrees {
			one.Client, one.Preset = nil, nil
		}
	}
	report.Date, report.Seconds = began.UTC().Format(time.DateOnly), took(time.Since(began))
}

// start starts the client as often as it is needed. If this machine is too busy for that,
// fewer of them play. The error says why none started.
func (c Client) start(ctx context.Context) ([]*Real, error) {
	if len(c.Presets) == 0 {
		return nil, fmt.Errorf("no preset imitates %s; name one with --preset", c.Command.Name)
	}
	all := make([]*Real, max(1, min(c.Lanes, len(c.Stories))))
	errs := make([]error, len(all))
	var starting sync.WaitGroup
	for i := range all {
		all[i] = &Real{command: c.Command}
		starting.Go(func() { errs[i] = all[i].start(ctx) })
	}
	starting.Wait()
	var lanes []*Real
	for i, lane := range all {
		if errs[i] == nil {
			lanes = append(lanes, lane)
		}
	}
	if len(lanes) == 0 {
		return nil, errs[0]
	}
	return lanes, nil
}

// ranFor reports whether an entry of a preset's run, such as "7.30.2 on Node 20.20.2", names
// this version.
func ranFor(run, version string) bool {
	return run == version || strings.HasPrefix(run, version+" ")
}

// RanBefore reports whether the preset was run for this version of the client.
func (r Report) RanBefore() bool {
	return slices.ContainsFunc(r.Run, func(run string) bool { return ranFor(run, r.Version) })
}

// Defaults returns the preset whose values are the client's own in a version: one that was
// run for this version, else for the same major version, else the first.
func Defaults(presets []profiles.Preset, version string) profiles.Preset {
	major := func(v string) string {
		first, _, _ := strings.Cut(v, ".")
		return first
	}
	for _, same := range []func(run string) bool{
		func(run string) bool { return ranFor(run, version) },
		func(run string) bool { return major(run) == major(version) },
	} {
		for _, p := range presets {
			if slices.ContainsFunc(p.Run, same) {
				return p
			}
		}
	}
	return presets[0]
}
