// Package clients has the commands for real clients: the drivers that let kabench send
// requests through them, and what they do beside their presets.
package clients

import (
	"github.com/spf13/cobra"

	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/usage"
)

// NewDriver makes 'kabench driver'.
func NewDriver(s *cli.Streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "driver",
		Short: "List, build and check the drivers of real clients",
		Long: `A driver is a program that lets kabench send requests through a real HTTP client. kabench decides
when a request is due; the driver makes the call and reports how it ended. docs/drivers.md describes
the protocol.`,
		Args: usage.NoSubcommand,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newDriverList(s), newDriverBuild(s), newDriverCheck(s))
	return c
}
