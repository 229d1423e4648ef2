package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/internal/fleet"
	"github.com/kabench/kabench/internal/interrupt"
)

// TakeUp takes up the run with agents in dir, whose controller has ended: it waits for agents
// that still send, fetches what is missing, and reports the run.
func (o *Meeting) TakeUp(c *cobra.Command, s *Streams, dir string) error {
	begun, err := fleet.Open(dir)
	if err != nil {
		return err
	}
	if o.Credentials == "" {
		o.Credentials = begun.CredentialsPath()
	}
	progress := NewProgress(s)
	ctx, stop, restore := interrupt.CatchWaiting(c.Context(), s.Err, progress.WaitsFor)
	defer restore()
	config, err := o.Config(s, progress)
	if err != nil {
		return err
	}
	agents, err := begun.TakeUp(ctx, config)
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	defer agents.Close()
	progress.Title = begun.Profile.Name
	run, err := kabench.ResumeOnFleet(ctx, dir, kabench.Options{
		Stop: stop, Progress: progress.Show, Preparing: progress.Prepare, Fleet: agents,
	})
	progress.End()
	if run == nil {
		return err
	}
	return s.RunMade(run, err, dir)
}
