package measure

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/internal/interrupt"
	"github.com/kabench/kabench/internal/resultsdir"
	"github.com/kabench/kabench/internal/usage"
	"github.com/kabench/kabench/profiles/matrix"
	"github.com/kabench/kabench/results/compare"
	"github.com/kabench/kabench/results/record"
)

// compareOptions holds the flags of 'kabench compare'.
type compareOptions struct {
	cli.Traffic
	pools       []string
	drivers     []string
	axes        []string
	repeats     int
	seed        uint64
	coolDown    time.Duration
	out         string
	resume      string // directory of a comparison to continue
	anyQuestion bool
	fleet       cli.Fleet
	tell        telemetryOptions
}

// defaultRepeats is how often each setting runs without --repeats.
const defaultRepeats = 5

// NewCompare makes 'kabench compare'.
func NewCompare(s *cli.Streams) *cobra.Command {
	o := &compareOptions{Traffic: cli.Traffic{Command: "kabench compare"}}
	c := &cobra.Command{
		Use:   "compare [PROFILE] --pool A --pool B | MATRIX.yaml | DIR DIR...",
		Short: "Run several pool settings and report which one helps and what it costs",
		Long: `Run the traffic of a profile with each of several settings, and report what differs, by how
much, and whether the difference can be chance. The first setting is the baseline: every other
one is compared with it. Without a profile, give at least --target and --rate.

The settings are pools (--pool), real clients (--driver), values of any field of the profile (--axis; several axes make
every combination of their values), or the axes of a matrix file:

  profile: quick
  question: Does a longer idle timeout pay?
  axes:
    pool.idle_timeout: [0, 15s, 3s]
    pool.lease_order: [fifo, lifo]
  repeats: 5

Every setting runs --repeats times. The runs are interleaved: each block has one run of every
setting, in random order. Before each run kabench waits until TIME_WAIT sockets to the target have
expired, for at most --cool-down. If the profile is an incident, its remedies are not run. A target that is
neither on this machine nor in a private network needs --i-may.

A comparison that was stopped or killed continues with --resume DIR, in the same order and with
the same seed. Finished runs are not repeated.

With --pool and --driver, each is a setting, and a real client has its own defaults in place of the
profile's pool. With --driver alone it gets what it can of the profile's pool.

If the arguments are directories of finished runs, or of a comparison, those runs are compared.`,
		Example: `  kabench compare quick --pool default --pool reactor-netty
  kabench compare --target http://localhost:8080/ --rate 100/s --pool reactor-netty --pool okhttp
  kabench compare steady --axis pool.idle_timeout=0,15s,3s --axis pool.lease_order=fifo,lifo
  kabench compare idle-race --pool okhttp --driver okhttp
  kabench compare matrix.yaml --repeats 8 --seed 42
  kabench compare --resume kabench-results/20260301-120000.000-compare-quick
  kabench compare kabench-results/20260301-* --json`,
		ValidArgsFunction: completeCompared,
		RunE: func(c *cobra.Command, args []string) error {
			o.Given(c)
			if o.resume != "" {
				return resume(c, s, o, args)
			}
			if len(args) > 0 && finished(args) {
				return compareFinished(c, s, o, args)
			}
			if len(args) > 0 {
				o.Profile = args[0]
			}
			return compareRuns(c, s, o)
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringArrayVar(&o.pools, "pool", nil, "pool preset or YAML file; give the flag once for each pool to compare")
	f.StringArrayVar(&o.drivers, "driver", nil, "real client to send through: a name of 'kabench driver list', or a command; give the flag once for each to compare")
	f.StringArrayVar(&o.axes, "axis", nil, "field and its values, for example pool.idle_timeout=0,15s,3s; may be repeated")
	o.Flags(c)
	o.tell.flags(c)
	f.IntVar(&o.repeats, "repeats", defaultRepeats, "runs of each setting")
	f.Uint64Var(&o.seed, "seed", 0, "seed of the order of runs and of random arrivals, to repeat a comparison exactly; 0: a new one")
	f.DurationVar(&o.coolDown, "cool-down", kabench.DefaultCoolDown, "longest wait before a run for TIME_WAIT sockets to the target to expire")
	f.StringVar(&o.out, "out", "", "directory for the results, or none to keep nothing (default kabench-results/TIME-compare-NAME)")
	f.StringVar(&o.resume, "resume", "", "continue the comparison in this directory, which was stopped or killed")
	o.fleet.Flags(f)
	f.BoolVar(&o.anyQuestion, "any-question", false, "compare finished runs even if their load, target or name differ")
	return c
}

// finished reports whether the arguments are directories of finished runs, not a profile.
func finished(args []string) bool {
	if len(args) > 1 {
		return true
	}
	info, err := os.Stat(args[0])
	return err == nil && info.IsDir()
}

// compareRuns makes the runs and compares them.
func compareRuns(c *cobra.Command, s *cli.Streams, o *compareOptions) error {
	if o.anyQuestion {
		return usage.Errorf(c.CommandPath(), "--any-question is only for directories of finished runs")
	}
	plan, err := o.plan()
	if err != nil {
		return err
	}
	return makeRuns(c, s, o, plan, resultsdir.Out(o.out, "compare-"+plan.Name), false)
}

// makeRuns makes the runs of a plan, or with resume those that out lacks, and compares
// all of them.
func makeRuns(c *cobra.Command, s *cli.Streams, o *compareOptions, plan *matrix.Plan, out string, resume bool) error {
	if err := o.fleet.Check(c); err != nil {
		return err
	}
	load := cli.Load{Repeats: plan.Repeats}
	for _, arm := range plan.Arms {
		load.Profiles = append(load.Profiles, arm.Profile)
	}
	if err := o.MayLoad(c.Context(), load); err != nil {
		return err
	}
	if !s.JSON && !resume {
		fmt.Fprintln(s.Err, estimate(plan))
	}
	told, err := o.tell.open(c, s, false)
	if err != nil {
		return err
	}
	progress := cli.NewProgress(s)
	ctx, stop, restore := interrupt.CatchWaiting(c.Context(), s.Err, progress.WaitsFor)
	defer told.close(c.Context(), s, stop)
	defer restore()
	fleet, dismiss, err := o.fleet.Open(ctx, s, progress, false)
	if err != nil {
		return err
	}
	defer dismiss()
	var arms []kabench.ComparedArm
	for _, arm := range plan.Arms {
		arms = append(arms, kabench.ComparedArm(arm))
	}
	opts := kabench.CompareOptions{
		Options: kabench.Options{Out: out, Version: cli.Version(), Command: cli.CommandLine(c), Stop: stop, Progress: progress.Show, Preparing: progress.Prepare, Fleet: fleet},
		Name:    plan.Name, Question: plan.Question, Axes: plan.Axes,
		Repeats: plan.Repeats, Seed: plan.Seed, CoolDown: plan.CoolDown, Resume: resume,
		Before: func(step, steps, block int, arm string) {
			told.next(fmt.Sprintf("%d %s", step, arm))
			progress.BeginRun(step, steps, fmt.Sprintf("run %d of %d, block %d, %s", step, steps, block, arm))
		},
		Cooling: func(waited time.Duration, left int) {
			if s.JSON || int(waited.Seconds())%10 > 0 {
				return
			}
			progress.End()
			fmt.Fprintf(s.Err, "waiting for %d TIME_WAIT sockets to the target to expire: %d s of at most %v\n", left, int(waited.Seconds()), plan.CoolDown)
		},
	}
	told.follow(&opts.Options)
	doc, err := kabench.Compare(ctx, arms, opts)
	progress.End()
	if doc == nil {
		return err
	}
	if out != "" {
		if saveErr := record.SaveComparison(out, doc); err == nil {
			err = saveErr
		}
	}
	if printErr := s.PrintComparison(doc); printErr != nil {
		return printErr
	}
	if err != nil {
		return err
	}
	s.Saved(out)
	if out != "" && doc.Missing() != "" {
		fmt.Fprintf(s.Err, "to continue: kabench compare --resume %s\n", out)
	}
	return exit.OfComparison(doc).Err()
}

// compareFinished compares finished runs.
func compareFinished(c *cobra.Command, s *cli.Streams, o *compareOptions, dirs []string) error {
	for _, flag := range append(o.FlagNames(), "pool", "driver", "axis", "repeats", "seed", "cool-down", "metrics", "otlp", "agents") {
		if o.Has(flag) {
			return usage.Errorf(c.CommandPath(), "--%s is for new runs, but %s", flag, namedDirs(dirs))
		}
	}
	doc, runs, err := resultsdir.Gather(dirs, o.anyQuestion)
	if errors.Is(err, compare.ErrOtherQuestion) {
		return fmt.Errorf("%w (--any-question compares them anyway)", err)
	}
	if err != nil {
		return err
	}
	if err := compare.Judge(doc, runs); err != nil {
		return err
	}
	out := o.out
	if out == "none" {
		out = ""
	}
	if out != "" {
		for i := range doc.Runs {
			doc.Runs[i].Dir = resultsdir.Relative(out, doc.Runs[i].Dir)
		}
		if err := record.ClaimWith(out, func() error { return record.SaveComparison(out, doc) }); err != nil {
			return err
		}
	}
	if err := s.PrintComparison(doc); err != nil {
		return err
	}
	s.Saved(out)
	return exit.OfComparison(doc).Err()
}

func namedDirs(args []string) string {
	if len(args) > 1 {
		return "several arguments must be directories of finished runs; to make new runs, name one PROFILE"
	}
	return args[0] + " is a directory of finished runs"
}

// completeCompared completes a profile or, after the first argument, directories.
func completeCompared(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return cli.CompleteDirs(c, args, typed)
	}
	return cli.CompleteProfiles(c, args, typed)
}
