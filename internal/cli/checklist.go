package cli

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/internal/terminal"
	"github.com/kabench/kabench/profiles/lint"
	"github.com/kabench/kabench/results"
)

// checklistWidth is how wide a checklist is if standard output is no terminal.
const checklistWidth = 100

// PrintChecklist prints a block for each finding, and what was checked.
func PrintChecklist(w io.Writer, list lint.Checklist) error {
	return terminal.Fitted(w, checklistWidth, func(b *bytes.Buffer) error { printChecklist(b, list); return nil })
}

func printChecklist(b *bytes.Buffer, list lint.Checklist) {
	for _, f := range list.Findings {
		layout.Paragraph(b, "", f.Rule+": "+f.Path)
		if f.Hop != "" {
			layout.Paragraph(b, "  hop   ", f.Hop)
		}
		layout.Paragraph(b, "  rule  ", f.Says)
		layout.Paragraph(b, "  here  ", f.Numbers[0]+"; "+f.Numbers[1])
		layout.Paragraph(b, "  seen  ", f.Seen)
		layout.Paragraph(b, "  set   ", f.Set)
		for _, s := range f.Settings {
			layout.Paragraph(b, "  write ", written(s))
		}
		b.WriteString("\n")
	}
	for _, note := range list.Notes {
		layout.Paragraph(b, "note: ", note)
	}
	text := "no findings"
	if n := len(list.Findings); n > 0 {
		text = results.FormatCount(uint64(n), "finding")
	}
	text += ": checked " + results.FormatCount(uint64(len(list.Checked)), "rule")
	if len(list.Lacking) > 0 {
		text += ";"
	}
	layout.Paragraph(b, "", text)
	if len(list.Lacking) > 0 {
		var lacking []string
		for _, u := range list.Lacking {
			lacking = append(lacking, u.String())
		}
		layout.Paragraph(b, "", "not fully checked, because kabench does not know: "+strings.Join(lacking, ", "))
	}
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
