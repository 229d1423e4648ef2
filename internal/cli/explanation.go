package cli

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/internal/terminal"
	"github.com/kabench/kabench/internal/wording"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
)

// suggestions is how many known texts are shown for an unknown one.
const suggestions = 3

// maxOthers is how many candidates are shown beside the best.
const maxOthers = 8

// Explanation is what 'kabench explain --json' prints.
type Explanation struct {
	Known      bool                `json:"known"`
	Shared     bool                `json:"shared"`            // other clients write it too, and the text does not show which one did
	Clients    []string            `json:"clients,omitempty"` // who may have written it, the likeliest first
	Candidates []wording.Candidate `json:"candidates"`
	Nearest    []wording.Wording   `json:"nearest,omitempty"`
	Reproduce  []string            `json:"reproduce,omitempty"` // incidents of the best candidate that come with kabench
	// Settings are the fields that the setting of the best candidate is about, in the words
	// of the client of a named pool, with values that stand for an example; see InWordsOf.
	Settings []results.ClientSetting `json:"settings,omitempty"`
}

// Explain finds out what a text of a log stands for.
func Explain(text string) Explanation {
	e := Explanation{Candidates: []wording.Candidate{}}
	e.Candidates = append(e.Candidates, wording.Explain(text)...)
	e.Known = len(e.Candidates) > 0
	if e.Known {
		e.Shared, e.Clients = wording.Shared(e.Candidates), writers(e.Candidates)
		e.Reproduce = reproducible(e.Candidates[0].Incidents)
	} else {
		e.Nearest = wording.Nearest(text, suggestions)
	}
	return e
}

// examples are values of the fields that a setting is about.
var examples = map[string]string{"pool.idle_timeout": "4s", "pool.max_conns": "64", "pool.pending_max": "1000", "pool.pending_timeout": "10s"}

// InWordsOf adds what the setting of the best candidate is called in the client of a
// pool preset. An error means that there is no such pool.
func (e *Explanation) InWordsOf(pool string) error {
	preset, found := profiles.FindPool(pool)
	if !found {
		_, err := profiles.LoadPool(pool)
		return err
	}
	if !e.Known {
		return nil
	}
	for _, path := range e.Candidates[0].Fields() {
		e.Settings = append(e.Settings, preset.Spelled(path, examples[path])...)
	}
	return nil
}

// Print prints what the text stands for, or the nearest texts that kabench knows.
func (e Explanation) Print(w io.Writer) error {
	return terminal.Fitted(w, pageWidth, func(b *bytes.Buffer) error {
		if !e.Known {
			return printUnknown(b, e.Nearest)
		}
		return printExplained(b, e)
	})
}

// ReadText returns the text of a log that the arguments of c are, or with "-" what standard
// input has.
func (s *Streams) ReadText(c *cobra.Command, args []string) (string, error) {
	text := strings.Join(args, " ")
	if text != "-" {
		return text, nil
	}
	return s.ReadLog(c.InOrStdin())
}

// ReadLog returns the text of a log, up to wording.MaxText bytes.
func (s *Streams) ReadLog(from io.Reader) (string, error) {
	read, err := io.ReadAll(io.LimitReader(from, wording.MaxText+1))
	if err != nil {
		return "", fmt.Errorf("reading the text: %w", err)
	}
	if len(read) > wording.MaxText {
		fmt.Fprintln(s.Err, "kabench: the text is longer than 1 MiB; only its first MiB was read")
	}
	return string(read), nil
}

// writers returns the names of the clients among the candidates. Candidates that stand for
// any client are left out.
func writers(candidates []wording.Candidate) []string {
	var names []string
	for _, c := range candidates {
		if c.Client != "" && !slices.Contains(names, c.ClientName) {
			names = append(names, c.ClientName)
		}
	}
	return names
}

// reproducible returns the incidents that come with kabench, in the same order.
func reproducible(incidents []string) []string {
	var have []string
	come := profiles.Incidents()
	for _, name := range incidents { // the likeliest first
		if slices.ContainsFunc(come, func(e profiles.Embedded) bool { return e.Name == name }) {
			have = append(have, name)
		}
	}
	return have
}

// printExplained prints the best candidate in full, and a line for each of the others.
func printExplained(to io.Writer, e Explanation) error {
	best, others := e.Candidates[0], e.Candidates[1:]
	w := &sheet{to: to}
	name := best.ClientName
	if best.Vague || e.Shared && !best.Generic() && best.Client != "" {
		name = "Perhaps " + name
	}
	w.line("%s: %s", name, strings.TrimSpace(best.Text))
	if best.Client == "" {
		w.line("(any client may write this: it is a message of the operating system; more of the log may show which client)")
	} else if e.Shared {
		w.line("(several clients write this text; more of the log may show which one)")
	}
	if best.Partial {
		w.line("(your text has only a part of this message)")
	}
	w.field("outcome", outcomes(best.Outcomes)+reuse(best.Reused))
	w.field("proves", best.Proves)
	w.field("does not prove", best.DoesNotProve)
	for _, n := range best.Numbers {
		text := n.Of + " " + n.Value
		if n.Means != "" {
			text += ": " + n.Means
		}
		w.field("in the text", text)
	}
	w.field("check", best.Check)
	w.field("setting", best.Setting)
	for _, s := range e.Settings {
		w.field("for example", written(s))
	}
	w.field("incident", strings.Join(slices.DeleteFunc(slices.Clone(best.Incidents), func(name string) bool { return slices.Contains(e.Reproduce, name) }), ", "))
	for _, name := range e.Reproduce {
		w.field("reproduce", "kabench reproduce "+name)
	}
	w.field("versions", best.Versions)
	w.field("source", best.Source)
	w.others(best, others, e.Clients)
	return w.err
}

// others prints the candidates after the best one; only their clients, if any client may
// write the text.
func (p *sheet) others(best wording.Candidate, others []wording.Candidate, clients []string) {
	if len(others) == 0 {
		return
	}
	p.line("")
	if best.Client == "" {
		p.field("written by", strings.Join(clients, ", ")+", and others")
		return
	}
	p.line("Other possible matches, best first:")
	for _, c := range others[:min(maxOthers, len(others))] {
		p.line("  %s: %s", c.ClientName, strings.TrimSpace(c.Text))
		p.line("      %s%s", outcomes(c.Outcomes), reuse(c.Reused))
	}
}

func printUnknown(to io.Writer, near []wording.Wording) error {
	w := &sheet{to: to}
	w.line("kabench knows no client or proxy that writes this.")
	if len(near) > 0 {
		w.line("Similar texts that it knows:")
	}
	for _, n := range near {
		w.line("  %s: %s", n.ClientName, n.Text)
	}
	w.line("kabench explain --list prints all of them.")
	return w.err
}

func outcomes(list []wording.Outcome) string {
	var texts []string
	for _, o := range list {
		texts = append(texts, o.String())
	}
	return strings.Join(texts, ", or ")
}

func reuse(reused string) string {
	switch reused {
	case "yes":
		return "; on a reused connection"
	case "no":
		return "; on a fresh connection"
	}
	return ""
}

// sheet writes fields with names, for a layout. It keeps the first error.
type sheet struct {
	to  io.Writer
	err error
}

func (p *sheet) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.to, format+"\n", args...)
	}
}

const (
	fieldIndent = 18
	pageWidth   = 110
)

func (p *sheet) field(name, text string) {
	if text == "" {
		return
	}
	var b bytes.Buffer
	layout.Paragraph(&b, fmt.Sprintf("  %-*s", fieldIndent-2, name), text)
	p.line("%s", strings.TrimSuffix(b.String(), "\n"))
}
