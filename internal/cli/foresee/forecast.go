// Package foresee has the commands that play traffic on virtual time: forecast and tune.
package foresee

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/internal/forecast"
	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/internal/usage"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/expect"
	"github.com/kabench/kabench/results/record"
)

// forecastOptions holds the flags of 'kabench forecast'.
type forecastOptions struct {
	cli.Traffic
	lasts  string // --for
	server string
	ports  int
	out    string
	record string // --answers
}

// NewForecast makes 'kabench forecast'.
func NewForecast(s *cli.Streams) *cobra.Command {
	o := &forecastOptions{Traffic: cli.Traffic{Command: "kabench forecast"}}
	c := &cobra.Command{
		Use:   "forecast [PROFILE] --for 14d",
		Short: "Play a profile's traffic on virtual time, and say how often it will fail",
		Long: `Play the traffic of a profile on virtual time: weeks in seconds, over the rules of the same pool
that real runs use. Nothing is sent. The forecast says how many requests fail in a day and how long
it takes to the first failure, with intervals, and what connections, TIME_WAIT sockets and ports
it takes.

The server is the profile's own, a preset, or a file that 'kabench probe' or 'kabench autopsy' wrote.`,
		Example: `  kabench forecast idle-race --for 14d
  kabench forecast --pool reactor-netty --server tomcat --rate 40/s --arrivals poisson --for 7d
  kabench forecast --pool go-default-transport --server go --via aws-nlb --rate 0.01/s --arrivals poisson --for 7d
  kabench forecast mine.yaml --server probed.yaml --for 24h --json`,
		Args:              usage.AtMostOne("profile"),
		ValidArgsFunction: cli.CompleteProfiles,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				o.Profile = args[0]
			}
			o.Given(c)
			return doForecast(c, s, o)
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&o.lasts, "for", "", "how much traffic to play, for example 14d or 6h (default: the profile's duration)")
	o.Flags(c, cli.Change{Flag: "seed", Path: "load.seed", Usage: "seed of arrivals and of all else that is random"},
		cli.Change{Flag: "pool", Path: "pool", Usage: "pool preset or YAML file"})
	f.StringVar(&o.server, "server", "", "server preset or YAML file that answers instead of the profile's target")
	o.Via.Flag(f, "server preset or YAML file: the NAT, load balancer or proxy on the way, whose timer connections meet")
	f.StringVar(&o.record, "answers", "", "directory of a run from whose record the server's response times are drawn")
	f.IntVar(&o.ports, "ports", 0, "local ports that the client has towards the server (default 28232; a private network has its own)")
	f.StringVar(&o.out, "out", "", "directory to keep the forecast in, for report, compare and export")
	return c
}

// defaultPorts is how many ephemeral ports Linux has (net.ipv4.ip_local_port_range 32768
// to 60999).
const defaultPorts = 28232

func doForecast(c *cobra.Command, s *cli.Streams, o *forecastOptions) error {
	p, opts, err := o.load(c)
	if err != nil {
		return err
	}
	ctx, _, _, restore := catch(c.Context(), s, func() string { return "" })
	defer restore()
	progress := newProgress(s, "forecast")
	opts.Progress = progress.share
	result, err := forecast.Run(ctx, p, opts)
	progress.End()
	switch {
	case errors.Is(err, context.Canceled):
		return exit.Interrupted
	case err != nil:
		return o.explain(err)
	}
	run, err := result.Document(p, cli.Version())
	if err != nil {
		return err
	}
	run.Expect = expect.CheckAgainst(run, expect.References{}, p.Expect)
	if o.out != "" {
		if err := keep(o.out, p, run); err != nil {
			return err
		}
	}
	return s.RunMade(run, nil, o.out)
}

// load reads the profile and the options of the forecast.
func (o *forecastOptions) load(c *cobra.Command) (*profiles.Profile, forecast.Options, error) {
	var opts forecast.Options
	if o.server != "" {
		server, err := profiles.ReadServer(o.server)
		if err != nil {
			return nil, opts, err
		}
		opts.Server = &server
		o.withLab()
	}
	p, err := o.Load()
	if err != nil {
		return nil, opts, err
	}
	if o.Via.Name != "" {
		opts.Via = &p.Via
	}
	if o.lasts != "" {
		if opts.For, err = parseLong(o.lasts); err != nil {
			return nil, opts, usage.Errorf(c.CommandPath(), "--for: %v", err)
		}
	}
	if o.record != "" {
		if opts.Answers, err = answersOf(o.record); err != nil {
			return nil, opts, fmt.Errorf("--answers: %w", err)
		}
	}
	if opts.Ports = o.ports; o.ports == 0 {
		opts.Ports = defaultPorts
	}
	return p, opts, nil
}

// explain names the profile in a complaint about what a forecast has not.
func (o *forecastOptions) explain(err error) error {
	if list, ok := errors.AsType[*forecast.Unsupported](err); ok && o.Profile != "" {
		return fmt.Errorf("%s cannot be forecast\n%w", o.Profile, list)
	}
	return err
}

// withLab gives a forecast without a profile a target, which the server replaces.
func (o *forecastOptions) withLab() {
	if o.Profile == "" && o.Target == "" && o.Targets == "" {
		o.AddSet("target.lab={}")
	}
}

// keep writes the forecast as a run's directory.
func keep(dir string, p *profiles.Profile, run *results.Run) error {
	w, err := record.Create(dir)
	if err != nil {
		return err
	}
	shown := profiles.Redact(*p)
	text, err := profiles.Marshal(&shown)
	if err != nil {
		return err
	}
	if err := w.WriteProfile(text); err != nil {
		return err
	}
	kept := *run // the writer adds what it knows about the record, which is empty
	if err := w.Begin(&kept); err != nil {
		return err
	}
	return w.Close(&kept)
}

// parseLong reads a duration that may have days.
func parseLong(text string) (time.Duration, error) {
	if days, found := strings.CutSuffix(text, "d"); found {
		n, err := strconv.ParseFloat(days, 64)
		if err != nil || !(n > 0) || n > 3660 {
			return 0, fmt.Errorf("%q is not a number of days above 0 and up to 3660, such as 14d", layout.OneLine(text))
		}
		return time.Duration(n * 24 * float64(time.Hour)), nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%q is not a time above 0; write it as 14d, 6h or 90s", layout.OneLine(text))
	}
	return d, nil
}
