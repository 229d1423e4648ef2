package study

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/imports"
	"github.com/kabench/kabench/internal/usage"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/profiles/targets"
)

// NewImport makes 'kabench import'.
func NewImport(s *cli.Streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "import",
		Short: "Make a profile of a curl command, or a target file of a HAR file",
		Long: `Turn requests that another program has written down into what 'kabench run' sends. Nothing is sent.

Credentials are left out, and what was left out is said: headers and parameters with such names,
cookies, the user in a URL, and such values in bodies. --keep-secrets keeps them.`,
		Args: usage.NoSubcommand,
		RunE: func(c *cobra.Command, _ []string) error {
			return usage.Errorf(c.CommandPath(), "give a command: curl or har")
		},
	}
	c.AddCommand(newImportCurl(s), newImportHAR(s))
	return c
}

// importOptions holds the flags of both commands.
type importOptions struct {
	imports.Options
	output string
}

func (o *importOptions) flags(c *cobra.Command, what string) {
	f := c.Flags()
	f.SortFlags = false
	f.StringVarP(&o.output, "output", "o", "", what+" to write (default standard output)")
	f.BoolVar(&o.KeepSecrets, "keep-secrets", false, "keep credentials, which are left out otherwise")
	_ = c.RegisterFlagCompletionFunc("output", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return nil, cobra.ShellCompDirectiveDefault
	})
}

// write writes what was made, and says what was left out. then is what can be done with the file.
func (o *importOptions) write(s *cli.Streams, text []byte, notes []string, then string) error {
	for _, note := range notes {
		fmt.Fprintln(s.Err, "kabench: "+note)
	}
	if o.output == "" {
		_, err := s.Plain().Write(text)
		return err
	}
	if err := cli.CheckFile(o.output); err != nil {
		return err
	}
	if err := cli.WriteFile(o.output, func(w io.Writer) error { _, err := w.Write(text); return err }); err != nil {
		return err
	}
	fmt.Fprintf(s.Err, "written: %s; send it: kabench run %s\n", o.output, then)
	return nil
}

type importCurl struct {
	importOptions
	file     string
	rate     string
	duration time.Duration
}

func newImportCurl(s *cli.Streams) *cobra.Command {
	o := &importCurl{}
	c := &cobra.Command{
		Use:   "curl [-- curl ARGUMENTS]",
		Short: "Make a profile of a curl command",
		Long: `Write a profile that sends the request of a curl command. The command stands after --, in a file
(--file), or on standard input, as browsers copy it ("Copy as cURL (bash)"). It is only read: no
variable is expanded, nothing is run, and no file that it names is opened.`,
		Example: `  kabench import curl -o mine.yaml -- curl -X POST -H 'Content-Type: application/json' --data '{}' http://localhost:8080/
  kabench import curl --file copied.txt -o mine.yaml`,
		RunE: func(c *cobra.Command, args []string) error {
			if at := c.ArgsLenAtDash(); len(args) > 1 && at != 0 {
				return usage.Errorf(c.CommandPath(), "unexpected argument %q: write the curl command after --", args[0])
			}
			return o.run(c, s, args)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	o.flags(c, "profile")
	f := c.Flags()
	f.StringVar(&o.file, "file", "", "file with the command; - is standard input, as without a command")
	f.StringVar(&o.rate, "rate", "10/s", "request rate of the profile")
	f.DurationVar(&o.duration, "duration", 30*time.Second, "how long the profile sends requests")
	return c
}

// maxCommand bounds what is read of a file with a command, in bytes.
const maxCommand = 8 << 20

func (o *importCurl) run(c *cobra.Command, s *cli.Streams, args []string) error {
	words := args
	switch {
	case len(args) > 0 && o.file != "":
		return usage.Errorf(c.CommandPath(), "give the command after -- or in --file, not both")
	case len(args) == 1: // in quotes as a whole
		var err error
		if words, err = imports.Words(args[0]); err != nil {
			return fmt.Errorf("the command: %w", err)
		}
	case len(args) == 0:
		text, err := o.text(c.InOrStdin())
		if err == nil {
			words, err = imports.Words(text)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", o.place(), err)
		}
	}
	made, err := imports.Curl(words, o.Options)
	if err != nil {
		return fmt.Errorf("the curl command: %w", profiles.WithoutSecrets(err, words...))
	}
	text, err := made.Profile(imports.Load{Rate: o.rate, Duration: o.duration})
	if err != nil {
		return fmt.Errorf("the curl command: %w", err)
	}
	p, err := profiles.Load("the profile made of the curl command", text, nil)
	if err != nil {
		return err
	}
	if !pool.Idempotent(p.Target.Method) {
		made.Notes = append(made.Notes, p.Target.Method+" may change something on the server, and a run sends it many times")
	}
	return o.write(s, text, made.Notes, o.output)
}

func (o *importCurl) place() string {
	if o.file == "" || o.file == "-" {
		return "standard input"
	}
	return "--file " + o.file
}

func (o *importCurl) text(stdin io.Reader) (string, error) {
	from := stdin
	if o.file != "" && o.file != "-" {
		f, err := os.Open(o.file)
		if err != nil {
			return "", err
		}
		defer f.Close()
		from = f
	}
	text, err := io.ReadAll(io.LimitReader(from, maxCommand))
	if err == nil && len(bytes.TrimSpace(text)) == 0 {
		err = errors.New("there is no command; give one after --, as in 'kabench import curl -- curl http://localhost:8080/'")
	}
	return string(text), err
}

type importHAR struct {
	importOptions
	filters []string
	max     int
}

func newImportHAR(s *cli.Streams) *cobra.Command {
	o := &importHAR{}
	c := &cobra.Command{
		Use:   "har FILE",
		Short: "Make a target file of the requests in a HAR file",
		Long: `Write a target file, in vegeta's json format, with the requests of a HAR file, as the network panel of
a browser saves it ("Save all as HAR"). FILE - is standard input. The file is read as a stream, whatever its size.`,
		Example: `  kabench import har shop.har --filter shop.example.com --filter /api/ -o targets.json
  kabench run --targets targets.json --format json --rate 50/s`,
		Args: usage.One("a HAR file"),
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, s, args[0]) },
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"har"}, cobra.ShellCompDirectiveFilterFileExt
		},
	}
	o.flags(c, "target file")
	c.Flags().StringArrayVar(&o.filters, "filter", nil, "take requests of this host (also *.example.com), or whose path begins so (/api/); may be repeated")
	c.Flags().IntVar(&o.max, "max", 1000, fmt.Sprintf("how many requests to take at most, 1 to %d", imports.MaxRequests))
	return c
}

func (o *importHAR) run(c *cobra.Command, s *cli.Streams, file string) error {
	if o.max < 1 || o.max > imports.MaxRequests {
		return usage.Errorf(c.CommandPath(), "--max %d: want 1 to %d", o.max, imports.MaxRequests)
	}
	for _, f := range o.filters {
		if f == "" || strings.Contains(f, "://") {
			return usage.Errorf(c.CommandPath(), "--filter %q: want a host such as shop.example.com, or the beginning of a path such as /api/", f)
		}
	}
	from, name := c.InOrStdin(), "standard input"
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		defer f.Close()
		from, name = f, file
	}
	a, err := imports.HAR(from, imports.HAROptions{Options: o.Options, Filters: o.filters, Max: o.max})
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if len(a.Requests) == 0 {
		return fmt.Errorf("%s: none of its %d entries can be sent%s", name, a.Entries, after(a.Notes))
	}
	var text bytes.Buffer
	if err := targets.WriteJSON(&text, a.Requests); err != nil {
		return err
	}
	if _, err := targets.Parse(text.Bytes(), targets.FormatJSON); err != nil { // before a run finds out
		return fmt.Errorf("%s: %w", name, err)
	}
	notes := append([]string{fmt.Sprintf("%d of %d requests were taken", len(a.Requests), a.Entries)}, a.Notes...)
	return o.write(s, text.Bytes(), notes, "--targets "+o.output+" --format json --rate 10/s")
}

// after returns notes as the end of a sentence.
func after(notes []string) string {
	if len(notes) == 0 {
		return ""
	}
	return "; " + notes[0]
}
