package study

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/doctor"
	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/internal/interrupt"
	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/internal/usage"
	"github.com/kabench/kabench/profiles"
)

// doctorOptions holds the flags of 'kabench doctor'.
type doctorOptions struct{ quick bool }

// NewDoctor makes 'kabench doctor'.
func NewDoctor(s *cli.Streams) *cobra.Command {
	o := &doctorOptions{}
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Check whether this machine can produce load, and what to change",
		Long: `Measure the timers of this machine and the request rate that it sustains, read its limits and
settings, and check whether a private network can be set up. To measure the rate, kabench sends
requests to its own server on the loopback interface for at most ten seconds; --quick skips that.

Exit codes: 0 runs are possible, even if there are warnings; 1 runs are impossible.`,
		Args: usage.None,
		RunE: func(c *cobra.Command, _ []string) error { return doDoctor(c, s, o) },
	}
	c.Flags().BoolVar(&o.quick, "quick", false, "skip the rate, which takes up to ten seconds")
	return c
}

func doDoctor(c *cobra.Command, s *cli.Streams, o *doctorOptions) error {
	ctx, stop, restore := interrupt.Catch(c.Context(), s.Err)
	defer restore()
	facts := doctor.Examine()
	if !o.quick {
		if !s.JSON {
			fmt.Fprintln(s.Err, "measuring the request rate that this machine sustains (at most ten seconds)")
		}
		err := facts.MeasureRate(func(rate int) (bool, error) { return holds(ctx, stop, rate) })
		if errors.Is(err, kabench.ErrInterrupted) {
			return err // any other error is a finding
		}
	}
	facts.Finish()
	list := facts.Checks()
	var err error
	if s.JSON {
		err = json.NewEncoder(s.Out).Encode(list)
	} else {
		err = printChecks(s.Out, list)
	}
	if err == nil && slices.ContainsFunc(list, func(c doctor.Check) bool { return c.Verdict == doctor.Bad }) {
		err = exit.Unmet
	}
	return err
}

// holds reports whether this machine sends that many requests a second on time, to a server
// in this process.
func holds(ctx context.Context, stop <-chan struct{}, rate int) (bool, error) {
	p, err := profiles.Load("doctor", nil, []string{
		"target.lab={}", "load.rate=" + strconv.Itoa(rate), "load.duration=" + doctor.RungLength.String(),
		"load.timeout=1s", "load.max_lag=" + doctor.RungLag.String(), "pool.max_conns=32",
	})
	if err != nil {
		return false, err
	}
	run, err := kabench.Run(ctx, p, kabench.Options{Version: cli.Version(), Stop: stop})
	if err != nil {
		return false, err
	}
	if run.Interrupted {
		return false, kabench.ErrInterrupted
	}
	return run.Valid && run.Counts.Dropped == 0 && run.Counts.Failed == 0, nil
}

func printChecks(w io.Writer, list []doctor.Check) error {
	var b bytes.Buffer
	t := layout.Table(&b)
	for _, c := range list {
		fmt.Fprintf(t, "%s\t%s\t%s\n", c.Verdict, c.Name, c.Found)
	}
	t.Flush()
	counts := map[doctor.Verdict]int{}
	for _, c := range list {
		counts[c.Verdict]++
		if c.Fix != "" {
			fmt.Fprintf(&b, "\n%s: %s\n", c.Name, c.Fix)
		}
	}
	says := "this machine can make runs"
	if counts[doctor.Bad] > 0 {
		says = "this machine cannot make runs"
	}
	fmt.Fprintf(&b, "\n%s: %d ok, %d warnings, %d bad, %d unknown\n", says, counts[doctor.OK], counts[doctor.Warn], counts[doctor.Bad], counts[doctor.Unknown])
	return layout.Print(w, b.String(), 0)
}
