package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench/results"
	html "github.com/kabench/kabench/results/page"
	"github.com/kabench/kabench/results/site"
)

func newPublish(s *streams) *cobra.Command {
	o := site.Options{}
	c := &cobra.Command{
		Use:   "publish DIR... --site OUT",
		Short: "Publish reports as a static site, with an index and an Atom feed",
		Long: `Add the results in each DIR, of a run, an incident or a comparison, to the static site in OUT:
an index of questions and verdicts, each report as a page and as Markdown under a link that stays,
and an Atom feed. Published again, a report is updated in its place; nothing else on the site
is touched, and an OUT that holds anything else is refused.

What is invalid, cut off or interrupted is left out, unless --include-invalid says otherwise; then
it is marked as such. The exit code is 3 if nothing else was named.

Host names, addresses and paths are taken out, unless --show-hosts says otherwise, and what looks
like a secret always. Look at what you publish: a name that a server wrote can be anything.`,
		Example:           `  kabench publish kabench-results/* --site public --base-url https://example.org/bench/`,
		ValidArgsFunction: completeDirs,
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case len(args) == 0:
				return &usageError{c.CommandPath(), errors.New("name a directory of results, or several")}
			case o.Out == "":
				return &usageError{c.CommandPath(), errors.New("--site is missing: the directory to make the site in")}
			}
			o.Version, o.Now, o.Page = version(), time.Now(), redactedPage
			dirs, err := unfold(s, args)
			if err != nil {
				return err
			}
			done, err := site.Publish(dirs, o)
			if err != nil {
				return err
			}
			return s.published(o, done)
		},
	}
	c.Flags().StringVar(&o.Out, "site", "", "directory of the site: new, empty, or one that this command made")
	c.Flags().StringVar(&o.BaseURL, "base-url", "", "where the site is served, for the feed's links; remembered")
	c.Flags().StringVar(&o.Title, "title", "", "of the index and the feed; remembered (default \"kabench reports\")")
	c.Flags().BoolVar(&o.ShowHosts, "show-hosts", false, "leave host names, addresses and paths as they are")
	c.Flags().BoolVar(&o.Unfit, "include-invalid", false, "publish invalid, cut-off and interrupted results as well, marked as such")
	return c
}

// published says what became of each report.
func (s *streams) published(o site.Options, done []site.Published) error {
	left := 0
	for _, p := range done {
		notes := p.Notes
		if p.State == site.LeftOut {
			fmt.Fprintf(s.err, "kabench: %s: left out, because %s; --include-invalid publishes it, marked as such\n", p.Slug, results.OneLine(notes[0]))
			left, notes = left+1, notes[1:]
		}
		for _, note := range notes {
			fmt.Fprintf(s.err, "kabench: %s: %s\n", p.Slug, results.OneLine(note))
		}
		if !s.json && p.State != site.LeftOut {
			fmt.Fprintf(s.out, "%-9s %s/reports/%s/\n", p.State, o.Out, p.Slug)
		}
	}
	if s.json {
		if err := s.line(map[string]any{"site": o.Out, "reports": done}, ""); err != nil {
			return err
		}
	}
	if left == len(done) {
		return exitCode(exitInvalid)
	}
	return nil
}

// redactedPage writes the HTML report of the results in dir, with what redactor makes
// of its texts. The documents of dir have been learned from.
func redactedPage(w io.Writer, dir string, redactor *results.Redactor) error {
	data, err := html.Gather(dir)
	if err != nil {
		return err
	}
	return html.Write(w, results.Redacted(redactor, data))
}
