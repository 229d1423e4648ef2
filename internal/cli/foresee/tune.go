package foresee

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/internal/forecast"
	"github.com/kabench/kabench/internal/tune"
	"github.com/kabench/kabench/internal/usage"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/expect"
)

// tuneOptions holds the flags of 'kabench tune'.
type tuneOptions struct {
	forecastOptions
	axes   []string
	goals  []string
	cost   string
	margin float64
	most   int
	noRun  bool
	plays  int // requests of the forecast of one choice

	axis []tune.Axis
	goal []goal
}

// goal is a condition that a choice must meet.
type goal struct {
	path, text string
	condition  expect.Condition
}

// perChoice is how many requests the forecast of one choice plays at least, unless the flag
// says otherwise.
const perChoice = 100_000

// NewTune makes 'kabench tune'.
func NewTune(s *cli.Streams) *cobra.Command {
	o := &tuneOptions{forecastOptions: forecastOptions{Traffic: cli.Traffic{Command: "kabench tune"}}}
	c := &cobra.Command{
		Use:   "tune [PROFILE] --axis PATH=FROM..TO --goal 'failures = 0'",
		Short: "Search for the settings that meet a goal at the least cost, then prove them with real runs",
		Long: `Search for the settings of a pool that meet a goal at the least cost. Each choice is forecast on
virtual time, so that a search takes seconds and sends nothing. The result is the cheapest choice,
one that stays away from where the goal is missed, and the choices between which there is only
more cost for fewer failures.

Then the recommended choice and the present one are run for real, each as long as the profile
says, and kabench says where forecast and run disagree. That is exit code 1; a run that is invalid proves nothing,
which is exit code 3.`,
		Example: `  kabench tune idle-race --axis pool.idle_timeout=100ms..2s --goal 'failures = 0'
  kabench tune mine.yaml --server probed.yaml --axis pool.idle_timeout=1s..60s --axis pool.max_conns=8..64 \
    --goal 'failures.rate < 0.01%' --cost connections.opened --for 1d`,
		Args:              usage.AtMostOne("profile"),
		ValidArgsFunction: cli.CompleteProfiles,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				o.Profile = args[0]
			}
			o.Given(c)
			if err := o.parse(c.CommandPath()); err != nil {
				return err
			}
			return doTune(c, s, o)
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringArrayVar(&o.axes, "axis", nil, "setting to vary, and its values: pool.idle_timeout=1s..60s, or a list; up to three times")
	f.StringArrayVar(&o.goals, "goal", nil, "what a choice must meet, as in expect: 'failures = 0' (the default), 'failures.rate < 0.1%'; may be repeated")
	f.StringVar(&o.cost, "cost", "connections.opened", "figure that is to be small")
	f.Float64Var(&o.margin, "margin", 10, "how far the recommended value stays away from where the goal is missed, in percent of the value")
	f.IntVar(&o.most, "most", 100, "how many choices to forecast at most")
	f.IntVar(&o.plays, "requests", perChoice, "how many requests to play for each choice at least; fewer are faster and less exact")
	f.BoolVar(&o.noRun, "no-run", false, "do not prove the choice with real runs; nothing is sent")
	f.StringVar(&o.lasts, "for", "", "how much traffic to forecast for each choice, for example 1d (default: the profile's duration)")
	o.Flags(c, cli.Change{Flag: "seed", Path: "load.seed", Usage: "seed of arrivals and of all else that is random"},
		cli.Change{Flag: "pool", Path: "pool", Usage: "pool preset or YAML file"})
	f.StringVar(&o.server, "server", "", "server preset or YAML file that answers in the forecast")
	f.StringVar(&o.record, "answers", "", "directory of a run from whose record the server's response times are drawn")
	f.IntVar(&o.ports, "ports", 0, "local ports that the client has towards the server (default 28232; a private network has its own)")
	return c
}

// parse reads the axes and goals.
func (o *tuneOptions) parse(command string) error {
	if len(o.axes) == 0 {
		return usage.Errorf(command, "there is nothing to vary: give --axis pool.idle_timeout=1s..60s")
	}
	if len(o.axes) > 3 {
		return usage.Errorf(command, "%d axes are too many for a search that can be read; give up to three", len(o.axes))
	}
	for _, text := range o.axes {
		a, err := tune.ParseAxis(text)
		if err != nil {
			return usage.Errorf(command, "--axis %v", err)
		}
		if slices.ContainsFunc(o.axis, func(b tune.Axis) bool { return a.Path == b.Path }) {
			return usage.Errorf(command, "--axis %s is there twice", a.Path)
		}
		o.axis = append(o.axis, a)
	}
	if len(o.goals) == 0 {
		o.goals = []string{"failures = 0"}
	}
	for _, text := range o.goals {
		path, condition, err := expect.ParseLine(text)
		if err != nil {
			return usage.Errorf(command, "--goal: %v", err)
		}
		parsed, err := expect.ParseCondition(condition)
		if err != nil {
			return usage.Errorf(command, "--goal: %v", err)
		}
		if parsed.LowOf != nil || parsed.HighOf != nil {
			return usage.Errorf(command, "--goal %q compares with another run; a choice is judged by itself", text)
		}
		o.goal = append(o.goal, goal{path, path + " " + condition, parsed})
	}
	if err := expect.Validate(map[string]string{o.cost: ">= 0"}); err != nil {
		return usage.Errorf(command, "--cost: %v", err)
	}
	switch {
	case !(o.margin >= 0 && o.margin < 100):
		return usage.Errorf(command, "--margin %v is not from 0 to below 100", o.margin)
	case o.plays < 1:
		return usage.Errorf(command, "--requests %d is not above 0", o.plays)
	case o.most < 8:
		return usage.Errorf(command, "--most %d is too few for a search; give 8 or more", o.most)
	}
	return nil
}

func doTune(c *cobra.Command, s *cli.Streams, o *tuneOptions) error {
	p, opts, err := o.load(c)
	if err != nil {
		return err
	}
	if !o.noRun {
		if err := o.MayLoad(c.Context(), cli.Load{Profiles: []*profiles.Profile{p}, Repeats: 2}); err != nil {
			return err
		}
	}
	opts.Requests = o.plays
	var running atomic.Bool
	soft, hard, stop, restore := catch(c.Context(), s, func() string {
		if running.Load() {
			return "requests in flight"
		}
		return ""
	})
	defer restore()
	progress := newProgress(s, "tune")
	t := &tuned{o: o, profile: p, opts: opts, units: map[string]results.Unit{}, slow: map[string]float64{}}
	t.now, err = t.choice(soft, nil)
	if err == nil {
		search := tune.Search{Axes: o.axis, Try: t.try, Most: o.most, Margin: o.margin / 100, Progress: progress.trial}
		t.found, err = search.Run(soft)
	}
	progress.End()
	if t.stopped = errors.Is(err, context.Canceled); t.stopped {
		if t.found == nil || len(t.found.Points) == 0 {
			return exit.Interrupted // there is nothing to print
		}
	} else if err != nil {
		return o.explain(err)
	}
	if !o.noRun && !t.stopped && t.found.Safe != nil {
		running.Store(true)
		if err := t.prove(soft, hard, s, stop); err != nil {
			return err
		}
	}
	if err := t.print(s); err != nil {
		return err
	}
	switch {
	case t.stopped:
		return exit.Interrupted
	case t.found.Cheapest == nil, t.disagrees():
		return exit.Unmet
	case t.unproven():
		return exit.Invalid
	}
	return nil
}

// tuned is a search and what it came to.
type tuned struct {
	o       *tuneOptions
	profile *profiles.Profile
	opts    forecast.Options
	units   map[string]results.Unit // of the paths of goals and cost
	now     *choice
	slow    map[string]float64 // the 99th percentile of response times, in seconds, by choice
	found   *tune.Found
	proofs  []proof
	stopped bool          // by a signal: the search, or before all proofs were made
	lasts   time.Duration // that each choice was forecast for
}

// choice is the forecast of one choice of settings.
type choice struct {
	profile *profiles.Profile
	goals   []float64 // the values that the goals are about
	outcome tune.Outcome
}

func (t *tuned) try(ctx context.Context, set map[string]string) (tune.Outcome, error) {
	c, err := t.choice(ctx, set)
	if err != nil {
		return tune.Outcome{}, err
	}
	return c.outcome, nil
}

// choice forecasts the profile with some settings changed.
func (t *tuned) choice(ctx context.Context, set map[string]string) (*choice, error) {
	p, err := t.with(set)
	if err != nil {
		return nil, err
	}
	r, err := forecast.Run(ctx, p, t.opts)
	if err != nil {
		return nil, err
	}
	t.lasts = r.For
	all, err := r.All(p)
	if err != nil {
		return nil, err
	}
	value := func(path string) (float64, error) {
		v, err := expect.Lookup(all, path)
		if err != nil {
			return 0, fmt.Errorf("%s cannot be forecast: %w", path, err)
		}
		t.units[path] = v.Unit
		if n, counted := r.Count(path); counted {
			return n, nil
		}
		return v.Number, nil
	}
	t.slow[setText(set)] = all.Latency[results.LatencyResponse].P99
	c := &choice{profile: p, outcome: tune.Outcome{Met: true}}
	for _, g := range t.o.goal {
		v, err := value(g.path)
		if err != nil {
			return nil, err
		}
		c.goals = append(c.goals, v)
		if !met(g.condition, v) {
			c.outcome.Met = false
			c.outcome.Miss += miss(g.condition, v)
		}
	}
	c.outcome.Cost, err = value(t.o.cost)
	return c, err
}

// rare is how many events count as none: a forecast that integrates races never comes to
// exactly none.
const rare = 0.01

func met(c expect.Condition, v float64) bool { return c.Met(v) || v < rare && v > 0 && c.Met(0) }

// miss is by how much v misses the condition.
func miss(c expect.Condition, v float64) float64 {
	low, high := c.Low, c.Low
	if c.Op == ".." {
		high = c.High
	}
	if v < low {
		return low - v
	}
	return max(v-high, 0)
}

// with is the profile with some settings changed. The complaint about a value names the axis.
func (t *tuned) with(set map[string]string) (*profiles.Profile, error) {
	if len(set) == 0 {
		return t.profile, nil
	}
	var sets []string
	for path, value := range set {
		sets = append(sets, path+"="+value)
	}
	slices.Sort(sets)
	p, err := profiles.Open(t.o.Profile, slices.Concat(t.o.AllSets(), sets))
	if err != nil {
		return nil, t.o.InFlags(fmt.Errorf("--axis: with %s: %w", strings.Join(sets, ", "), err))
	}
	p.NameByTarget()
	p.Load.Seed = max(t.profile.Load.Seed, 1)
	return p, nil
}
