package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/usage"
)

// newMan makes 'kabench man', which packages call. It is hidden, because users read the pages
// with man.
func newMan(s *cli.Streams) *cobra.Command {
	return &cobra.Command{
		Use: "man DIR", Short: "Write the manual pages into a directory", Hidden: true,
		Long: `Write a manual page for each command into DIR, which is made if it is not there. The date on
the pages is today's, or that of SOURCE_DATE_EPOCH.`,
		Example: "  kabench man ~/.local/share/man/man1 && man kabench-run",
		Args:    usage.One("the directory to write into"), ValidArgsFunction: cli.CompleteDirs,
		RunE: func(c *cobra.Command, args []string) error {
			dir := args[0]
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return fmt.Errorf("the manual pages cannot be written: %w; name another directory", err)
			}
			forMan(c.Root())
			if err := doc.GenManTree(c.Root(), &doc.GenManHeader{Section: "1", Source: "kabench " + cli.Version(), Manual: "kabench"}, dir); err != nil {
				return fmt.Errorf("the manual pages cannot be written: %w", err)
			}
			pages, err := filepath.Glob(filepath.Join(dir, "kabench*.1"))
			if err != nil {
				return err
			}
			return s.Line(map[string]any{"dir": dir, "pages": len(pages)}, "written: %d manual pages in %s", len(pages), dir)
		},
	}
}

// forMan prepares the texts of c and its commands, which are for terminals, for cobra/doc,
// which takes them for Markdown: indented lines are examples, and an asterisk is itself.
func forMan(c *cobra.Command) {
	c.DisableAutoGenTag = true
	var b strings.Builder
	example := false
	for line := range strings.Lines(c.Long) {
		now := strings.HasPrefix(line, "  ")
		if now != example {
			b.WriteString("\n")
		}
		if example = now; example {
			line = "    " + line
		} else {
			line = markdown.Replace(line)
		}
		b.WriteString(line)
	}
	c.Long = b.String()
	for _, within := range c.Commands() {
		forMan(within)
	}
}

var markdown = strings.NewReplacer(`*`, `\*`, `_`, `\_`, `<`, `\<`, `[`, `\[`)
