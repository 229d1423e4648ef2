package measure

import (
	"github.com/spf13/cobra"

	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/usage"
)

// takeUp takes up the run in o.resume. What it is follows from there, so no flag may change it.
func takeUp(c *cobra.Command, s *cli.Streams, o *runOptions) error {
	if o.Profile != "" {
		return usage.Errorf(c.CommandPath(), "--resume %s continues that run; name no profile", o.resume)
	}
	for _, flag := range append(o.FlagNames(), "set", "expect", "seed", "pool", "driver", "out", "baseline", "baseline-store", "no-instruments", "trace", "live", "metrics", "otlp", "agents", "listen") {
		if c.Flags().Changed(flag) {
			return usage.Errorf(c.CommandPath(), "--%s: --resume takes the run as it is in %s; leave it out", flag, o.resume)
		}
	}
	return o.fleet.TakeUp(c, s, o.resume)
}
