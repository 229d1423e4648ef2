package kept

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/internal/usage"
	"github.com/kabench/kabench/results/export"
	"github.com/kabench/kabench/results/record"
	"github.com/kabench/kabench/results/redact"
	"github.com/kabench/kabench/results/text"
)

// exportOptions holds the flags of 'kabench export'.
type exportOptions struct {
	dirs   []string
	format string
	output string
	tag    string
	hide   bool
}

// format is a form that results can be exported in. It is made from the documents of any
// results, or from the record of one run.
type format struct {
	name      string
	of        string // what it is, for the help
	documents func(io.Writer, *exportOptions, []*record.Archive) (notes []string, err error)
	record    func(io.Writer, *exportOptions, *record.Dir) (notes []string, err error)
}

var formats = []format{
	{name: "markdown", of: "a report for a pull request or a wiki, at most 64 KiB", documents: func(w io.Writer, _ *exportOptions, all []*record.Archive) ([]string, error) {
		return nil, text.RenderMarkdown(w, all...)
	}},
	{name: "json", of: "the documents as JSON; for several directories a list of them", documents: exportJSON},
	{name: "csv", of: "one run: a row for each request; an incident, a comparison or several directories: a row for each run",
		documents: func(w io.Writer, _ *exportOptions, all []*record.Archive) ([]string, error) {
			return export.RunsCSV(w, all...)
		},
		record: func(w io.Writer, _ *exportOptions, d *record.Dir) ([]string, error) { return export.CSV(w, d) }},
	{name: "bench", of: "Go benchmark lines for benchstat, one for each run", documents: func(w io.Writer, _ *exportOptions, all []*record.Archive) ([]string, error) {
		return export.Bench(w, all...)
	}},
	{name: "junit", of: "JUnit XML for CI: a test case for each expectation, and for the validity of each run", documents: func(w io.Writer, _ *exportOptions, all []*record.Archive) ([]string, error) {
		return export.JUnit(w, all...)
	}},
	{name: "vegeta", of: "a run's results for 'vegeta report' and 'vegeta plot'", record: func(w io.Writer, _ *exportOptions, d *record.Dir) ([]string, error) {
		return export.Vegeta(w, d)
	}},
	{name: "hdrhistogram", of: "a run's latency log, for HdrHistogram's tools; use --tag for tools without support for tags", record: func(w io.Writer, o *exportOptions, d *record.Dir) ([]string, error) {
		return export.HdrHistogram(w, d, o.tag)
	}},
}

func formatNames() []string {
	var names []string
	for _, f := range formats {
		names = append(names, f.name)
	}
	return names
}

// NewExport makes 'kabench export'.
func NewExport(s *cli.Streams) *cobra.Command {
	o := &exportOptions{}
	var list strings.Builder
	for _, f := range formats {
		fmt.Fprintf(&list, "  %-13s %s\n", f.name, f.of)
	}
	c := &cobra.Command{
		Use:   "export [DIR...] --format " + strings.Join(formatNames(), "|"),
		Short: "Export results for people or for other tools",
		Long: `Write results in another format. Without DIR, it exports the newest below kabench-results.

` + list.String() + `
If an export leaves something out, standard error says what. --hide-hosts removes host names,
addresses, paths and everything that looks like a secret, before you show the export to others.`,
		Example: `  kabench export kabench-results/... --format markdown | gh pr comment --body-file -
  kabench export comparison --format bench | benchstat -table goos -col /arm -
  kabench export kabench-results/... --format vegeta | vegeta report
  kabench export kabench-results/... --format csv --output exchanges.csv`,
		ValidArgsFunction: cli.CompleteDirs,
		RunE: func(_ *cobra.Command, args []string) error {
			if err := o.check(s); err != nil {
				return err
			}
			if o.dirs = args; len(args) == 0 {
				newest, err := dirOrNewest(args)
				if err != nil {
					return err
				}
				o.dirs = []string{newest}
			}
			return doExport(s, o)
		},
	}
	c.Flags().StringVar(&o.format, "format", "", "one of the formats above")
	c.Flags().StringVarP(&o.output, "output", "o", "", "file to write to (default standard output)")
	c.Flags().StringVar(&o.tag, "tag", "", "with --format hdrhistogram: write only response, service or lag, and no tags")
	_ = c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(formatNames(), cobra.ShellCompDirectiveDefault)) // fails only for a missing flag
	c.Flags().BoolVar(&o.hide, "hide-hosts", false, "remove host names, addresses, paths and secrets")
	return c
}

// check refuses flags that are missing or cannot be combined.
func (o *exportOptions) check(s *cli.Streams) error {
	switch {
	case o.format == "":
		return usage.Errorf("kabench export", "give --format: one of %s", strings.Join(formatNames(), ", "))
	case !slices.Contains(formatNames(), o.format):
		return usage.Errorf("kabench export", "--format %s: want one of %s%s", o.format, strings.Join(formatNames(), ", "), usage.DidYouMean(o.format, formatNames()))
	case s.JSON && o.output == "":
		return usage.Errorf("kabench export", "--json needs --output FILE: the export itself goes to standard output")
	case o.tag != "" && o.format != "hdrhistogram":
		return usage.Errorf("kabench export", "--tag needs --format hdrhistogram")
	}
	return nil
}

func doExport(s *cli.Streams, o *exportOptions) error {
	i := slices.IndexFunc(formats, func(f format) bool { return f.name == o.format })
	var err error
	if o.dirs, err = unfold(s, o.dirs); err != nil {
		return err
	}
	export, err := formats[i].open(o)
	if err != nil {
		return err
	}
	var notes []string
	write := func(w io.Writer) (err error) {
		notes, err = export(w)
		return err
	}
	if o.output == "" {
		err = write(s.Plain())
	} else {
		err = cli.WriteFile(o.output, write)
	}
	if err != nil {
		return err
	}
	for _, note := range notes {
		fmt.Fprintln(s.Err, "kabench: "+layout.OneLine(note))
	}
	switch {
	case s.JSON:
		return s.Line(map[string]any{"format": o.format, "file": o.output, "notes": notes}, "")
	case o.output != "":
		fmt.Fprintf(s.Err, "written: %s\n", o.output)
	}
	return nil
}

// open reads the results before an output file is made, so that a wrong directory leaves
// no file behind.
func (f format) open(o *exportOptions) (func(io.Writer) ([]string, error), error) {
	if len(o.dirs) > 1 && f.documents == nil {
		return nil, usage.Errorf("kabench export", "--format %s exports one run; export the %d directories one at a time", f.name, len(o.dirs))
	}
	var all []*record.Archive
	redact := &redact.Redactor{}
	for _, path := range o.dirs {
		if f.documents == nil {
			break
		}
		k, err := record.OpenArchive(path)
		if err != nil {
			return nil, err
		}
		if f.record != nil && k.Kind() == record.KindRun && len(o.dirs) == 1 {
			break // its record is the export
		}
		if o.hide {
			k = redact.Archive(k)
		}
		all = append(all, k)
	}
	if len(all) > 0 {
		return func(w io.Writer) ([]string, error) { return f.documents(w, o, all) }, nil
	}
	if o.hide {
		return nil, usage.Errorf("kabench export", "--hide-hosts does not work with this format: it has the errors of single requests, which may contain anything")
	}
	dir, err := record.OpenOnly(o.dirs[0])
	if err != nil {
		return nil, err
	}
	return func(w io.Writer) ([]string, error) { return f.record(w, o, dir) }, nil
}

// exportJSON writes the document, or a list of them.
func exportJSON(w io.Writer, _ *exportOptions, all []*record.Archive) (notes []string, err error) {
	var list []json.RawMessage
	for _, k := range all {
		var b bytes.Buffer
		switch {
		case k.Reproduction != nil:
			err = record.EncodeReproduction(&b, k.Reproduction)
		case k.Comparison != nil:
			err = record.EncodeComparison(&b, k.Comparison)
		default:
			err = record.EncodeRun(&b, k.Run)
		}
		if err != nil {
			return nil, err
		}
		list = append(list, b.Bytes())
	}
	if len(list) == 1 {
		_, err = w.Write(list[0])
		return nil, err
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return nil, enc.Encode(list)
}
