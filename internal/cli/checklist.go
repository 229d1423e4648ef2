package cli

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/kabench/kabench/internal/terminal"
	"github.com/kabench/kabench/profiles/lint"
	"github.com/kabench/kabench/results"
)

// PrintChecklist prints a block for each finding, and what was checked.
func PrintChecklist(w io.Writer, list lint.Checklist) error {
	return terminal.Fitted(w, 0, func(b *bytes.Buffer) error { return printChecklist(b, list) })
}

func printChecklist(w io.Writer, list lint.Checklist) error {
	var b strings.Builder
	for _, f := range list.Findings {
		fmt.Fprintf(&b, "%s: %s\n", f.Rule, f.Path)
		if f.Hop != "" {
			fmt.Fprintf(&b, "  hop   %s\n", f.Hop)
		}
		fmt.Fprintf(&b, "  rule  %s\n", f.Says)
		fmt.Fprintf(&b, "  here  %s; %s\n", f.Numbers[0], f.Numbers[1])
		fmt.Fprintf(&b, "  seen  %s\n", f.Seen)
		fmt.Fprintf(&b, "  set   %s\n", f.Set)
		for _, s := range f.Settings {
			fmt.Fprintf(&b, "  write %s\n", written(s))
		}
		b.WriteString("\n")
	}
	for _, note := range list.Notes {
		fmt.Fprintf(&b, "note: %s\n", note)
	}
	switch n := len(list.Findings); n {
	case 0:
		b.WriteString("no findings")
	case 1:
		b.WriteString("1 finding")
	default:
		fmt.Fprintf(&b, "%d findings", n)
	}
	fmt.Fprintf(&b, ": checked %s", results.FormatCount(uint64(len(list.Checked)), "rule"))
	if len(list.Lacking) > 0 {
		var lacking []string
		for _, u := range list.Lacking {
			lacking = append(lacking, u.String())
		}
		fmt.Fprintf(&b, ";\nnot fully checked, because kabench does not know: %s", strings.Join(lacking, ", "))
	}
	b.WriteString("\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// written is a setting in the words of a client on one line.
func written(s results.ClientSetting) string {
	if s.Text == "" {
		return s.In + ": " + s.Instead
	}
	about := s.In + "; " + s.Versions
	if s.Note != "" {
		about += "; " + s.Note
	}
	return fmt.Sprintf("%s (%s)", s.Text, about)
}
