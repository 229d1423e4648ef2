package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/results"
)

// reproduceOptions are the flags of `kabench reproduce`.
type reproduceOptions struct {
	incident string
	sets     []string
	out      string
	trace    traceOptions
	all      bool
	jobs     int
}

func newReproduce(s *streams) *cobra.Command {
	o := &reproduceOptions{}
	c := &cobra.Command{
		Use:   "reproduce INCIDENT",
		Short: "Reproduce an incident, run its remedies, and show them side by side",
		Long: `Reproduce an incident by its own mechanism, check that it shows its signature, then run each
of its remedies and check that it clears it. 'kabench incidents' lists those that come with
kabench; a YAML file of the same shape will do too, and 'kabench new-incident' writes one.

A run that is invalid, because this machine was too busy for it, is made again, three times at
most. Nothing is judged from an invalid one.

With --all every incident that comes with kabench is reproduced, each by a process of its own,
and one table says how they came out; with --json it is a list of what each alone would print.`,
		Example: `  kabench reproduce idle-race
  kabench reproduce idle-race --set target.link.delay=2ms --json
  kabench reproduce --all --jobs 2`,
		ValidArgsFunction: completeIncidents,
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case o.all && len(args) > 0:
				return &usageError{c.CommandPath(), errors.New("--all is every incident; name none")}
			case o.all && (o.jobs < 1 || o.jobs > 64):
				return &usageError{c.CommandPath(), fmt.Errorf("--jobs %d is not between 1 and 64", o.jobs)}
			case o.all && o.trace.to != "":
				return &usageError{c.CommandPath(), errors.New("--trace is for one incident; reproduce it by itself")}
			case o.all:
				return reproduceAll(c.Context(), s, o)
			case c.Flags().Changed("jobs"):
				return &usageError{c.CommandPath(), errors.New("--jobs is for --all")}
			}
			if err := one("an incident; 'kabench incidents' lists them")(c, args); err != nil {
				return err
			}
			o.incident = args[0]
			return doReproduce(c, s, o)
		},
	}
	c.Flags().StringArrayVar(&o.sets, "set", nil, "set any profile field, as target.link.delay=2ms; may be repeated")
	c.Flags().StringVar(&o.out, "out", "", "directory for the results; none: keep nothing (default kabench-results/TIME-NAME)")
	o.trace.flags(c)
	c.Flags().BoolVar(&o.all, "all", false, "reproduce every incident that comes with kabench")
	c.Flags().IntVar(&o.jobs, "jobs", 1, "with --all: how many at a time; they share this machine's cores")
	return c
}

func doReproduce(c *cobra.Command, s *streams, o *reproduceOptions) error {
	p, err := loadProfile(o.incident, o.sets)
	if err != nil {
		return err
	}
	trace, silent, err := o.trace.open(c.CommandPath(), s.err)
	if err != nil {
		return err
	}
	ctx, stop, restore := interruptible(c.Context(), s.err)
	defer restore()
	out := outDir(o.out, p.Name)
	progress := newProgress(s)
	progress.silent = progress.silent || silent
	rep, err := kabench.Reproduce(ctx, p, kabench.ReproduceOptions{
		Options: kabench.Options{Out: out, Version: version(), Stop: stop, Progress: progress.show, Trace: trace.add()},
		Before: func(step, steps int, name string) {
			title := fmt.Sprintf("run %d of %d, %s", step, steps, name)
			progress.begin(title)
			trace.begin(title)
		},
		Again: func(a results.MadeAgain) {
			progress.end()
			if !s.json {
				fmt.Fprintf(s.err, "kabench: %s: invalid, so it is run again (%d of at most %d): %s\n", a.Run, a.Try, kabench.MostAgain, results.OneLine(strings.Join(a.Invalid, "; ")))
			}
		},
	})
	progress.end()
	traceErr := trace.close()
	if rep == nil {
		return err
	}
	err = errors.Join(err, traceErr)
	if out != "" {
		if saveErr := results.SaveReproduction(out, rep); err == nil {
			err = saveErr
		}
	}
	print := results.RenderReproduction
	if s.json {
		print = results.EncodeReproduction
	}
	if printErr := print(s.out, rep); printErr != nil {
		return printErr
	}
	if err != nil {
		return err
	}
	s.saved(out)
	return codeOfReproduction(rep)
}

// codeOfReproduction is that of the first run that is not as it should be.
func codeOfReproduction(rep *results.Reproduction) error {
	code := codeOf(rep.IncidentRun)
	for _, r := range rep.RemedyRuns {
		if code == nil || r.Interrupted {
			code = codeOf(r.Run)
		}
	}
	if code == nil && !rep.Reproduced {
		code = exitCode(exitInterrupted) // stopped between two runs
	}
	return code
}
