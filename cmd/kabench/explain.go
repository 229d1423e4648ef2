package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/internal/wording"
	"github.com/kabench/kabench/profiles"
)

// nearestShown is how many known texts are shown for an unknown one.
const nearestShown = 3

// maxOthers is how many candidates are shown beside the best.
const maxOthers = 8

func newExplain(s *streams) *cobra.Command {
	list := false
	c := &cobra.Command{
		Use:   "explain TEXT | explain -",
		Short: "Say what a client's or proxy's log line proves, and what it does not",
		Long: `Say which client or proxy wrote a log line, in which phase and why the exchange ended, what
that proves and what it does not, which incident shows it, and what to check next. TEXT may be a
piece of the line or a whole stack trace; - reads it from the standard input, up to 1 MiB.

Exit codes: 0 the text is known; 1 it is not, and the nearest known ones are shown.`,
		Example: `  kabench explain 'Pending acquire queue has reached its maximum size of 32'
  kubectl logs api | grep -A5 Exception | kabench explain -
  kabench explain --list`,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, args []string) error {
			text := strings.Join(args, " ")
			switch {
			case list && len(args) > 0:
				return &usageError{c.CommandPath(), fmt.Errorf("--list takes no text")}
			case list:
				return s.printWordings(wording.All())
			case text == "-":
				read, err := io.ReadAll(io.LimitReader(c.InOrStdin(), wording.MaxText+1))
				if err != nil {
					return fmt.Errorf("reading the text: %w", err)
				}
				if len(read) > wording.MaxText {
					fmt.Fprintln(s.err, "the text is longer than 1 MiB; the rest is not read")
				}
				text = string(read)
			}
			if strings.TrimSpace(text) == "" {
				return &usageError{c.CommandPath(), fmt.Errorf("give a text from a log, or - to read it; --list lists those known")}
			}
			return s.explain(text)
		},
	}
	c.Flags().BoolVar(&list, "list", false, "list every text known, by client")
	return c
}

// explanation is the answer, with --json.
type explanation struct {
	Known      bool                `json:"known"`
	Shared     bool                `json:"shared"`            // other clients write it as well, and the text does not tell them apart
	Clients    []string            `json:"clients,omitempty"` // the names of those that may have written it, the likeliest first
	Candidates []wording.Candidate `json:"candidates"`
	Nearest    []wording.Wording   `json:"nearest,omitempty"`
	Reproduce  []string            `json:"reproduce,omitempty"` // incidents of the best candidate that come with kabench
}

func (s *streams) explain(text string) error {
	e := explanation{Candidates: []wording.Candidate{}}
	e.Candidates = append(e.Candidates, wording.Explain(text)...)
	e.Known = len(e.Candidates) > 0
	if e.Known {
		e.Shared, e.Clients = wording.Shared(e.Candidates), writers(e.Candidates)
		e.Reproduce = reproducible(e.Candidates[0].Incidents)
	} else {
		e.Nearest = wording.Nearest(text, nearestShown)
	}
	var err error
	switch {
	case s.json:
		err = json.NewEncoder(s.out).Encode(e)
	case e.Known:
		err = fitted(s.out, pageWidth, func(b *bytes.Buffer) error { return printExplained(b, e) })
	default:
		err = fitted(s.out, pageWidth, func(b *bytes.Buffer) error { return printUnknown(b, e.Nearest) })
	}
	if err == nil && !e.Known {
		return exitCode(exitUnmet)
	}
	return err
}

// writers are the clients among the candidates, by name; what stands for any
// client is none.
func writers(candidates []wording.Candidate) []string {
	var names []string
	for _, c := range candidates {
		if c.Client != "" && !slices.Contains(names, c.ClientName) {
			names = append(names, c.ClientName)
		}
	}
	return names
}

// reproducible are the incidents among these that come with kabench.
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

// printExplained has the best candidate in full, and a line for each other.
func printExplained(to io.Writer, e explanation) error {
	best, others := e.Candidates[0], e.Candidates[1:]
	w := &sheet{to: to}
	name := best.ClientName
	if best.Vague {
		name = "Perhaps " + name
	}
	w.line("%s: %s", name, strings.TrimSpace(best.Text))
	if best.Client == "" {
		w.line("(any client writes this: the words are the operating system's; more of the log may tell which)")
	} else if e.Shared {
		w.line("(several clients write this, and the text does not tell them apart; more of the log may)")
	}
	if best.Partial {
		w.line("(the text has only a part of it)")
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
	w.field("incident", strings.Join(best.Incidents, ", "))
	for _, name := range e.Reproduce {
		w.field("reproduce", "kabench reproduce "+name)
	}
	w.field("versions", best.Versions)
	w.field("source", best.Source)
	w.others(best, others, e.Clients)
	return w.err
}

// others has the candidates but the best: their names, where the words are
// anybody's.
func (p *sheet) others(best wording.Candidate, others []wording.Candidate, clients []string) {
	if len(others) == 0 {
		return
	}
	p.line("")
	if best.Client == "" {
		p.field("written by", strings.Join(clients, ", ")+", and others")
		return
	}
	p.line("It may also be, best first:")
	for _, c := range others[:min(maxOthers, len(others))] {
		p.line("  %s: %s", c.ClientName, strings.TrimSpace(c.Text))
		p.line("      %s%s", outcomes(c.Outcomes), reuse(c.Reused))
	}
}

func printUnknown(to io.Writer, near []wording.Wording) error {
	w := &sheet{to: to}
	w.line("No client or proxy known to kabench writes this.")
	if len(near) > 0 {
		w.line("The nearest that are known:")
	}
	for _, n := range near {
		w.line("  %s: %s", n.ClientName, n.Text)
	}
	w.line("kabench explain --list has them all.")
	return w.err
}

func (s *streams) printWordings(all []wording.Wording) error {
	if s.json {
		return json.NewEncoder(s.out).Encode(all)
	}
	var b bytes.Buffer
	w := layout.Table(&b)
	for _, known := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\n", known.Client, known.Outcomes[0], known.Text)
	}
	w.Flush()
	return layout.Print(s.out, b.String(), 0)
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

// sheet writes named fields, to be laid out; it keeps the first error.
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
