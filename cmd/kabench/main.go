// Command kabench reproduces incidents of pooled HTTP connections, measures
// pool configurations under open-loop load, and explains failures.
package main

import (
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/cli/ci"
	"github.com/kabench/kabench/internal/cli/clients"
	"github.com/kabench/kabench/internal/cli/fleet"
	"github.com/kabench/kabench/internal/cli/foresee"
	"github.com/kabench/kabench/internal/cli/kept"
	"github.com/kabench/kabench/internal/cli/measure"
	"github.com/kabench/kabench/internal/cli/own"
	"github.com/kabench/kabench/internal/cli/study"
	"github.com/kabench/kabench/internal/cli/watching"
	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/internal/usage"
	"github.com/kabench/kabench/profiles"
)

func main() {
	// net/http logs unsolicited responses. With client: stock they are outcomes anyway, and
	// a log line may show a secret.
	log.SetOutput(io.Discard)
	kabench.ExitIfChild()
	os.Exit(int(run(os.Args[1:], os.Stdout, os.Stderr)))
}

// run is the program. Results go to stdout, everything else to stderr.
func run(args []string, stdout, stderr io.Writer) exit.Code {
	root := newRoot(stdout, stderr)
	root.SetArgs(args)
	err := root.Execute()
	if code, ok := exit.From(err); ok {
		return code
	}
	if unknown := usage.UnknownCommand(root, args); err != nil && unknown != nil {
		err = unknown
	}
	if err != nil {
		given := slices.DeleteFunc(slices.Clone(args), func(arg string) bool { return strings.HasPrefix(arg, "--key=") }) // the name of a file
		text := profiles.WithoutSecrets(errors.New(usage.Text(err)), given...).Error()
		text = layout.Printable(text) // a file or a server may be quoted in it
		if misused, ok := errors.AsType[*usage.Error](err); ok {
			text += fmt.Sprintf(" (see '%s --help')", misused.Command)
		}
		fmt.Fprintf(stderr, "kabench: %s\n", text)
		if errors.Is(err, kabench.ErrInterrupted) {
			return exit.Interrupted
		}
		return exit.Input
	}
	return exit.Done
}

func newRoot(stdout, stderr io.Writer) *cobra.Command {
	s := cli.NewStreams(stdout, stderr)
	root := &cobra.Command{
		Use:   "kabench",
		Short: "Reproduce, measure and explain incidents of pooled HTTP connections",
		Long: `kabench sends open-loop traffic through a connection pool whose rules are all known,
follows each request through its phases down to the socket, and reports how each failure
happened, which side closed the connection, and what it cost.

  kabench reproduce idle-race                        reproduce an incident, and clear it
  kabench run --target http://host:port/ --rate 300/s   measure your own server
  kabench compare --target http://host:port/ --rate 300/s --pool a --pool b
                                                     compare pool settings
  kabench diagnose 'LOG LINE' --target http://host:port/
                                                     from a log line to a setting that ends it

Exit codes: 0 done, and every expectation was met; 1 an expectation was not met, abort_when
stopped the run, more than 1 % of its requests were lost with agents, an incident was not
reproduced, lint found a broken rule, or explain does not know the text; 2 the input is wrong, or
the results could not be written; 3 the run is invalid; 130 interrupted.`,
		Version:       cli.Version(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.PersistentPreRunE = func(c *cobra.Command, _ []string) error {
		if err := s.Settle(); err != nil {
			return usage.Errorf(c.CommandPath(), "%w", err)
		}
		return nil
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetFlagErrorFunc(usage.FlagError)
	root.SetHelpCommand(usage.NewHelp())
	root.SetHelpFunc(usage.Help(s.Out))
	root.PersistentFlags().BoolVar(&s.JSON, "json", false, "print JSON instead of text, and show no progress")
	root.PersistentFlags().BoolVarP(&s.Quiet, "quiet", "q", false, "print results and errors only: no progress and no notes")
	root.PersistentFlags().StringVar(&s.Colour, "color", "auto", "colour verdicts and failures: auto (in a terminal, unless NO_COLOR is set), always or never")
	root.AddCommand(
		measure.NewRun(s), measure.NewReproduce(s), measure.NewCompare(s), measure.NewLab(s),
		foresee.NewForecast(s), foresee.NewTune(s),
		kept.NewReport(s), kept.NewExport(s), kept.NewPublish(s), kept.NewTrend(s),
		study.NewProfiles(s), study.NewIncidents(s), study.NewNewIncident(s), study.NewPools(s), study.NewServers(s),
		study.NewShow(s), study.NewImport(s), study.NewLint(s), study.NewExplain(s), study.NewDoctor(s),
		own.NewProbe(s),
		own.NewDiagnose(s),
		own.NewAutopsy(s),
		watching.New(s),
		clients.NewDriver(s), clients.NewConform(s),
		fleet.NewAgent(s), fleet.NewFleet(s),
		ci.NewBaseline(s), ci.NewCI(s),
		newVersion(s), newMan(s),
	)
	cli.SetFlagCompletion(root)
	usage.SetCompletion(root)
	return root
}

func newVersion(s *cli.Streams) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print kabench's version", Args: usage.None,
		RunE: func(*cobra.Command, []string) error {
			return s.Line(map[string]string{"version": cli.Version(), "go": runtime.Version()}, "kabench %s (%s)", cli.Version(), runtime.Version())
		},
	}
}
