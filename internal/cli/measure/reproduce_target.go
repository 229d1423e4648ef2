package measure

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench/internal/aim"
	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/internal/usage"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

// aimedOptions holds the flags with which 'kabench reproduce' aims at a server of the
// user's own.
type aimedOptions struct {
	cli.Aiming
	server string
	dryRun bool
}

func (o *aimedOptions) flags(c *cobra.Command) {
	o.Aiming.Flags(c.Flags())
	c.Flags().StringVar(&o.server, "server", "", "with --target: file with the measured server, as 'kabench probe' writes it, or a server preset (default: probe the target first)")
	c.Flags().BoolVar(&o.dryRun, "dry-run", false, "with --target: say what would be sent, how long it would take and what to expect, and send nothing")
}

// check refuses flags that have no effect.
func (o *aimedOptions) check(c *cobra.Command, all bool) error {
	if o.Target != "" {
		if all {
			return usage.Errorf(c.CommandPath(), "--target works with one incident, not with --all; name the incident")
		}
		if err := o.Aiming.Check(); err != nil {
			return usage.Errorf(c.CommandPath(), "%w", err)
		}
		return nil
	}
	for _, flag := range []string{"pool", "server", "link-delay", "budget-time", "max-requests", "max-connections", "allow-unsafe", "dry-run"} {
		if c.Flags().Changed(flag) {
			hint := ""
			if flag == "pool" {
				hint = "; on kabench's own server, use --set pool=NAME"
			}
			return usage.Errorf(c.CommandPath(), "--%s needs --target%s", flag, hint)
		}
	}
	return nil
}

// aim returns the incident, aimed at the target. nil, without an error: it was only to be
// said what would be sent.
func (o *aimedOptions) aim(ctx context.Context, s *cli.Streams, incident, out string, stop <-chan struct{}) (*cli.Aimed, error) {
	if err := o.ForDriver(); err != nil {
		return nil, err
	}
	server, known, err := o.measured(ctx, s, incident, out, stop)
	if err != nil || !known {
		return nil, err
	}
	aimed, err := o.Plan(ctx, incident, server)
	if err != nil {
		return nil, err
	}
	if o.dryRun {
		if s.JSON {
			return nil, json.NewEncoder(s.Out).Encode(map[string]any{"forecast": aimed.Forecast, "profile": profiles.Redact(*aimed.Profile)})
		}
		return nil, aimed.Print(s.Out)
	}
	if !s.JSON {
		if err := aimed.Print(s.Err); err != nil {
			return nil, err
		}
	}
	if !aimed.Hopeless() {
		return &aimed, nil
	}
	return nil, o.printHopeless(s, aimed)
}

// measured reads or measures the server. It is not known if nothing may be sent.
func (o *aimedOptions) measured(ctx context.Context, s *cli.Streams, incident, out string, stop <-chan struct{}) (server profiles.ServerPreset, known bool, err error) {
	if err := cli.CheckIncident(incident); err != nil { // before anything is sent
		return server, false, err
	}
	if err := o.CheckSets(); err != nil {
		return server, false, err
	}
	if o.server != "" {
		if server, err = profiles.ReadServer(o.server); err != nil {
			return server, false, fmt.Errorf("--server: %w", err)
		}
		s.OtherServer(o.server, server, o.Target)
		return server, true, nil
	}
	if err := o.Possible(ctx, incident); err != nil {
		return server, false, err
	}
	if !o.dryRun {
		if out != "" { // the probe takes long, so a mistake is to be found before
			if err := record.Claimable(out); err != nil {
				return server, false, cli.InOut(out, err)
			}
		}
		server, err = o.Measure(ctx, s, out, stop)
		if err == nil && stopped(stop) {
			err = exit.Interrupted
		}
		return server, err == nil, err
	}
	sends, err := o.WouldMeasure(ctx)
	if err != nil {
		return server, false, err
	}
	return server, false, s.Line(map[string]string{"probe": sends},
		"kabench would measure %s first, with %s. What it sends then depends on what it finds: run 'kabench probe %s --facts server.yaml', and give --server server.yaml here", o.Shown(), sends, o.Shown())
}

func stopped(stop <-chan struct{}) bool {
	select {
	case <-stop:
		return true
	default:
		return false
	}
}

// printHopeless says why no request was sent.
func (o *aimedOptions) printHopeless(s *cli.Streams, a cli.Aimed) error {
	rep := &results.Reproduction{
		Incident: a.Profile.Name, Question: a.Profile.Question, RemedyRuns: []results.RemedyRun{}, Forecast: a.Forecast,
		Verdict: fmt.Sprintf("Not reproduced, and nothing was sent, because no failure is expected: %s. It would take %s.", a.Forecast.Why, a.Forecast.Takes),
	}
	if a.Forecast.Reason == aim.ReasonForecast {
		rep.Verdict = fmt.Sprintf("A forecast; nothing was sent, because %s. To see it happen takes %s.", a.Forecast.Why, a.Forecast.Takes)
	}
	if s.JSON {
		if err := s.PrintReproduction(rep); err != nil {
			return err
		}
	} else if err := layout.Print(s.Out, "NOT REPRODUCED\n"+rep.Verdict+"\n", 0); err != nil {
		return err
	}
	return exit.Unmet
}
