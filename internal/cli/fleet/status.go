package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/fleet"
	"github.com/kabench/kabench/internal/fleet/broker"
	"github.com/kabench/kabench/internal/usage"
)

// newFolder makes a directory, and refuses files in it that exist.
func newFolder(dir string, files ...string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, path := range files {
		if _, err := os.Stat(path); err == nil {
			return fmt.Errorf("%s exists already, and agents may use it; name another directory", path)
		}
	}
	return nil
}

// statusOptions holds the flags of 'kabench fleet status'.
type statusOptions struct {
	broker      string
	credentials string
	dir         string
}

func newStatus(s *cli.Streams) *cobra.Command {
	o := &statusOptions{}
	c := &cobra.Command{
		Use:   "status [DIR]",
		Short: "Show the agents of a broker, what they do, and their clocks",
		Long: `Ask the agents at a broker who they are and what they do. DIR is the directory of a run on a fleet: its
broker is asked, and if that is not there any more, what the run has noted is shown.`,
		Example: `  kabench fleet status --broker nats://127.0.0.1:4222
  kabench fleet status kabench-results/20260301-120000.000-steady --json`,
		Args: usage.AtMostOne("directory"),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				o.dir = args[0]
			}
			if (o.dir == "") == (o.broker == "") {
				return usage.Errorf(c.CommandPath(), "give --broker URL, or the directory of a run on a fleet")
			}
			return showStatus(c.Context(), s, o)
		},
	}
	c.Flags().StringVar(&o.broker, "broker", "", "URL of the broker")
	cli.CredentialsFlag(c.Flags(), &o.credentials, "controller.cred")
	return c
}

func showStatus(ctx context.Context, s *cli.Streams, o *statusOptions) error {
	url, path := o.broker, o.credentials
	var begun *fleet.Begun
	if o.dir != "" {
		var err error
		if begun, err = fleet.Open(o.dir); err != nil {
			return err
		}
		url = begun.Broker()
		if path == "" {
			path = begun.CredentialsPath()
		}
	}
	var credentials *broker.Credentials
	if path != "" {
		var err error
		if credentials, err = broker.Read(path); err != nil {
			return fmt.Errorf("--credentials: %w", err)
		}
	}
	status, err := fleet.Ask(ctx, url, credentials)
	if known, ok := errors.AsType[*broker.Error](err); ok && known.Kind == broker.Unreachable && begun != nil {
		status, err = begun.Status(), nil
		fmt.Fprintf(s.Err, "kabench: nobody answers at %s any more, so this is what the run in %s has noted\n", url, o.dir)
	}
	if err != nil {
		return err
	}
	if s.JSON {
		encoder := json.NewEncoder(s.Out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(status)
	}
	return printStatus(s, status)
}

func printStatus(s *cli.Streams, status *fleet.Status) error {
	if c := status.Controller; c == nil {
		fmt.Fprintln(s.Out, "controller: none")
	} else {
		line := fmt.Sprintf("controller: process %d on %s, kabench %s, %s", c.PID, c.Host, c.Version, c.Phase)
		if c.Run != "" {
			line += fmt.Sprintf(", run %s in %s", c.Run, c.Dir)
		}
		fmt.Fprintln(s.Out, line)
	}
	if len(status.Agents) == 0 {
		fmt.Fprintln(s.Out, "agents: none")
		return nil
	}
	w := tabwriter.NewWriter(s.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "AGENT\tHOST\tPROCESS\tCORES\tSTAGE\tCLOCK\tMAY SEND TO")
	for _, a := range status.Agents {
		cores, allowed := "-", "-" // a run does not note them
		if a.CPUs > 0 {
			cores = strconv.Itoa(a.CPUs)
		}
		if len(a.Allowed) > 0 {
			allowed = strings.Join(a.Allowed, " ")
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\t%s\n", a.Name, a.Host, a.PID, cores, stageOf(a), clockOf(a.Clock), allowed)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, a := range status.Agents {
		switch {
		case a.Lost != "":
			fmt.Fprintf(s.Out, "%s is lost: %s\n", a.Name, a.Lost)
		case a.Refused != "":
			fmt.Fprintf(s.Out, "%s is not taken: %s\n", a.Name, a.Refused)
		case len(a.Keeps) > 0:
			fmt.Fprintf(s.Out, "%s keeps results that nobody has taken, of run %s\n", a.Name, strings.Join(a.Keeps, ", "))
		}
	}
	return nil
}

func stageOf(a fleet.AgentStatus) string {
	if a.Index != nil {
		return fmt.Sprintf("%s (share %d of run %s)", a.Stage, *a.Index+1, a.Run)
	}
	return a.Stage
}

// clockOf returns for example "+2.0003 s ± 0.2 ms, drift 12 ppm".
func clockOf(o fleet.Offset) string {
	if !o.Known {
		return "not measured"
	}
	offset := fmt.Sprintf("%+.3f ms", o.Offset*1000)
	if o.Offset > 1 || o.Offset < -1 {
		offset = fmt.Sprintf("%+.4f s", o.Offset)
	}
	return fmt.Sprintf("%s ± %v, drift %.1f ppm", offset, time.Duration(o.Error*1e9).Round(time.Microsecond), o.Drift*1e6)
}
