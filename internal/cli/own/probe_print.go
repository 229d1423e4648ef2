package own

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/internal/probe"
	"github.com/kabench/kabench/internal/probepage"
	"github.com/kabench/kabench/internal/serverfile"
	"github.com/kabench/kabench/internal/terminal"
	"github.com/kabench/kabench/internal/wording"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/profiles/lint"
	"github.com/kabench/kabench/results"
)

// probeFound is what 'kabench probe' prints with --json and keeps as probe.json.
type probeFound struct {
	probe.Document
	Pool string          `json:"pool,omitempty"`
	Lint *lint.Checklist `json:"lint,omitempty"` // with --pool: the pool against the measured server
}

func sourceOf(r *probe.Result) serverfile.Source {
	return serverfile.Source{URL: r.URL, From: "probe", At: r.Began}
}

// check compares the pool with the measured server, as 'kabench lint' does.
func (f *probeFound) check(r *probe.Result, pool string) error {
	server, known := r.Safest()
	if !known {
		return nil
	}
	p, err := profiles.LoadToCheck([]string{"pool=" + pool})
	if err != nil {
		return err
	}
	preset := serverfile.Preset(server, sourceOf(r))
	p.Server = preset.Facts
	p.Server.Take(preset.Lab)
	list := lint.Check(p, lint.Options{Ports: lint.DefaultPorts, Words: wording.For})
	f.Pool, f.Lint = pool, &list
	return nil
}

// print prints the result.
func (f *probeFound) print(s *cli.Streams) error {
	if s.JSON {
		return json.NewEncoder(s.Out).Encode(f)
	}
	if err := terminal.Fitted(s.Out, 0, func(b *bytes.Buffer) error { f.text(b); return nil }); err != nil {
		return err
	}
	if f.Lint == nil {
		return nil
	}
	fmt.Fprintf(s.Out, "\npool %s against this server:\n", f.Pool)
	return cli.PrintChecklist(s.Out, *f.Lint)
}

// text writes what was found, one block for each address.
func (f *probeFound) text(b *bytes.Buffer) {
	for i, found := range f.Servers {
		if i > 0 {
			b.WriteString("\n")
		}
		if found.Error != "" {
			layout.Paragraph(b, "", fmt.Sprintf("%s: %s", found.Address, found.Error))
			continue
		}
		layout.Paragraph(b, "", found.Address+" "+found.Says)
		f.statements(b, found)
	}
	b.WriteString("\n")
	for _, address := range f.NotProbed {
		layout.Paragraph(b, "", "not probed: "+address)
	}
	if f.Stopped != "" {
		layout.Paragraph(b, "", "stopped: "+f.Stopped)
	}
	sent := fmt.Sprintf("sent %s on %s in %s", count(f.Requests, "request"), count(f.Connections, "connection"), results.FormatSeconds(f.Took))
	if f.Interrupted {
		sent += ", until it was interrupted"
	}
	layout.Paragraph(b, "", sent)
	if late := time.Duration(f.Lateness * float64(time.Second)); late > lateEnough {
		layout.Paragraph(b, "", fmt.Sprintf("this machine was busy: kabench noticed nothing for up to %s; the intervals above include that. If they are too wide, stop other programs and measure again", results.FormatSeconds(f.Lateness)))
	}
}

// lateEnough is how late kabench itself must have been for the result to say so.
const lateEnough = 5 * time.Millisecond

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// statements writes what is known beyond the first sentence.
func (f *probeFound) statements(b *bytes.Buffer, found probe.Found) {
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

// keep writes the files of a directory of results.
func (f *probeFound) keep(dir string, r *probe.Result) error {
	write := func(name string, what func(io.Writer) error) error {
		return cli.WriteFile(filepath.Join(dir, name), what)
	}
	err := write("probe.json", func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(f)
	})
	if err != nil {
		return err
	}
	if server, known := r.Safest(); known {
		if err := writeServer(filepath.Join(dir, "server.yaml"), server, r); err != nil {
			return err
		}
	}
	for _, site := range r.Sites {
		if site.Err != nil || len(r.Sites) == 1 {
			continue
		}
		name := "server-" + strings.NewReplacer(":", "-", "[", "", "]", "").Replace(site.Address.String()) + ".yaml"
		if err := writeServer(filepath.Join(dir, name), site.Server(), r); err != nil {
			return err
		}
	}
	return write("report.html", f.writePage)
}

func (f *probeFound) writePage(w io.Writer) error { return probepage.Write(w, f.Document) }

// writeServer writes the facts of a server to a file.
func writeServer(file string, server evidence.Server, r *probe.Result) error {
	text, err := serverfile.Text(server, sourceOf(r))
	if err != nil {
		return err
	}
	return cli.WriteFile(file, func(w io.Writer) error { _, err := w.Write(text); return err })
}

// showProbe shows how far a probe has come.
func showProbe(p *cli.Progress) func(probe.Progress) {
	return func(now probe.Progress) {
		line := probeLine(now)
		p.Draw(now.Elapsed, []string{line}, line)
	}
}

// probeLine is one line of progress.
func probeLine(now probe.Progress) string {
	line := fmt.Sprintf("%.0f s · %s, %d open · %d of %d requests", now.Elapsed.Seconds(), count(now.Connections, "connection"), now.Open, now.Requests, now.Most)
	idle := now.Known.Idle
	switch n := len(idle); {
	case n == 0:
		return line + fmt.Sprintf(" · no idle connection closed yet · at most %s left", round(now.Left.Round(time.Second)))
	case n == 1:
		line += " · one close after " + results.FormatSeconds(idle[0].Seconds())
	default:
		line += fmt.Sprintf(" · %d closes after %s to %s", n, results.FormatSeconds(slices.Min(idle).Seconds()), results.FormatSeconds(slices.Max(idle).Seconds()))
	}
	return line + fmt.Sprintf(" · about %s left", round(now.Left.Round(time.Second)))
}
