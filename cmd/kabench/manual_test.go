package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kabench/kabench/internal/exit"
)

// Every command that help shows has a manual page, which names its flags and keeps the lines
// of its examples.
func TestManualPages(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1767225600") // 1 January 2026
	dir := filepath.Join(t.TempDir(), "share", "man1")
	if stdout, _ := says(t, exit.Done, "man", dir); !strings.Contains(stdout, "manual pages in "+dir) {
		t.Errorf("it says %q", stdout)
	}
	pages := 0
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		if !c.IsAvailableCommand() && c.HasParent() || c.Name() == "help" {
			return
		}
		pages++
		text, err := os.ReadFile(filepath.Join(dir, strings.ReplaceAll(c.CommandPath(), " ", "-")+".1"))
		if err != nil {
			t.Error(err)
			return
		}
		page := strings.ReplaceAll(string(text), `\-`, "-")
		if !strings.Contains(page, "Jan 2026") {
			t.Errorf("%s: the date is not that of SOURCE_DATE_EPOCH", c.CommandPath())
		}
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden && !strings.Contains(page, "--"+f.Name) {
				t.Errorf("%s: the page does not name --%s", c.CommandPath(), f.Name)
			}
		})
		for line := range strings.Lines(c.Example) {
			if line = strings.TrimSpace(line); line != "" && !strings.Contains(page, strings.ReplaceAll(line, `\`, `\\`)) {
				t.Errorf("%s: the page does not have the example %q", c.CommandPath(), line)
			}
		}
		for _, within := range c.Commands() {
			visit(within)
		}
	}
	visit(newRoot(io.Discard, io.Discard))
	if written, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || pages < 30 || len(written) < pages {
		t.Errorf("%d commands, %d pages: %v", pages, len(written), err)
	}
	// A file is no directory.
	taken := filepath.Join(t.TempDir(), "taken")
	if err := os.WriteFile(taken, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, stderr := says(t, exit.Input, "man", taken); strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "name another directory") {
		t.Errorf("it says %q", stderr)
	}
}
