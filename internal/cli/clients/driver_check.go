package clients

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/signal"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/dialers/external"
	"github.com/kabench/kabench/dialers/external/check"
	"github.com/kabench/kabench/dialers/external/drivers"
	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/internal/usage"
)

// checkOptions holds the flags of 'kabench driver check'.
type checkOptions struct {
	quick  bool
	stderr bool
}

func newDriverCheck(s *cli.Streams) *cobra.Command {
	o := checkOptions{}
	c := &cobra.Command{
		Use:   "check NAME | check COMMAND",
		Short: "Check that a driver keeps the rules of the protocol",
		Long: `Start a driver and check each rule of the protocol, with requests to a server of kabench's own on
loopback. NAME is a driver of kabench's own; COMMAND is a program with its arguments, as one argument
or as several. What is wrong is printed with what to change.

Exit codes: 0 the driver keeps all rules; 1 it breaks a rule; 2 the input is wrong, or the command
cannot be run; 130 interrupted.`,
		Example: `  kabench driver check reactor-netty
  kabench driver check 'python3 my_driver.py'
  kabench driver check --no-load -- java -jar my-driver.jar`,
		ValidArgsFunction: completeCheck,
		RunE: func(c *cobra.Command, args []string) error {
			command, err := driverCommand(c.CommandPath(), args)
			if err != nil {
				return err
			}
			if o.stderr {
				command.Stderr = s.Err
			}
			return checkDriver(s, command, o)
		},
	}
	c.Flags().SetInterspersed(false) // what follows the command's name is the command's
	c.Flags().BoolVar(&o.quick, "no-load", false, "do not measure the driver's lag and rate, which takes about 9 s")
	c.Flags().BoolVar(&o.stderr, "stderr", false, "show what the driver writes to stderr")
	return c
}

// driverCommand is the command that a command line names.
func driverCommand(path string, args []string) (external.Command, error) {
	switch len(args) {
	case 0:
		return external.Command{}, usage.Errorf(path, "name a driver, or give its command, such as 'python3 my_driver.py'")
	case 1:
		return drivers.Command(args[0])
	}
	return external.Command{Argv: args}, nil
}

// completeCheck offers drivers, and files for a command.
func completeCheck(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	names, _ := completeDrivers(c, nil, typed)
	return names, cobra.ShellCompDirectiveDefault
}

func checkDriver(s *cli.Streams, command external.Command, o checkOptions) error {
	ctx, stop := signal.NotifyContext(context.Background(), kabench.StopSignals()...)
	defer stop()
	options := check.Options{}
	if o.quick {
		options.LagFor = -1
	}
	tell := func(r check.Rule) { printRule(s.Out, r) }
	if s.JSON {
		tell = nil
	}
	report, err := check.Run(ctx, command, options, tell)
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(s.Err, "kabench: stopped; the other rules were not checked")
		return exit.Interrupted
	case err != nil:
		return err
	case s.JSON:
		err = json.NewEncoder(s.Out).Encode(report)
	default:
		_, err = fmt.Fprintln(s.Out, verdict(report))
	}
	if err == nil && !report.OK {
		return exit.Unmet
	}
	return err
}

// printRule prints one line, and what to change below it.
func printRule(w io.Writer, r check.Rule) {
	word := "ok"
	if !r.OK {
		word = "fails"
	}
	fmt.Fprintf(w, "%-5s  %-20s  %s\n", word, r.Name, layout.OneLine(r.Says))
	if r.Change != "" {
		fmt.Fprintf(w, "%-5s  %-20s  to change: %s\n", "", "", r.Change)
	}
}

// verdict is the last line of a check.
func verdict(r *check.Report) string {
	broken := 0
	for _, rule := range r.Rules {
		if !rule.OK {
			broken++
		}
	}
	if broken == 0 {
		return fmt.Sprintf("The driver keeps all %d rules.", len(r.Rules))
	}
	return fmt.Sprintf("The driver breaks %d of the %d rules checked; docs/drivers.md describes them.", broken, len(r.Rules))
}
