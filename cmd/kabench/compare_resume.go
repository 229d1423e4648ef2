package main

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/results"
)

// resume goes on with the comparison in o.resume. With the arguments that it was
// begun with, it takes from them what is not kept: secrets.
func resume(c *cobra.Command, s *streams, o *compareOptions, args []string) error {
	usage := func(format string, args ...any) error {
		return &usageError{c.CommandPath(), fmt.Errorf(format, args...)}
	}
	switch {
	case len(args) > 1 || len(args) == 1 && finished(args):
		return usage("--resume %s goes on with that comparison; name no other directories", o.resume)
	case o.has("out"):
		return usage("--resume %s keeps the results there; leave --out out", o.resume)
	case o.anyQuestion:
		return usage("--any-question is for directories of finished runs")
	}
	// Without the traffic that it was begun with, the settings are those that were kept.
	kept := len(args) == 0 && o.target == "" && o.targets == ""
	if kept {
		for _, flag := range []string{"pool", "axis", "set", "repeats", "seed", "cool-down", "format", "client", "rate", "arrivals", "duration", "warm-up"} {
			if o.has(flag) {
				return usage("--%s: --resume takes the settings from %s; leave it out, or give all the arguments that the comparison was begun with", flag, o.resume)
			}
		}
	}
	was, err := results.OpenPlan(o.resume)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("--resume %s: there is no comparison that was begun; name the directory that --out made", o.resume)
	}
	if err == nil && was.Kind != results.KindComparison {
		err = fmt.Errorf("it holds no comparison but the runs of %s %s; run it again", was.Kind, was.Name)
	}
	if err != nil {
		return fmt.Errorf("--resume %s: %w", o.resume, err)
	}
	p := &plan{
		name: was.Name, question: was.Question, axes: was.Axes, repeats: was.Repeats, seed: was.Seed,
		coolDown: time.Duration(was.CoolDown * float64(time.Second)),
	}
	if kept {
		p.arms, err = kabench.PlannedArms(was)
	} else {
		if len(args) > 0 {
			o.profile = args[0]
		}
		var asked *plan
		if asked, err = o.plan(); err == nil {
			p.arms, p.repeats = asked.arms, asked.repeats
			if asked.seed != 0 {
				p.seed = asked.seed
			}
		}
	}
	if err != nil {
		return fmt.Errorf("--resume %s: %w", o.resume, err)
	}
	if was.Version != version() {
		fmt.Fprintf(s.err, "kabench: the comparison was begun by kabench %s, and this is %s\n", was.Version, version())
	}
	return makeRuns(c, s, p, o.resume, true)
}
