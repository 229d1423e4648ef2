// Package measure has the commands that make runs, and the servers for them: run, compare,
// reproduce and lab.
package measure

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/interrupt"
	"github.com/kabench/kabench/internal/resultsdir"
	"github.com/kabench/kabench/internal/usage"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results/baselines"
)

// runOptions holds the flags of 'kabench run'.
type runOptions struct {
	cli.Traffic
	out     string
	against []string // directories of the baselines, or latest:N
	store   string   // directory that latest:N takes them from
	bare    bool
	trace   traceOptions
	live    liveOptions
	tell    telemetryOptions
	fleet   cli.Fleet
	resume  string // directory of a run on a fleet to take up
}

// NewRun makes 'kabench run'.
func NewRun(s *cli.Streams) *cobra.Command {
	o := &runOptions{Traffic: cli.Traffic{Command: "kabench run"}}
	c := &cobra.Command{
		Use:   "run [PROFILE]",
		Short: "Send a profile's traffic and report what happened",
		Long: `Send the traffic of a profile (a YAML file, or the name of a profile that comes with kabench)
and report how every request ended. Without a profile, give at least --target and --rate.

A target that is neither on this machine nor in a private network needs --i-may.

The results are kept in a directory with profile.yaml, exchanges.ndjson.zst, samples.ndjson,
latency.hlog and run.json. Failed requests alone do not change the exit code; set a limit with
--expect, or with expect in the profile.`,
		Example: `  kabench run --target http://localhost:8080/ --rate 300/s
  kabench run steady --rate 800/s --duration 20s --set pool.idle_timeout=3s
  kabench run --target http://localhost:8080/ --rate 300/s --expect 'failures = 0' --expect 'response.p99 <= 80ms'
  kabench run --targets targets.txt --rate 50/s --arrivals poisson --json`,
		Args:              usage.AtMostOne("profile"),
		ValidArgsFunction: cli.CompleteProfiles,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				o.Profile = args[0]
			}
			o.Given(c)
			if o.resume != "" {
				return takeUp(c, s, o)
			}
			return doRun(c, s, o)
		},
	}
	f := c.Flags()
	f.SortFlags = false
	o.Flags(c, cli.Change{Flag: "seed", Path: "load.seed", Usage: "seed of random arrivals, to repeat a run exactly"},
		cli.Change{Flag: "pool", Path: "pool", Usage: "pool preset or YAML file"},
		cli.DriverChange())
	o.ExpectFlag(f)
	o.Via.Flag(f, playedVia)
	f.StringVar(&o.out, "out", "", "directory for the results, or none to keep nothing (default kabench-results/TIME-NAME)")
	f.StringArrayVar(&o.against, "baseline", nil, "directory of an earlier run, or of several runs of the same profile, that expect and abort_when compare with; may be repeated; latest:5 takes the newest 5 from the store")
	f.StringVar(&o.store, "baseline-store", baselines.Default, "with --baseline latest:N: directory of the store, see 'kabench baseline'")
	f.BoolVar(&o.bare, "no-instruments", false, "turn off measuring and recording, to see what they cost")
	o.trace.flags(c)
	o.live.flags(c)
	o.tell.flags(c)
	o.fleet.Flags(f)
	f.StringVar(&o.resume, "resume", "", "take up the run with --agents in this directory, whose controller has ended")
	return c
}

func doRun(c *cobra.Command, s *cli.Streams, o *runOptions) error {
	if err := o.fleet.Check(c); err != nil {
		return err
	}
	p, err := o.Load()
	if err != nil {
		return err
	}
	if err := o.Via.Play(s, p); err != nil {
		return err
	}
	if err := o.MayLoad(c.Context(), cli.Load{Profiles: []*profiles.Profile{p}}); err != nil {
		return err
	}
	baseline, err := o.openBaselines(c, s)
	if err != nil {
		return err
	}
	trace, silent, err := o.trace.open(c.CommandPath(), s.Errors)
	if err != nil {
		return err
	}
	feed, page, err := o.live.open(c.CommandPath(), s, o.bare)
	if err != nil {
		return err
	}
	told, err := o.tell.open(c, s, o.bare)
	if err != nil {
		return err
	}
	progress := cli.NewProgress(s)
	ctx, stop, restore := interrupt.CatchWaiting(c.Context(), s.Err, progress.WaitsFor)
	defer page.close(c.Context(), s, stop)
	defer told.close(c.Context(), s, stop)
	defer restore()
	out := resultsdir.Out(o.out, p.Name)
	if o.bare {
		out = ""
	}
	progress.Title, progress.Silent = p.Name, progress.Silent || silent
	fleet, dismiss, err := o.fleet.Open(ctx, s, progress, true)
	if err != nil {
		return err
	}
	defer dismiss()
	opts := kabench.Options{
		Out: out, Bare: o.bare, Version: cli.Version(), Command: cli.CommandLine(c), Stop: stop, Baseline: baseline, Live: feed, Progress: progress.Show, Preparing: progress.Prepare, Trace: trace.add(),
		Fleet: fleet,
	}
	told.follow(&opts)
	run, err := kabench.Run(ctx, p, opts)
	progress.End()
	dismiss()
	traceErr := trace.close()
	if run == nil {
		return err
	}
	return s.RunMade(run, errors.Join(err, traceErr), out)
}
