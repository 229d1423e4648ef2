package study

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/internal/terminal"
	"github.com/kabench/kabench/internal/usage"
	"github.com/kabench/kabench/internal/wording"
	"github.com/kabench/kabench/profiles"
)

// suggestions is how many known texts are shown for an unknown one.
const suggestions = 3

// maxOthers is how many candidates are shown beside the best.
const maxOthers = 8

// NewExplain makes 'kabench explain'.
func NewExplain(s *cli.Streams) *cobra.Command {
	list := false
	c := &cobra.Command{
		Use:   "explain TEXT | explain -",
		Short: "Explain what a log line of a client or a proxy proves, and what it does not",
		Long: `Find out which client or proxy wrote a log line, in which phase the request ended and why, what
that proves and what it does not, which incident shows it, and what to check next. TEXT may be a
part of the line or a whole stack trace. With -, it is read from standard input, up to 1 MiB.

Exit codes: 0 the text is known; 1 the text is unknown, and similar known texts are shown.`,
		Example: `  kabench explain 'Pending acquire queue has reached its maximum size of 32'
  kubectl logs api | grep -A5 Exception | kabench explain -
  kabench explain --list`,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, args []string) error {
			text := strings.Join(args, " ")
			switch {
			case list && len(args) > 0:
				return usage.Errorf(c.CommandPath(), "--list takes no TEXT")
			case list:
				return printWordings(s, wording.All())
			case text == "-":
				read, err := io.ReadAll(io.LimitReader(c.InOrStdin(), wording.MaxText+1))
				if err != nil {
					return fmt.Errorf("reading the text: %w", err)
				}
				if len(read) > wording.MaxText {
					fmt.Fprintln(s.Err, "kabench: the text is longer than 1 MiB; only its first MiB was read")
				}
				text = string(read)
			}
			if strings.TrimSpace(text) == "" {
				return usage.Errorf(c.CommandPath(), "give a text from a log, or - to read it from standard input; --list prints all known texts")
			}
			return explain(s, text)
		},
	}
	c.Flags().BoolVar(&list, "list", false, "list all known texts, by client")
	return c
}

// explanation is what 'kabench explain --json' prints.
type explanation struct {
	Known      bool                `json:"known"`
	Shared     bool                `json:"shared"`            // other clients write it too, and the text does not show which one did
	Clients    []string            `json:"clients,omitempty"` // who may have written it, the likeliest first
	Candidates []wording.Candidate `json:"candidates"`
	Nearest    []wording.Wording   `json:"nearest,omitempty"`
	Reproduce  []string            `json:"reproduce,omitempty"` // incidents of the best candidate that come with kabench
}

func explain(s *cli.Streams, text string) error {
	e := explanation{Candidates: []wording.Candidate{}}
	e.Candidates = append(e.Candidates, wording.Explain(text)...)
	e.Known = len(e.Candidates) > 0
	if e.Known {
		e.Shared, e.Clients = wording.Shared(e.Candidates), writers(e.Candidates)
		e.Reproduce = reproducible(e.Candidates[0].Incidents)
	} else {
		e.Nearest = wording.Nearest(text, suggestions)
	}
	var err error
	switch {
	case s.JSON:
		err = json.NewEncoder(s.Out).Encode(e)
	case e.Known:
		err = terminal.Fitted(s.Out, pageWidth, func(b *bytes.Buffer) error { return printExplained(b, e) })
	default:
		err = terminal.Fitted(s.Out, pageWidth, func(b *bytes.Buffer) error { return printUnknown(b, e.Nearest) })
	}
	if err == nil && !e.Known {
		return exit.Unmet
	}
	return err
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
func printExplained(to io.Writer, e explanation) error {
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
	w.field("incident", strings.Join(best.Incidents, ", "))
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

func printWordings(s *cli.Streams, all []wording.Wording) error {
	if s.JSON {
		return json.NewEncoder(s.Out).Encode(all)
	}
	var b bytes.Buffer
	w := layout.Table(&b)
	for _, known := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\n", known.Client, known.Outcomes[0], known.Text)
	}
	w.Flush()
	return layout.Print(s.Out, b.String(), 0)
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
