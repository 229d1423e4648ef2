package kept

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/internal/usage"
	html "github.com/kabench/kabench/results/page"
	"github.com/kabench/kabench/results/redact"
	"github.com/kabench/kabench/results/site"
)

// NewPublish makes 'kabench publish'.
func NewPublish(s *cli.Streams) *cobra.Command {
	o := site.Options{}
	c := &cobra.Command{
		Use:   "publish DIR... --site OUT",
		Short: "Publish reports as a static site with a table, trends and an Atom feed",
		Long: `Add the results in each DIR (a run, an incident or a comparison) to the static site in OUT. The
site has a table of all reports to filter and sort, an Atom feed, each report as a page and as
Markdown under a permanent link, and a trend for each question that was asked several times (see
'kabench trend'). If a report is published again, it is updated in place, and the rest of the site
stays as it is. OUT must be new, empty, or a site made by this command.

Invalid, cut-off and interrupted results are left out. With --include-invalid they are published
and marked. The exit code is 3 if all results were left out.

Host names, addresses and paths are removed, unless --show-hosts is given. Whatever looks like a
secret is always removed. Check what you publish: texts that a server wrote can contain anything.`,
		Example:           `  kabench publish kabench-results/* --site public --base-url https://example.org/bench/`,
		ValidArgsFunction: cli.CompleteDirs,
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case len(args) == 0:
				return usage.Errorf(c.CommandPath(), "name at least one directory of results")
			case o.Out == "":
				return usage.Errorf(c.CommandPath(), "give --site: the directory of the site")
			}
			o.Version, o.Now, o.Page = cli.Version(), time.Now(), redactedPage
			dirs, err := unfold(s, args)
			if err != nil {
				return err
			}
			done, err := site.Publish(dirs, o)
			if err != nil {
				return err
			}
			return published(s, o, done)
		},
	}
	c.Flags().StringVar(&o.Out, "site", "", "directory of the site: a new one, an empty one, or a site made by this command")
	c.Flags().StringVar(&o.BaseURL, "base-url", "", "URL of the published site, for the feed's links; kept for the next time")
	c.Flags().StringVar(&o.Title, "title", "", "title of the index and the feed; kept for the next time (default \"kabench reports\")")
	c.Flags().BoolVar(&o.ShowHosts, "show-hosts", false, "keep host names, addresses and paths")
	c.Flags().BoolVar(&o.Unfit, "include-invalid", false, "also publish invalid, cut-off and interrupted results, marked as such")
	return c
}

// published prints the outcome for each report.
func published(s *cli.Streams, o site.Options, done []site.Published) error {
	left := 0
	for _, p := range done {
		notes := p.Notes
		if p.State == site.LeftOut {
			fmt.Fprintf(s.Err, "kabench: %s was left out, because %s; --include-invalid publishes it anyway, marked as such\n", p.Slug, layout.OneLine(notes[0]))
			left, notes = left+1, notes[1:]
		}
		for _, note := range notes {
			fmt.Fprintf(s.Err, "kabench: %s: %s\n", p.Slug, layout.OneLine(note))
		}
		if !s.JSON && p.State != site.LeftOut {
			fmt.Fprintf(s.Out, "%-9s %s/reports/%s/\n", p.State, o.Out, p.Slug)
		}
	}
	if s.JSON {
		if err := s.Line(map[string]any{"site": o.Out, "reports": done}, ""); err != nil {
			return err
		}
	}
	if left == len(done) {
		return exit.Invalid
	}
	return nil
}

// redactedPage writes the HTML report of the results in dir, with its texts redacted.
// redactor knows the secrets and hosts in the documents of dir already.
func redactedPage(w io.Writer, dir string, redactor *redact.Redactor) error {
	data, err := html.Gather(dir)
	if err != nil {
		return err
	}
	return html.Write(w, redact.Document(redactor, data))
}
