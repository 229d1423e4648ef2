package main

import (
	"encoding/json"
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
	return &cobra.Command{
		Use:   "report DIR",
		Short: "Print the summary of a run, or of an incident's runs, from its directory",
		Long: `Print what 'kabench run' or 'kabench reproduce' printed at its end, from the directory of its
results. A run that was cut off is read up to its last second and marked as incomplete.`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error { return doReport(s, args[0]) },
	}
}

func doReport(s *streams, dir string) error {
	rep, err := readReproduction(dir)
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

func readReproduction(dir string) (*results.Reproduction, error) {
	path := filepath.Join(dir, reproductionFile)
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	rep := &results.Reproduction{}
	if err := json.Unmarshal(data, rep); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if rep.Schema != results.ReproductionSchema || rep.IncidentRun == nil {
		return nil, fmt.Errorf("%s: schema %q, and this kabench reads %q", path, rep.Schema, results.ReproductionSchema)
	}
	return rep, nil
}

// openRun opens a run's directory; for one that only holds those of runs the
// error names them.
func openRun(dir string) (*results.Dir, error) {
	run, err := results.Open(dir)
	if errors.Is(err, results.ErrNotARun) {
		if inside := runsIn(dir); len(inside) > 0 {
			return nil, fmt.Errorf("%s holds several runs; name one: %s", dir, strings.Join(inside, ", "))
		}
	}
	return run, err
}

func runsIn(dir string) []string {
	var found []string
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if _, err := results.Open(path); err == nil {
			found = append(found, path)
		}
	}
	return found
}

// exportOptions are the flags of `kabench export`.
type exportOptions struct {
	dir    string
	format string
	output string
}

// formats are what a run can be exported as.
var formats = map[string]func(io.Writer, *results.Dir) error{
	"vegeta": results.ExportVegeta,
	"csv":    results.ExportCSV,
}

func newExport(s *streams) *cobra.Command {
	o := &exportOptions{}
	c := &cobra.Command{
		Use:   "export DIR --format vegeta|csv",
		Short: "Export a run's exchanges for other tools",
		Example: `  kabench export kabench-results/... --format vegeta | vegeta report
  kabench export kabench-results/... --format csv --output exchanges.csv`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			o.dir = args[0]
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
	if o.output == "" {
		return export(s.out, dir)
	}
	f, err := os.Create(o.output)
	if err != nil {
		return err
	}
	err = export(f, dir)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	if s.json {
		return s.line(map[string]string{"format": o.format, "file": o.output}, "")
	}
	fmt.Fprintf(s.err, "written: %s\n", o.output)
	return nil
}
