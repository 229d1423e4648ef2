// Command kabench reproduces incidents of pooled HTTP connections, measures
// pool configurations under open-loop load, and reports what was seen.
package main

import (
	"errors"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
)

// The exit codes.
const (
	exitDone        = 0
	exitUnmet       = 1   // an expectation failed, abort_when stopped the run, or an incident was not reproduced
	exitInput       = 2   // wrong input
	exitInvalid     = 3   // the run is invalid
	exitInterrupted = 130 // as by SIGINT
)

func main() {
	// net/http logs what servers send unasked. To client: stock it is an outcome, and
	// a secret may be in it.
	log.SetOutput(io.Discard)
	kabench.ExitIfChild()
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program: results go to stdout, chatter to stderr.
func run(args []string, stdout, stderr io.Writer) int {
	root := newRoot(stdout, stderr)
	root.SetArgs(args)
	err := root.Execute()
	if code, ok := errors.AsType[exitCode](err); ok {
		return int(code)
	}
	if unknown := unknownCommand(root, args); err != nil && unknown != nil {
		err = unknown
	}
	if err != nil {
		text := profiles.WithoutSecrets(errors.New(said(err)), args...).Error()
		text = results.Printable(text) // a file or a server may be quoted in it
		if usage, ok := errors.AsType[*usageError](err); ok {
			text += fmt.Sprintf(" (see '%s --help')", usage.command)
		}
		fmt.Fprintf(stderr, "kabench: %s\n", text)
		if errors.Is(err, kabench.ErrInterrupted) {
			return exitInterrupted
		}
		return exitInput
	}
	return exitDone
}

// exitCode ends the program with a code and says nothing: what there is to say
// has been printed as a result.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// streams are where commands write, and whether they write JSON.
type streams struct {
	out, err io.Writer
	json     bool
}

func newRoot(stdout, stderr io.Writer) *cobra.Command {
	s := &streams{out: paper{stdout}, err: newScreen(stderr)}
	root := &cobra.Command{
		Use:   "kabench",
		Short: "Reproduce, measure and explain incidents of pooled HTTP connections",
		Long: `kabench sends open-loop traffic through a connection pool whose every rule is stated,
follows each request through its phases down to the socket, and says how each failure
happened, who closed, and what it cost.

  kabench reproduce idle-race                        reproduce an incident, and clear it
  kabench run --target http://host:port/ --rate 300/s   measure your own server
  kabench compare --target http://host:port/ --rate 300/s --pool a --pool b
                                                     hold pool settings against each other

Exit codes: 0 done and all expectations met; 1 an expectation failed, abort_when stopped the
run, an incident was not reproduced, lint found something or explain nothing; 2 wrong input, or
results that could not be written; 3 the run is invalid; 130 interrupted.`,
		Version:       version(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetFlagErrorFunc(flagError)
	root.SetHelpCommand(newHelp())
	root.SetHelpFunc(s.help)
	root.PersistentFlags().BoolVar(&s.json, "json", false, "print JSON instead of text, and no progress")
	root.AddCommand(
		newRun(s), newReproduce(s), newCompare(s), newLab(s), newReport(s), newExport(s), newPublish(s), newGallery(s),
		newProfiles(s), newIncidents(s), newNewIncident(s), newPools(s), newServers(s), newShow(s), newLint(s), newExplain(s), newDoctor(s), newVersion(s),
	)
	setFlagCompletion(root)
	setCompletion(root)
	return root
}
