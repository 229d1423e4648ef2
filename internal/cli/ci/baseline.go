// Package ci has the commands for jobs that run on every change: baseline keeps the runs that
// later ones are compared with, and ci writes the job.
package ci

import (
	"bytes"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/internal/resultsdir"
	"github.com/kabench/kabench/internal/usage"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/baselines"
)

// NewBaseline makes 'kabench baseline'.
func NewBaseline(s *cli.Streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "baseline",
		Short: "Keep the runs that later runs are compared with",
		Long: `A store is a directory of earlier runs, or a branch that is checked out as one. 'kabench run
--baseline latest:5' compares a run with the newest five runs of the same question in the store.`,
		Args: usage.NoSubcommand,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newAdd(s), newList(s))
	return c
}

// addOptions holds the flags of 'kabench baseline add'.
type addOptions struct {
	store  string
	keep   int
	accept bool
}

func newAdd(s *cli.Streams) *cobra.Command {
	o := &addOptions{}
	c := &cobra.Command{
		Use:   "add [DIR]",
		Short: "Add a run to the store, and remove the oldest ones",
		Long: `Copy a run to the store: run.json, profile.yaml and latency.hlog. Exchanges, samples and packets
are not copied. Without DIR, it adds the newest run below kabench-results.

A run that is invalid or was stopped early is refused. So is a run that did not meet what its
profile expects, because a slower service would become normal; --accept adds it. After a change
that you accept, --accept --keep 1 adds the run and removes the runs of before.`,
		Example: `  kabench baseline add
  kabench baseline add kabench-results/20260101-120000.000-mine --store baselines --keep 20`,
		Args:              usage.AtMostOne("directory"),
		ValidArgsFunction: cli.CompleteDirs,
		RunE: func(c *cobra.Command, args []string) error {
			if o.keep < 1 || o.keep > 1000 {
				return usage.Errorf(c.CommandPath(), "--keep %d: want 1 to 1000", o.keep)
			}
			if len(args) > 0 {
				return add(s, o, args[0])
			}
			dir, err := resultsdir.Newest()
			if err != nil {
				return err
			}
			return add(s, o, dir)
		},
	}
	c.Flags().StringVar(&o.store, "store", baselines.Default, "directory of the store")
	c.Flags().IntVar(&o.keep, "keep", 20, "how many runs of this name the store keeps; the oldest are removed")
	c.Flags().BoolVar(&o.accept, "accept", false, "also add a run that did not meet what its profile expects")
	return c
}

func add(s *cli.Streams, o *addOptions, dir string) error {
	added, run, err := baselines.Add(o.store, dir, o.accept)
	there := errors.Is(err, baselines.ErrThere)
	switch {
	case errors.Is(err, baselines.ErrUnmet):
		fmt.Fprintf(s.Err, "kabench: %s; --accept adds it anyway\n", layout.OneLine(err.Error()))
		return exit.Unmet
	case err != nil && !there:
		return err
	}
	removed, err := baselines.Prune(o.store, run.Name, o.keep)
	if err != nil {
		return err
	}
	if s.JSON {
		return s.Line(map[string]any{"added": added, "there": there, "removed": append([]string{}, removed...)}, "")
	}
	for _, dir := range removed {
		fmt.Fprintf(s.Err, "removed: %s\n", dir)
	}
	if there {
		fmt.Fprintf(s.Err, "kabench: the store has this run already\n")
	}
	return s.Line(nil, "%s", added)
}

func newList(s *cli.Streams) *cobra.Command {
	store := ""
	c := &cobra.Command{
		Use:   "list",
		Short: "List the runs in the store",
		Args:  usage.None,
		RunE:  func(*cobra.Command, []string) error { return list(s, store) },
	}
	c.Flags().StringVar(&store, "store", baselines.Default, "directory of the store")
	return c
}

// listed is one line of 'kabench baseline list --json'.
type listed struct {
	Dir      string    `json:"dir"`
	Name     string    `json:"name,omitempty"`
	Start    time.Time `json:"start,omitzero"`
	Started  uint64    `json:"started"`  // requests
	Failures float64   `json:"failures"` // share of the requests, 0 to 1
	P99      float64   `json:"response_p99"`
	Error    string    `json:"error,omitempty"` // why it cannot be read
}

func list(s *cli.Streams, store string) error {
	entries, err := baselines.Entries(store)
	if err != nil {
		return err
	}
	all := []listed{}
	for _, e := range entries {
		l := listed{Dir: e.Dir}
		if e.Err != nil {
			l.Error = e.Err.Error()
		} else {
			l.Name, l.Start, l.Started = e.Run.Name, e.Run.Start, e.Run.Counts.Started
			l.Failures = float64(e.Run.Counts.Failed) / float64(max(l.Started, 1))
			l.P99 = e.Run.Latency[results.LatencyResponse].P99
		}
		all = append(all, l)
	}
	if s.JSON {
		return s.Line(all, "")
	}
	if len(all) == 0 {
		fmt.Fprintf(s.Err, "kabench: %s has no runs yet; 'kabench baseline add' adds one\n", store)
		return nil
	}
	var b bytes.Buffer
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "STARTED (UTC)\tNAME\tREQUESTS\tFAILED\tRESPONSE P99\tDIRECTORY")
	for _, l := range all {
		if l.Error != "" {
			fmt.Fprintf(t, "-\t-\t-\t-\t-\t%s: cannot be read: %s\n", l.Dir, layout.OneLine(l.Error))
			continue
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%s\n", l.Start.UTC().Format(time.DateTime), layout.OneLine(l.Name), l.Started,
			results.FormatPercent(l.Failures), results.FormatSeconds(l.P99), l.Dir)
	}
	t.Flush()
	_, err = s.Out.Write(b.Bytes())
	return err
}
