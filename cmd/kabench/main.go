// Command kabench reproduces incidents of pooled HTTP connections, measures
// pool configurations under open-loop load, and explains failures.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/internal/terminal"
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
		text := profiles.WithoutSecrets(errors.New(usage.Text(err)), args...).Error()
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

// streams are where commands write to, and in which form.
type streams struct {
	out, err io.Writer
	json     bool
}

func newRoot(stdout, stderr io.Writer) *cobra.Command {
	s := &streams{out: terminal.Output{Writer: stdout}, err: terminal.NewScreen(stderr)}
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

Exit codes: 0 done, and every expectation was met; 1 an expectation was not met, abort_when
stopped the run, an incident was not reproduced, lint found a broken rule, or explain does not
know the text; 2 the input is wrong, or the results could not be written; 3 the run is invalid;
130 interrupted.`,
		Version:       version(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetFlagErrorFunc(usage.FlagError)
	root.SetHelpCommand(usage.NewHelp())
	root.SetHelpFunc(usage.Help(s.out))
	root.PersistentFlags().BoolVar(&s.json, "json", false, "print JSON instead of text, and show no progress")
	root.AddCommand(
		newRun(s), newReproduce(s), newCompare(s), newLab(s), newReport(s), newExport(s), newPublish(s),
		newProfiles(s), newIncidents(s), newNewIncident(s), newPools(s), newServers(s), newShow(s), newLint(s), newExplain(s), newDoctor(s), newVersion(s),
	)
	setFlagCompletion(root)
	usage.SetCompletion(root)
	return root
}

// line prints one line: v as JSON with --json, the text otherwise.
func (s *streams) line(v any, format string, args ...any) error {
	if s.json {
		return json.NewEncoder(s.out).Encode(v)
	}
	_, err := fmt.Fprintf(s.out, format+"\n", args...)
	return err
}

func newVersion(s *streams) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print kabench's version", Args: usage.None,
		RunE: func(*cobra.Command, []string) error {
			return s.line(map[string]string{"version": version(), "go": runtime.Version()}, "kabench %s (%s)", version(), runtime.Version())
		},
	}
}

// version returns the module's version as built: a tag, or "devel" and the revision.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" && len(setting.Value) >= 12 {
			return "devel-" + setting.Value[:12]
		}
	}
	return "devel"
}
