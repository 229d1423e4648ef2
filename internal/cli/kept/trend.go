package kept

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/internal/usage"
	"github.com/kabench/kabench/results/record"
	"github.com/kabench/kabench/results/site"
	"github.com/kabench/kabench/results/trend"
)

// NewTrend makes 'kabench trend'.
func NewTrend(s *cli.Streams) *cobra.Command {
	output := ""
	c := &cobra.Command{
		Use:   "trend DIR... [-o trend.html]",
		Short: "Show how failures and response times changed over many runs of one question",
		Long: `Order the runs in each DIR by time, those of each question and setting by themselves, and find the
runs with which the failure rate or the 99th percentile of the response time changed. DIR is the
directory of a run, an incident or a comparison, or a directory of such directories, such as a
store of baselines. Runs that differ only in their seed, or in what they expect, are repeats.

With -o, write an HTML page with charts instead: one file that needs no network.

Invalid runs, and those that were stopped early, are shown and not used. At least 8 runs are
needed, and a change is found when 4 runs or more have followed it. If nothing changed, a change
of one of the two figures is reported with a probability of at most 2.5 %.

A CI job that runs kabench records its commit (from KABENCH_COMMIT, GITHUB_SHA, CI_COMMIT_SHA or
GIT_COMMIT), and the trend names it. The exit code is 0, whatever changed.`,
		Example: `  kabench trend kabench-results
  kabench trend baselines -o trend.html`,
		ValidArgsFunction: cli.CompleteDirs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage.Errorf(c.CommandPath(), "name at least one directory of results")
			}
			return doTrend(s, args, output)
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "", "write an HTML page to this file")
	return c
}

func doTrend(s *cli.Streams, args []string, output string) error {
	if err := cli.CheckFiles(output); err != nil {
		return err
	}
	all, err := trendOf(s, args, filepath.Dir(output))
	if err != nil {
		return err
	}
	if output != "" {
		title := "Trends"
		if len(all) == 1 {
			title = all[0].Title()
		}
		if err := cli.WriteFile(output, func(w io.Writer) error { return site.WriteTrend(w, title, "", all) }); err != nil {
			return err
		}
		fmt.Fprintf(s.Err, "written: %s\n", output)
		if !s.JSON {
			return nil
		}
	}
	if s.JSON {
		return s.Line(map[string]any{"series": all, "file": output}, "")
	}
	return trend.Render(s.Out, all)
}

// trendOf reads the runs in dirs. Their links are relative to the directory from.
func trendOf(s *cli.Streams, args []string, from string) ([]trend.Series, error) {
	var points []trend.Point
	add := func(dir string) error {
		k, err := record.OpenArchive(dir)
		if err != nil {
			return err
		}
		more, notes := trend.Points(k, linkTo(dir, from))
		for _, note := range slices.Concat(k.Notes, notes) {
			fmt.Fprintf(s.Err, "kabench: %s: %s\n", dir, layout.OneLine(note))
		}
		points = append(points, more...)
		return nil
	}
	for _, arg := range args {
		inside, several := resultsIn(arg)
		dirs, err := unfold(s, inside)
		if err != nil {
			return nil, err
		}
		for _, dir := range dirs {
			if err := add(dir); err != nil && !several {
				return nil, err
			} else if err != nil {
				fmt.Fprintf(s.Err, "kabench: left out: %s\n", layout.OneLine(err.Error()))
			}
		}
	}
	if len(points) == 0 {
		return nil, fmt.Errorf("no run was found in %s: make several with 'kabench run', and name the directory that holds their directories", args[0])
	}
	return trend.Of(points), nil
}

// resultsIn returns dir, or, if it is a directory of several directories of results, these.
func resultsIn(dir string) (dirs []string, several bool) {
	if isResults(dir) {
		return []string{dir}, false
	}
	entries, _ := os.ReadDir(dir) // if it cannot be read, opening it says why
	for _, e := range entries {
		if at := filepath.Join(dir, e.Name()); e.IsDir() && !strings.HasPrefix(e.Name(), ".") && isResults(at) {
			dirs = append(dirs, at)
		}
	}
	if len(dirs) == 0 {
		return []string{dir}, false
	}
	return dirs, true
}

// isResults reports whether dir has results, whole or damaged.
func isResults(dir string) bool {
	if _, err := record.Open(dir); err == nil {
		return true
	}
	for _, open := range []func() error{
		func() error { _, err := record.OpenReproduction(dir); return err },
		func() error { _, err := record.OpenComparison(dir); return err },
		func() error { _, err := record.OpenPlan(dir); return err },
		func() error { _, err := os.Stat(filepath.Join(dir, cli.FileDiagnosis)); return err },
	} {
		if err := open(); err == nil || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
			return true
		}
	}
	return false
}

// linkTo returns the link from a page in the directory from to the results in dir: to their
// page, if 'kabench report DIR -o DIR/report.html' has made one.
func linkTo(dir, from string) string {
	if page := filepath.Join(dir, "report.html"); isFile(page) {
		return linkPath(page, from)
	}
	return linkPath(dir, from) + "/"
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// linkPath is the relative URL of path, seen from a page in the directory from.
func linkPath(path, from string) string {
	absolute, err := filepath.Abs(path)
	base, baseErr := filepath.Abs(from)
	if err == nil && baseErr == nil {
		if relative, err := filepath.Rel(base, absolute); err == nil {
			path = relative
		}
	}
	return (&url.URL{Path: "./" + filepath.ToSlash(path)}).String()
}
