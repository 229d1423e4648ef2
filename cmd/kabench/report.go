package main

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench/results"
)

func newReport(s *streams) *cobra.Command {
	return &cobra.Command{
		Use:   "report [DIR]",
		Short: "Print the summary of a run, or of an incident's runs, from its directory",
		Long: `Print what 'kabench run' or 'kabench reproduce' printed at its end, from the directory of its
results; without DIR, the newest below kabench-results. A run that was cut off, or still goes
on, is read up to its last second and marked as incomplete. The exit code is 0 whatever the
run showed.`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			dir, err := dirOrNewest(args)
			if err != nil {
				return err
			}
			return doReport(s, dir)
		},
	}
}

func doReport(s *streams, dir string) error {
	rep, err := results.OpenReproduction(dir)
	if err == nil {
		print := results.RenderReproduction
		if s.json {
			print = results.EncodeReproduction
		}
		return print(s.out, rep)
	}
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	run, err := results.OpenOnly(dir)
	if err != nil {
		return err
	}
	doc, err := run.Run()
	if err != nil {
		return err
	}
	return s.printRun(doc)
}

// dirOrNewest is the directory named on the command line, or the newest run's.
func dirOrNewest(args []string) (string, error) {
	if len(args) > 0 {
		return args[0], nil
	}
	entries, err := os.ReadDir(resultsDir)
	if err != nil || len(entries) == 0 {
		return "", errors.New("there are no results below " + resultsDir + " here; name a run's directory")
	}
	return filepath.Join(resultsDir, entries[len(entries)-1].Name()), nil // their names begin with the time
}
