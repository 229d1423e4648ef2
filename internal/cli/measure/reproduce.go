package measure

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/internal/children"
	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/internal/incidents"
	"github.com/kabench/kabench/internal/interrupt"
	"github.com/kabench/kabench/internal/resultsdir"
	"github.com/kabench/kabench/internal/usage"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

// reproduceOptions holds the flags of 'kabench reproduce'.
type reproduceOptions struct {
	incident string
	sets     []string
	driver   string
	out      string
	dir      string // of the results; "": nothing is kept
	trace    traceOptions
	all      bool
	jobs     int
	aimed    aimedOptions
	via      cli.Via
	tell     telemetryOptions
	fleet    cli.Fleet
}

// NewReproduce makes 'kabench reproduce'.
func NewReproduce(s *cli.Streams) *cobra.Command {
	o := &reproduceOptions{}
	c := &cobra.Command{
		Use:   "reproduce INCIDENT",
		Short: "Reproduce an incident, run its remedies, and show both side by side",
		Long: `Reproduce an incident: run the traffic and the faults that cause it, and check that its
symptoms appear. Then run each of its remedies and check that the symptoms are gone. INCIDENT is
a name from 'kabench incidents', or a YAML file; 'kabench new-incident' writes one to start from.

A run is invalid if this machine was too busy for it. An invalid run is repeated, at most three
times, and nothing is concluded from it.

With --target, kabench reproduces the incident on a server of your own, through the pool of your
client (--pool). It measures the server first, aims the requests at its timers, says how many
failures to expect, and sends nothing if there would be none. It keeps the incident as
incident.yaml in the directory of the results; 'kabench reproduce' runs that file again. A server
that is neither on this machine nor in a private network needs --i-may, with --target and in a file.

With --driver, a real client sends the requests, in a process of its own. It gets what it can of the
incident's pool, and remedies that cannot be set on it are named. 'kabench driver list' shows the
clients. With --target too, the requests are aimed and the failures computed for the preset that
imitates the client, or for --pool, and the client itself sends them.

With --all, kabench reproduces every incident that comes with it, each in a process of its own,
and prints one table. With --json it prints a list with the JSON of each incident.`,
		Example: `  kabench reproduce idle-race
  kabench reproduce idle-race --set target.link.delay=2ms --json
  kabench reproduce idle-race --target http://127.0.0.1:8080/ --pool reactor-netty
  kabench reproduce idle-race --driver okhttp
  kabench reproduce idle-race --target http://127.0.0.1:8080/ --driver reactor-netty
  kabench reproduce --all --jobs 2`,
		ValidArgsFunction: cli.CompleteIncidents,
		RunE: func(c *cobra.Command, args []string) error {
			if err := cmp.Or(o.aimed.check(c, o.all), o.fleet.Check(c)); err != nil {
				return err
			}
			switch {
			case o.all && len(args) > 0:
				return usage.Errorf(c.CommandPath(), "--all reproduces every incident; do not name one")
			case o.all && (o.jobs < 1 || o.jobs > 64):
				return usage.Errorf(c.CommandPath(), "--jobs %d: want 1 to 64", o.jobs)
			case o.fleet.Agents != "" && o.aimed.Target == "":
				return usage.Errorf(c.CommandPath(), "--agents needs --target: an incident on kabench's own server is about this machine")
			case o.all && o.trace.to != "":
				return usage.Errorf(c.CommandPath(), "--trace works with one incident, not with --all; name the incident")
			case o.via.Name != "" && (o.all || o.aimed.Target != ""):
				return usage.Errorf(c.CommandPath(), "--via is for one incident on kabench's own server: leave out --all and --target")
			case o.all && (o.tell.at != "" || o.tell.to != ""):
				return usage.Errorf(c.CommandPath(), "--metrics and --otlp work with one incident, not with --all; name the incident")
			case o.all:
				return reproduceAll(c.Context(), s, o)
			case c.Flags().Changed("jobs"):
				return usage.Errorf(c.CommandPath(), "--jobs needs --all")
			}
			if err := usage.One("an incident; 'kabench incidents' lists them")(c, args); err != nil {
				return err
			}
			o.incident = args[0]
			return doReproduce(c, s, o)
		},
	}
	c.Flags().StringArrayVar(&o.sets, "set", nil, "set any profile field, for example target.link.delay=2ms; may be repeated")
	cli.DriverFlag(c.Flags(), &o.driver)
	c.Flags().StringVar(&o.out, "out", "", "directory for the results, or none to keep nothing (default kabench-results/TIME-NAME)")
	o.trace.flags(c)
	o.tell.flags(c)
	c.Flags().BoolVar(&o.all, "all", false, "reproduce every incident that comes with kabench")
	c.Flags().IntVar(&o.jobs, "jobs", 1, "with --all: how many incidents at a time; they share this machine's cores")
	o.aimed.flags(c)
	o.via.Flag(c.Flags(), playedVia)
	o.fleet.Flags(c.Flags())
	return c
}

// allSets are the flags in the form of --set.
func (o *reproduceOptions) allSets() []string {
	if o.driver == "" {
		return o.sets
	}
	return append([]string{"driver=" + o.driver}, o.sets...)
}

func doReproduce(c *cobra.Command, s *cli.Streams, o *reproduceOptions) error {
	told, err := o.tell.open(c, s, false)
	if err != nil {
		return err
	}
	progress := cli.NewProgress(s)
	ctx, stop, restore := interrupt.CatchWaiting(c.Context(), s.Err, progress.WaitsFor)
	defer told.close(c.Context(), s, stop)
	defer restore()
	p, forecast, err := o.profile(ctx, s, stop)
	if err != nil || p == nil {
		return err
	}
	trace, silent, err := o.trace.open(c.CommandPath(), s.Errors)
	if err != nil {
		return err
	}
	out := o.dir
	progress.Silent = progress.Silent || silent
	fleet, dismiss, err := o.fleet.Open(ctx, s, progress, false)
	if err != nil {
		return err
	}
	defer dismiss()
	opts := kabench.ReproduceOptions{
		Options:  kabench.Options{Out: out, Version: cli.Version(), Command: cli.CommandLine(c), Stop: stop, Progress: progress.Show, Preparing: progress.Prepare, Trace: trace.add(), Fleet: fleet},
		Forecast: forecast,
		Before: func(step, steps int, name string) {
			title := fmt.Sprintf("run %d of %d, %s", step, steps, name)
			progress.BeginRun(step, steps, title)
			trace.begin(title)
			told.next(fmt.Sprintf("%d %s", step, name))
		},
		Again: s.Again(progress),
	}
	told.follow(&opts.Options)
	rep, err := kabench.Reproduce(ctx, dealt(p, o.fleet.Size()), opts)
	progress.End()
	traceErr := trace.close()
	if rep == nil {
		return err
	}
	err = errors.Join(err, traceErr)
	if out != "" {
		if saveErr := record.SaveReproduction(out, rep); err == nil {
			err = saveErr
		}
	}
	if printErr := s.PrintReproduction(rep); printErr != nil {
		return printErr
	}
	if err != nil {
		return err
	}
	s.Saved(out)
	if out != "" && p.Forecast != nil {
		s.KeptIncident(filepath.Join(out, record.FileIncident), p, o.aimed.IMay)
	}
	return exit.OfReproduction(rep).Err()
}

// dealt returns p for each of the agents: of the copies of the pool each has its part. As one
// process takes its copies in turn, and so does an agent, each copy sends the same requests.
func dealt(p *profiles.Profile, agents int) *profiles.Profile {
	if agents < 2 {
		return p
	}
	p = p.Clone()
	if p.Pool.Shards /= agents; p.Pool.Shards == 1 {
		p.Pool.Shards = 0 // as one pool is written
	}
	return p
}

// profile returns the incident, with a forecast if it is aimed at a target. nil, without
// an error: it is not to be run.
func (o *reproduceOptions) profile(ctx context.Context, s *cli.Streams, stop <-chan struct{}) (*profiles.Profile, *results.Forecast, error) {
	if o.aimed.Target == "" {
		p, err := profiles.Open(o.incident, o.via.Before(o.allSets()))
		if err != nil {
			return nil, nil, cli.InFlags(err, cli.Given{Path: "driver", Value: o.driver, Flag: "--driver"})
		}
		if err := o.via.Describe(p, o.sets); err != nil {
			return nil, nil, err
		}
		if err := o.via.Play(s, p); err != nil {
			return nil, nil, err
		}
		o.dir = resultsdir.Out(o.out, p.Name)
		if !o.aimed.IMay {
			err = cli.Load{Profiles: []*profiles.Profile{p}, Remedies: true}.Check(ctx)
		}
		return p, nil, err
	}
	o.aimed.Sets, o.aimed.Agents = o.allSets(), o.fleet.Size()
	o.dir = resultsdir.Out(o.out, o.incident)
	aimed, err := o.aimed.aim(ctx, s, o.incident, o.dir, stop)
	if err != nil || aimed == nil {
		return nil, nil, err
	}
	return aimed.Profile, aimed.Forecast, nil
}

// notWithDriver says why a real client cannot reproduce an incident that kabench's own
// client can; "" if it can, or if err has another reason.
func (o *reproduceOptions) notWithDriver(e profiles.Embedded, err error) string {
	if o.driver == "" || err == nil {
		return ""
	}
	list, ok := errors.AsType[profiles.Errors](err)
	if _, other := profiles.Open(e.Name, o.sets); !ok || other != nil {
		return ""
	}
	if strings.HasPrefix(list[0].Path, "driver") {
		return "" // the driver itself is wrong
	}
	return list[0].Path + ": " + list[0].Text
}

// inTurn returns the indices of incidents in the order in which they are begun: with
// several jobs the longest first, so that none is left alone at the end.
func inTurn(takes []time.Duration, jobs int) []int {
	turns := make([]int, len(takes))
	for i := range turns {
		turns[i] = i
	}
	if jobs > 1 {
		slices.SortStableFunc(turns, func(a, b int) int { return cmp.Compare(takes[b], takes[a]) })
	}
	return turns
}

// reproduceAll reproduces every incident, o.jobs at a time, and prints one table.
func reproduceAll(ctx context.Context, s *cli.Streams, o *reproduceOptions) error {
	var all []profiles.Embedded
	var takes []time.Duration
	for _, e := range profiles.Incidents() { // before the first one is run
		p, err := profiles.Open(e.Name, o.allSets())
		if why := o.notWithDriver(e, err); why != "" {
			fmt.Fprintf(s.Errors, "%s: left out, because %s\n", e.Name, why)
			continue
		}
		all = append(all, e)
		if err == nil {
			takes = append(takes, p.Takes())
		}
		if err == nil && !o.aimed.IMay {
			err = cli.Load{Profiles: []*profiles.Profile{p}, Remedies: true}.Check(ctx)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", e.Name, err)
		}
	}
	ctx, stop, restore := interrupt.Catch(ctx, s.Err)
	defer restore()
	self, err := children.Self()
	if err != nil {
		return err
	}
	out := resultsdir.Out(o.out, "all")
	if out != "" {
		plan := &results.Plan{Version: cli.Version(), Kind: results.KindCatalogue, Name: "all", Start: time.Now()}
		for _, e := range all {
			plan.Incidents = append(plan.Incidents, e.Name)
		}
		if err := record.ClaimWith(out, func() error { return record.SavePlan(out, plan) }); err != nil {
			return &kabench.InputError{Err: err}
		}
		fmt.Fprintf(s.Err, "results: %s\n", out)
	}
	done := make([]*incidents.Result, len(all))
	var ended atomic.Int64
	began := time.Now()
	turns := inTurn(takes, o.jobs)
	children.Each(stop, o.jobs, len(all), func(turn int) {
		i := turns[turn]
		dir := "none"
		if out != "" {
			dir = filepath.Join(out, all[i].Name)
		}
		done[i] = incidents.Reproduce(ctx, stop, self, all[i].Name, dir, o.allSets(), o.aimed.IMay)
		if !s.JSON {
			n := int(ended.Add(1))
			fmt.Fprintf(s.Err, "%s: %s, %d s (%s)\n", done[i].Name, done[i].Says(), int(done[i].Took.Seconds()), cli.Countdown(n, len(all), time.Since(began)))
		}
	})
	done = slices.DeleteFunc(done, func(r *incidents.Result) bool { return r == nil }) // not begun
	if err := s.PrintIncidents(done, len(all), out); err != nil {
		return err
	}
	if children.Stopped(stop) {
		return exit.Interrupted
	}
	return incidents.Worst(done).Err()
}
