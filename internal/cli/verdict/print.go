package verdict

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/kabench/kabench/internal/autopsy"
	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/internal/terminal"
	"github.com/kabench/kabench/results"
)

// Bytes is a function for cli.WriteFile that writes text.
func Bytes(text []byte) func(io.Writer) error {
	return func(w io.Writer) error { _, err := w.Write(text); return err }
}

// shownFailures and shownServers are how many of each the text shows.
const (
	shownFailures = 10
	shownServers  = 5
)

// Text prints the verdict for people.
func (f *Found) Text(s *cli.Streams) error {
	err := terminal.Fitted(s.Out, 0, func(b *bytes.Buffer) error {
		layout.Paragraph(b, "", layout.OneLine(f.Headline))
		for _, sentence := range f.Says[:min(len(f.Says), shownServers)] {
			layout.Paragraph(b, "", layout.OneLine(sentence))
		}
		f.failures(b)
		f.lines(b)
		f.servers(b)
		f.clients(b)
		f.advice(b)
		f.rest(b)
		return nil
	})
	if err != nil || f.Lint == nil {
		return err
	}
	fmt.Fprintf(s.Out, "\npool %s against %s:\n", f.Pool, f.Worst().Address)
	return cli.PrintChecklist(s.Out, *f.Lint)
}

// failures lists the first failures.
func (f *Found) failures(b *bytes.Buffer) {
	if len(f.Failures) == 0 {
		return
	}
	b.WriteString("\n")
	rows := layout.Table(b)
	number := "packet"
	if f.Segments == 0 && f.From == "" {
		number = "line"
	}
	fmt.Fprintf(rows, "time\tclient\tserver\trequest\tidle before\tmet\t%s\n", number)
	for i := range f.Failures[:min(len(f.Failures), shownFailures)] {
		one := &f.Failures[i]
		idle, when, packet, line := "", "", "", one.Line
		if one.Idle != evidence.NotSeen {
			idle = results.FormatSeconds(one.Idle.Seconds())
		}
		if one.Begun != evidence.NotSeen {
			when = fmt.Sprintf("%.6f s", one.Begun.Seconds())
		}
		if one.Number > 0 {
			packet = fmt.Sprint(one.Number)
		}
		if line == "" && one.TLS {
			line = "(TLS)"
		}
		fmt.Fprintf(rows, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", when, one.Client, one.Server, layout.Clean(line, 60), idle, one.Sentence(), packet)
	}
	rows.Flush()
	if more := f.Left + len(f.Failures) - shownFailures; more > 0 {
		layout.Paragraph(b, "", fmt.Sprintf("and %s more: --json lists up to %d", count(more, "request"), autopsy.MaxListed))
	}
}

// servers says how each server treats its connections.
func (f *Found) servers(b *bytes.Buffer) {
	if len(f.Servers) == 0 {
		return
	}
	b.WriteString("\n")
	for i := range f.Servers[:min(len(f.Servers), shownServers)] {
		one := &f.Servers[i]
		layout.Paragraph(b, "", fmt.Sprintf("server %s, %s on %s: %s", one.Address, count(one.Requests, "request"), count(one.Facts.Connections, "connection"), one.Sentence))
		for _, s := range one.Statements {
			if s.About == "idle" || s.About == "hint" && strings.HasSuffix(one.Sentence, s.Text) {
				continue
			}
			text := s.Text
			if s.Basis == evidence.Inferred && s.Why != "" {
				text += " (inferred: " + s.Why + ")"
			}
			layout.Paragraph(b, fmt.Sprintf("  %-10s  ", strings.ReplaceAll(s.About, "_", " ")), layout.OneLine(text))
		}
	}
	if more := len(f.Servers) - shownServers; more > 0 {
		layout.Paragraph(b, "", fmt.Sprintf("and %s more: --json lists them, --server host:port chooses one", count(more, "server")))
	}
}

// clients says what the connections show about the clients' pools.
func (f *Found) clients(b *bytes.Buffer) {
	for i := range f.Clients[:min(len(f.Clients), shownServers)] {
		if text := f.Clients[i].Sentence(); text != "" {
			layout.Paragraph(b, "", fmt.Sprintf("client %s to %s: %s", f.Clients[i].Address, f.Clients[i].Server, text))
		}
	}
	for _, text := range f.Counts() {
		layout.Paragraph(b, "", text)
	}
}

// advice names the incident, and the settings that would have prevented it.
func (f *Found) advice(b *bytes.Buffer) {
	if f.Incident != "" {
		b.WriteString("\n")
		layout.Paragraph(b, "", fmt.Sprintf("This is the incident %s: kabench reproduce %s shows it, and what ends it.", f.Incident, f.Incident))
	}
	if len(f.Settings) == 0 {
		return
	}
	idle, _ := f.SafeIdle()
	layout.Paragraph(b, "", fmt.Sprintf("Close idle connections at the client before the server does, after %s (pool.idle_timeout):", idle))
	for _, s := range f.Settings {
		text := s.Text
		if text == "" {
			text = s.Instead
		}
		layout.Paragraph(b, "  ", fmt.Sprintf("%s: %s", s.Client, layout.OneLine(text)))
	}
}

// rest says what the captures cannot say, and what was read.
func (f *Found) rest(b *bytes.Buffer) {
	if len(f.Cannot) > 0 {
		b.WriteString("\n")
		what := "Not in the capture:"
		switch {
		case f.From != "":
			what = "Not seen:"
		case f.Segments == 0:
			what = "Not in the log:"
		}
		layout.Paragraph(b, "", what)
		for _, text := range f.Cannot {
			layout.Paragraph(b, "  - ", text)
		}
	}
	if f.From != "" {
		return
	}
	b.WriteString("\n")
	f.logs(b)
	if f.Segments == 0 {
		for _, note := range f.Notes {
			layout.Paragraph(b, "", layout.OneLine(note))
		}
		return
	}
	read := fmt.Sprintf("read %s of TCP on %s in %s", count(f.Segments, "segment"), count(f.Connections, "connection"), (time.Duration(f.Length * float64(time.Second))).Round(time.Millisecond))
	if f.Copies > 0 {
		read += fmt.Sprintf("; %d of them are copies of others", f.Copies)
	}
	layout.Paragraph(b, "", read)
	if len(f.Places) > 1 {
		for i := range f.Places {
			layout.Paragraph(b, "  ", f.Places[i].Sentence())
		}
	}
	for _, note := range f.Notes {
		layout.Paragraph(b, "", note)
	}
}

func count(n int, what string) string { return cli.Count(n, what) }
