package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench/results"
)

func newReport(s *streams) *cobra.Command {
	o := &pageOptions{}
	c := &cobra.Command{
		Use:   "report [DIR]... [-o report.html]",
		Short: "Print the summary of a run, an incident's runs or a comparison, or make a page of it",
		Long: `Print what 'kabench run', 'kabench reproduce' or 'kabench compare' printed at its end, from the
directory of its results; without DIR, the newest below kabench-results. A run that was cut off,
or still goes on, is read up to its last second and marked as incomplete.

With -o it is a page instead: one HTML file that needs no network, with the answer, pictures of
traffic, times, pool and sockets, and the lifelines of connections with the evidence of failures.
Several DIRs stand beside each other in it.

The exit code is 0 whatever the runs showed.`,
		Example: `  kabench report
  kabench report kabench-results/... -o report.html`,
		RunE: func(_ *cobra.Command, args []string) error {
			dir, err := dirOrNewest(args)
			if err != nil {
				return err
			}
			if o.output != "" {
				o.dirs = append([]string{dir}, args[min(len(args), 1):]...)
				return doPage(s, o)
			}
			if len(args) > 1 {
				return &usageError{"kabench report", errors.New("several directories stand beside each other in a page only: add -o report.html")}
			}
			return doReport(s, dir)
		},
	}
	c.Flags().StringVarP(&o.output, "output", "o", "", "make a page, and write it to this file")
	return c
}

func doReport(s *streams, dir string) error {
	c, err := results.OpenComparison(dir)
	if err == nil {
		print := results.RenderComparison
		if s.json {
			print = results.EncodeComparison
		}
		return print(s.out, c)
	}
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
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
	run, err := openRun(dir)
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

// openRun opens a run's directory; of one that only holds those of runs it
// opens the only one, or the error names them.
func openRun(dir string) (*results.Dir, error) {
	run, err := results.Open(dir)
	if errors.Is(err, results.ErrNotARun) {
		switch inside := results.RunsIn(dir); len(inside) {
		case 0:
		case 1:
			return results.Open(inside[0])
		default:
			return nil, fmt.Errorf("%s holds several runs; name one: %s", dir, strings.Join(inside, ", "))
		}
	}
	return run, err
}

// exportOptions are the flags of `kabench export`.
type exportOptions struct {
	dir    string
	format string
	output string
}

// formats are what a run can be exported as.
var formats = map[string]func(io.Writer, *results.Dir) (notes []string, err error){
	"vegeta": results.ExportVegeta,
	"csv":    results.ExportCSV,
}

func newExport(s *streams) *cobra.Command {
	o := &exportOptions{}
	c := &cobra.Command{
		Use:   "export [DIR] --format vegeta|csv",
		Short: "Export a run's exchanges for other tools",
		Example: `  kabench export kabench-results/... --format vegeta | vegeta report
  kabench export kabench-results/... --format csv --output exchanges.csv`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(_ *cobra.Command, args []string) (err error) {
			if o.dir, err = dirOrNewest(args); err != nil {
				return err
			}
			return doExport(s, o)
		},
	}
	c.Flags().StringVar(&o.format, "format", "", "vegeta (for 'vegeta report' and 'vegeta plot') or csv")
	c.Flags().StringVarP(&o.output, "output", "o", "", "file to write (default standard output)")
	c.MarkFlagRequired("format")
	return c
}

func doExport(s *streams, o *exportOptions) error {
	export, known := formats[o.format]
	if !known {
		names := make([]string, 0, len(formats))
		for name := range formats {
			names = append(names, name)
		}
		slices.Sort(names)
		return &usageError{"kabench export", fmt.Errorf("--format %s: want %s", o.format, strings.Join(names, " or "))}
	}
	if s.json && o.output == "" {
		return &usageError{"kabench export", errors.New("--json says what was written, and standard output is taken by the export itself; give --output FILE")}
	}
	dir, err := openRun(o.dir)
	if err != nil {
		return err
	}
	w := s.out
	if o.output != "" {
		f, err := os.Create(o.output)
		if err != nil {
			return err
		}
		defer f.Close()
		w = f
	}
	notes, err := export(w, dir)
	if f, ok := w.(*os.File); ok && o.output != "" && err == nil {
		err = f.Close()
	}
	if err != nil {
		return err
	}
	for _, note := range notes {
		fmt.Fprintln(s.err, "kabench: "+note)
	}
	switch {
	case s.json:
		return s.line(map[string]any{"format": o.format, "file": o.output, "notes": notes}, "")
	case o.output != "":
		fmt.Fprintf(s.err, "written: %s\n", o.output)
	}
	return nil
}
