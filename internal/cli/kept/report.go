// Package kept has the commands that show what earlier runs kept: report, export, publish and trend.
package kept

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/incidents"
	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/internal/resultsdir"
	"github.com/kabench/kabench/internal/usage"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/page"
	"github.com/kabench/kabench/results/record"
)

// NewReport makes 'kabench report'.
func NewReport(s *cli.Streams) *cobra.Command {
	o := &pageOptions{}
	c := &cobra.Command{
		Use:   "report [DIR]... [-o report.html]",
		Short: "Print the report of finished runs again, or write it as an HTML page",
		Long: `Print again what 'kabench run', 'reproduce', 'compare', 'probe' or 'diagnose' printed. DIR
is the directory of the results; without DIR, it is the newest below kabench-results. A run that
was cut off, or has not ended yet, is reported up to its last second and marked as incomplete. If
only some runs of a reproduction or a comparison are finished, those are reported, and the missing
ones are named.

With -o, write an HTML page instead: one file that needs no network, with the result, charts of
traffic, latencies, pool and sockets, and timelines of connections with the evidence of failures.
Several DIRs are shown side by side.

The exit code is 0, whatever the runs showed.`,
		Example: `  kabench report
  kabench report kabench-results/... -o report.html`,
		ValidArgsFunction: cli.CompleteDirs,
		RunE: func(_ *cobra.Command, args []string) error {
			dir, err := dirOrNewest(args)
			if err != nil {
				return err
			}
			if len(args) <= 1 {
				if is, err := reportDiagnosis(s, dir, o.output); is {
					return err
				}
				if is, err := reportProbe(s, dir, o.output); is {
					return err
				}
			}
			if o.output != "" {
				dirs, err := unfold(s, append([]string{dir}, args[min(len(args), 1):]...))
				if err != nil {
					return err
				}
				o.dirs = dirs
				return doPage(s, o)
			}
			if len(args) > 1 {
				return usage.Errorf("kabench report", "only a page can show several directories: add -o report.html")
			}
			return doReport(s, dir)
		},
	}
	c.Flags().StringVarP(&o.output, "output", "o", "", "write an HTML page to this file")
	return c
}

// reportDiagnosis prints the diagnosis in dir, or copies its page to the file output. It
// reports whether dir holds one.
func reportDiagnosis(s *cli.Streams, dir, output string) (is bool, err error) {
	if _, err := os.Stat(filepath.Join(dir, cli.FileDiagnosis)); err != nil {
		return false, nil
	}
	name := cli.FileDiagnosisText
	switch {
	case output != "":
		name = cli.FileDiagnosisPage
	case s.JSON:
		name = cli.FileDiagnosis
	}
	text, err := os.ReadFile(filepath.Join(dir, name))
	if errors.Is(err, os.ErrNotExist) && output != "" {
		return true, fmt.Errorf("%s: no incident was run in this diagnosis, so there is no page; leave out -o", dir)
	}
	if err != nil {
		return true, err
	}
	if output == "" {
		_, err := s.Out.Write(text)
		return true, err
	}
	if err := cli.WriteFile(output, func(w io.Writer) error { _, err := w.Write(text); return err }); err != nil {
		return true, err
	}
	fmt.Fprintf(s.Err, "written: %s\n", output)
	return true, nil
}

// reportProbe prints what a probe has kept in dir, or copies its page to the file output.
// It reports whether dir holds that.
func reportProbe(s *cli.Streams, dir, output string) (is bool, err error) {
	text, d, err := cli.ReadProbe(dir)
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return false, nil
	case err != nil:
		return true, err
	case output != "":
		page, err := os.ReadFile(filepath.Join(dir, cli.ProbePage))
		if err != nil {
			return true, err
		}
		if err := cli.WriteFile(output, func(w io.Writer) error { _, err := w.Write(page); return err }); err != nil {
			return true, err
		}
		fmt.Fprintf(s.Err, "written: %s\n", output)
		return true, nil
	case s.JSON:
		_, err := s.Out.Write(text)
		return true, err
	}
	return true, s.PrintProbe(d)
}

func doReport(s *cli.Streams, dir string) error {
	c, err := record.OpenComparison(dir)
	if err == nil {
		if err := s.PrintComparison(c); err != nil {
			return err
		}
		if c.Missing() != "" {
			fmt.Fprintf(s.Err, "to continue: kabench compare --resume %s\n", dir)
		}
		return nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	rep, err := record.OpenReproduction(dir)
	if err == nil {
		return s.PrintReproduction(rep)
	}
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	plan, err := record.OpenPlan(dir)
	if err == nil && plan.Kind == results.KindCatalogue {
		return reportAll(s, dir, plan)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	run, err := record.OpenOnly(dir)
	if err != nil {
		return err
	}
	doc, err := run.Run()
	if err != nil {
		return err
	}
	return s.PrintRun(doc)
}

// unfold calls record.Unfold and prints its notes on standard error. A diagnosis stands for the
// incidents that were run in it.
func unfold(s *cli.Streams, dirs []string) ([]string, error) {
	var all []string
	for _, dir := range dirs {
		if _, err := os.Stat(filepath.Join(dir, cli.FileDiagnosis)); err != nil {
			all = append(all, dir)
			continue
		}
		run := reproductionsIn(dir)
		if len(run) == 0 {
			return nil, fmt.Errorf("%s: no incident was run in this diagnosis, so there are no results to show", dir)
		}
		all = append(all, run...)
	}
	unfolded, notes, err := record.Unfold(all)
	for _, note := range notes {
		fmt.Fprintln(s.Err, "kabench: "+layout.OneLine(note))
	}
	return unfolded, err
}

// reproductionsIn returns the directories in dir that hold a reproduction.
func reproductionsIn(dir string) (found []string) {
	entries, _ := os.ReadDir(dir) // if it cannot be read, there are none
	for _, e := range entries {
		at := filepath.Join(dir, e.Name())
		if _, err := record.OpenReproduction(at); e.IsDir() && err == nil {
			found = append(found, at)
		}
	}
	return found
}

// dirOrNewest returns the directory named on the command line, or else the newest one.
func dirOrNewest(args []string) (string, error) {
	if len(args) > 0 {
		return args[0], nil
	}
	return resultsdir.Newest()
}

// reportAll prints the table of 'kabench reproduce --all' from the directory of
// its results, which may have been cut off.
func reportAll(s *cli.Streams, dir string, plan *results.Plan) error {
	var done []*incidents.Result
	for _, name := range plan.Incidents {
		r, err := incidents.Read(dir, name)
		if err != nil {
			return err
		}
		if r != nil {
			done = append(done, r)
		}
	}
	return s.PrintIncidents(done, len(plan.Incidents), dir)
}

// pageOptions holds the flags of 'kabench report -o'.
type pageOptions struct {
	dirs   []string
	output string
}

// doPage writes the page of the directories to a file.
func doPage(s *cli.Streams, o *pageOptions) error {
	data, err := page.Gather(o.dirs...)
	if err != nil {
		return err
	}
	if err := cli.WriteFile(o.output, func(w io.Writer) error { return page.Write(w, data) }); err != nil {
		return err
	}
	if s.JSON {
		return s.Line(map[string]any{"file": o.output, "notes": data.Notes}, "")
	}
	for _, note := range data.Notes {
		fmt.Fprintln(s.Err, "kabench: "+layout.OneLine(note))
	}
	fmt.Fprintf(s.Err, "written: %s\n", o.output)
	return nil
}
