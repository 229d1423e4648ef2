package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/internal/probe"
	"github.com/kabench/kabench/internal/terminal"
	"github.com/kabench/kabench/results"
)

// Names of files in the results directory of a probe.
const (
	ProbeFile = "probe.json"
	ProbePage = "report.html"
)

// ReadProbe reads what a probe has kept in a directory. The error is fs.ErrNotExist if it
// is no such directory.
func ReadProbe(dir string) (text []byte, d probe.Document, err error) {
	if text, err = os.ReadFile(filepath.Join(dir, ProbeFile)); err != nil {
		return nil, d, err
	}
	if err = json.Unmarshal(text, &d); err != nil || d.Schema != probe.Schema {
		return nil, d, fmt.Errorf("%s: not what 'kabench probe' has written; probe the server again", filepath.Join(dir, ProbeFile))
	}
	return text, d, nil
}

// PrintProbe prints what a probe has found, as text.
func (s *Streams) PrintProbe(d probe.Document) error {
	return terminal.Fitted(s.Out, 0, func(b *bytes.Buffer) error { ProbeText(b, d); return nil })
}

// ProbeText writes what was found, one block for each address.
func ProbeText(b *bytes.Buffer, f probe.Document) {
	for i, found := range f.Servers {
		if i > 0 {
			b.WriteString("\n")
		}
		if found.Error != "" {
			layout.Paragraph(b, "", fmt.Sprintf("%s: %s", found.Address, found.Error))
			continue
		}
		layout.Paragraph(b, "", found.Address+" "+found.Says)
		probeStatements(b, found)
	}
	b.WriteString("\n")
	for _, address := range f.NotProbed {
		layout.Paragraph(b, "", "not probed: "+address)
	}
	if f.Stopped != "" {
		layout.Paragraph(b, "", "stopped: "+f.Stopped)
	}
	sent := fmt.Sprintf("sent %s on %s in %s", Count(f.Requests, "request"), Count(f.Connections, "connection"), results.FormatSeconds(f.Took))
	if f.Interrupted {
		sent += ", until it was interrupted"
	}
	layout.Paragraph(b, "", sent)
	if slack := slackOf(f); slack > exactEnough {
		layout.Paragraph(b, "", fmt.Sprintf("this machine was busy: kabench took its times up to %s late, and the intervals include that. To make them narrower, stop other programs and measure again", results.FormatSeconds(slack)))
	}
}

// exactEnough is how late kabench may take its times without a word about it.
const exactEnough = 0.002 // seconds

// slackOf is how late the times of closes were taken, in seconds, at the worst address.
func slackOf(d probe.Document) (slack float64) {
	for _, found := range d.Servers {
		slack = max(slack, found.Slack)
	}
	return slack
}

// Count is a number of things: 1 request, 2 requests.
func Count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// probeStatements writes what is known beyond the first sentence.
func probeStatements(b *bytes.Buffer, found probe.Found) {
	for _, s := range found.Statements {
		text := s.Text
		if s.About == "hint" && strings.HasSuffix(found.Says, text) {
			continue
		}
		if s.About == "idle" && strings.HasPrefix(found.Says, text) {
			if s.Why == "" {
				continue
			}
			text, s.Why = s.Why, ""
		}
		if s.Basis == evidence.Inferred && s.Why != "" {
			text += " (inferred: " + s.Why + ")"
		}
		layout.Paragraph(b, fmt.Sprintf("  %-10s  ", strings.ReplaceAll(s.About, "_", " ")), layout.OneLine(text))
	}
	for _, note := range found.Notes {
		layout.Paragraph(b, fmt.Sprintf("  %-10s  ", "note"), layout.OneLine(note))
	}
}
