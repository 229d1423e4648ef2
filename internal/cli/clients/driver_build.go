package clients

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench/dialers/external/drivers"
	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/internal/usage"
)

// builtDriver is the outcome of a build, as --json prints it.
type builtDriver struct {
	Name  string   `json:"name"`
	Argv  []string `json:"argv,omitempty"` // how it is started
	Was   bool     `json:"was_built"`      // it was there already
	Took  float64  `json:"took"`           // seconds
	Error string   `json:"error,omitempty"`
}

// newDriverBuild makes 'kabench driver build'.
func newDriverBuild(s *cli.Streams) *cobra.Command {
	all := false
	c := &cobra.Command{
		Use:   "build NAME... | build --all",
		Short: "Build drivers, with packages from the registries of their languages",
		Long: `Build drivers into a cache: $KABENCH_DRIVERS, or kabench/drivers in the user's cache directory. Each
driver has exact versions of its packages. The tools of its language download them: this is the only
command of kabench that downloads anything. A driver that is built already is not built again.

Exit codes: 0 all were built; 2 a driver was not built; 130 interrupted.`,
		Example: `  kabench driver build reactor-netty okhttp
  kabench driver build --all`,
		Args: func(c *cobra.Command, args []string) error {
			if all == (len(args) > 0) {
				return usage.Errorf(c.CommandPath(), "name drivers, or give --all; 'kabench driver list' shows them")
			}
			return nil
		},
		ValidArgsFunction: completeDrivers,
		RunE: func(c *cobra.Command, args []string) error {
			entries := drivers.All()
			if !all {
				entries = nil
				for _, name := range args {
					e, err := drivers.Find(name)
					if err != nil {
						return err
					}
					entries = append(entries, e)
				}
			}
			ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return buildDrivers(ctx, s, entries)
		},
	}
	c.Flags().BoolVar(&all, "all", false, "build all drivers; those whose tools are missing are named")
	return c
}

// buildDrivers builds the drivers one after another, and goes on if one fails.
func buildDrivers(ctx context.Context, s *cli.Streams, entries []drivers.Entry) error {
	log := s.Err
	if s.JSON {
		log = io.Discard
	}
	done := []builtDriver{}
	failed := 0
	for _, e := range entries {
		b := build(ctx, e, log)
		if ctx.Err() != nil {
			fmt.Fprintf(s.Err, "kabench: stopped; nothing is left of the build of %s\n", e.Name)
			return exit.Interrupted
		}
		if b.Error != "" {
			failed++
		}
		done = append(done, b)
		if s.JSON || b.Error != "" && len(entries) == 1 {
			continue // of one driver, the command's own error says it
		}
		if err := b.print(s); err != nil {
			return err
		}
	}
	if s.JSON {
		if err := json.NewEncoder(s.Out).Encode(done); err != nil {
			return err
		}
	}
	switch {
	case failed == 0:
		return nil
	case len(entries) == 1:
		return errors.New(done[0].Error)
	}
	return fmt.Errorf("%d of %d drivers were not built", failed, len(entries))
}

func build(ctx context.Context, e drivers.Entry, log io.Writer) builtDriver {
	b := builtDriver{Name: e.Name}
	if command, ok := e.Built(); ok {
		b.Argv, b.Was = command.Argv, true
		return b
	}
	fmt.Fprintf(log, "building %s\n", e.Name)
	began := time.Now()
	command, err := e.Build(ctx, log)
	b.Took = time.Since(began).Seconds()
	if err != nil {
		b.Error = err.Error()
		return b
	}
	b.Argv = command.Argv
	return b
}

// print prints the outcome. What failed is chatter here: the command's own error follows.
func (b builtDriver) print(s *cli.Streams) error {
	switch {
	case b.Error != "":
		fmt.Fprintf(s.Errors, "%s was not built: %s\n", b.Name, b.Error)
		return nil
	case b.Was:
		return s.Line(b, "%s is built", b.Name)
	}
	return s.Line(b, "%s is built, in %.0f s", b.Name, b.Took)
}

func completeDrivers(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var names []string
	for _, e := range drivers.All() {
		if !slices.Contains(args, e.Name) {
			names = append(names, e.Name+"\t"+e.Client+" "+e.Version)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
