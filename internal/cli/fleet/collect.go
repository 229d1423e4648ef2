package fleet

import (
	"github.com/spf13/cobra"

	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/fleet"
	"github.com/kabench/kabench/internal/usage"
)

func newCollect(s *cli.Streams) *cobra.Command {
	o := &cli.Meeting{Wait: fleet.DefaultWait}
	c := &cobra.Command{
		Use:   "collect DIR",
		Short: "Fetch the results that a run on a fleet lacks, and join them",
		Long: `Fetch what the run in DIR lacks: results of agents that were lost, that could not reach the broker,
or that ended and were started again with the same --dir. The run is then joined and reported again
with everything that is there. Without agents that have something, nothing changes.`,
		Example: `  kabench fleet collect kabench-results/20260301-120000.000-steady`,
		Args:    usage.One("the directory of a run on a fleet"),
		RunE: func(c *cobra.Command, args []string) error {
			begun, err := fleet.Open(args[0])
			if err != nil {
				return err
			}
			if len(begun.Missing()) == 0 && begun.Collected() {
				return s.Line(map[string]any{"missing": []string{}}, "%s has the results of all %d agents", args[0], begun.Agents())
			}
			return o.TakeUp(c, s, args[0])
		},
	}
	c.Flags().StringVar(&o.Broker, "broker", "", "URL of the broker, if it has a user or token, or has moved")
	cli.CredentialsFlag(c.Flags(), &o.Credentials, "controller.cred")
	return c
}
