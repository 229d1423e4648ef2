package wording

import (
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"

	"github.com/kabench/kabench/results"
)

//go:embed wordings.yaml
var embedded []byte

// Wording is one text that one client or proxy writes, and what it means.
type Wording struct {
	Client       string    `json:"client"`      // family: reactor-netty, go, nginx, ...
	ClientName   string    `json:"client_name"` // as people write it
	Text         string    `json:"text"`        // as For gives it
	Pattern      string    `json:"pattern,omitempty"`
	Example      string    `json:"example,omitempty"` // as in a log
	Outcomes     []Outcome `json:"outcomes"`          // the usual one first
	Reused       string    `json:"reused"`            // yes, no or unknown: whether the connection had served a request before
	Proves       string    `json:"proves"`
	DoesNotProve string    `json:"does_not_prove,omitempty"`
	Check        string    `json:"check"`
	Incidents    []string  `json:"incidents,omitempty"` // those that show the mechanism
	Source       string    `json:"source"`
	Versions     string    `json:"versions,omitempty"` // those it was seen or read in
	Silent       bool      `json:"silent,omitempty"`   // the log has nothing: Text says why

	class      string // of the exception, in full
	classAlone bool   // the class tells, without its message
	exact      bool   // the pattern's case counts
	alone      bool   // the pattern counts only as a message of its own
	values     []value
	marks      []string // normalised; words that tell the client
	parts      []part   // the compiled pattern
}

// Outcome is where and why an exchange ended.
type Outcome struct {
	Phase results.Phase `json:"phase"`
	Cause results.Cause `json:"cause"`
}

func (o Outcome) String() string {
	if o.Cause == results.CauseNone {
		return o.Phase.String()
	}
	return o.Phase.String() + " / " + o.Cause.String()
}

// value is what a number in the text gives away.
type value struct {
	Of    string `yaml:"of"`
	Is    string `yaml:"is"`
	Means string `yaml:"means"`
}

// document is wordings.yaml.
type document struct {
	Clients  map[string]client  `yaml:"clients"`
	Meanings map[string]meaning `yaml:"meanings"`
	Wordings []entry            `yaml:"wordings"`
}

type client struct {
	Name  string   `yaml:"name"`
	Marks []string `yaml:"marks"`
}

// meaning is what texts of several clients have in common.
type meaning struct {
	Proves       string   `yaml:"proves"`
	DoesNotProve string   `yaml:"does_not_prove"`
	Check        string   `yaml:"check"`
	Incidents    []string `yaml:"incidents"`
}

type entry struct {
	Client     string   `yaml:"client"`
	Class      string   `yaml:"class"`
	ClassAlone bool     `yaml:"class_alone"`
	Pattern    string   `yaml:"pattern"`
	Exact      bool     `yaml:"exact"`
	Alone      bool     `yaml:"alone"`
	Silent     string   `yaml:"silent"` // why the log has nothing
	Example    string   `yaml:"example"`
	Outcomes   []string `yaml:"outcomes"`
	Reused     string   `yaml:"reused"`
	Meaning    string   `yaml:"meaning"`
	Values     []value  `yaml:"values"`
	Source     string   `yaml:"source"`
	Versions   string   `yaml:"versions"`
	Note       string   `yaml:"note"`    // added to what the meaning proves
	Own        meaning  `yaml:",inline"` // in place of what the meaning says
}

// library is the document, compiled.
type library struct {
	wordings []Wording
	families []string // sorted
}

// known is compiled from the embedded file, which a test holds to be sound.
var known = sync.OnceValue(func() library {
	l, err := compile(embedded)
	if err != nil {
		panic("wordings.yaml: " + err.Error())
	}
	return l
})

// All lists every wording known, in the order of wordings.yaml.
func All() []Wording { return slices.Clone(known().wordings) }

// Families lists the clients and proxies known, sorted.
func Families() []string { return slices.Clone(known().families) }

// Family is the client that a pool preset's name begins with, as apache-hc5 for
// apache-hc5-classic; "" when there is none.
func Family(preset string) string {
	best := ""
	for _, f := range known().families {
		if (preset == f || strings.HasPrefix(preset, f+"-")) && len(f) > len(best) {
			best = f
		}
	}
	return best
}

// For is what the log of a client would have said for an outcome: one text or
// several possible ones, or a remark in parentheses where it says nothing. The
// client is a family or a pool preset's name. An outcome that no text of the
// client stands for gives none; but a close_notify is to a client, unless it has
// words for it, the end that a FIN is.
func For(client string, phase results.Phase, cause results.Cause, reused bool) []string {
	family, contrary := Family(client), "yes"
	if reused {
		contrary = "no"
	}
	var texts []string
	for _, w := range known().wordings {
		if w.Client == family && w.Reused != contrary && slices.Contains(w.Outcomes, Outcome{phase, cause}) && !slices.Contains(texts, w.Text) {
			texts = append(texts, w.Text)
		}
	}
	if len(texts) == 0 && cause == results.CauseCloseNotify {
		return For(client, phase, results.CauseFIN, reused)
	}
	return texts
}

func compile(data []byte) (library, error) {
	var d document
	if err := yaml.UnmarshalWithOptions(data, &d, yaml.Strict()); err != nil {
		return library{}, err
	}
	var l library
	var errs []error
	for name := range d.Clients {
		l.families = append(l.families, name)
	}
	slices.Sort(l.families)
	for i, e := range d.Wordings {
		w, err := e.compile(d)
		if err != nil {
			errs = append(errs, fmt.Errorf("wording %d, %s %q: %w", i+1, e.Client, e.Pattern+e.Silent, err))
			continue
		}
		l.wordings = append(l.wordings, w)
	}
	return l, errors.Join(errs...)
}

func (e entry) compile(d document) (Wording, error) {
	c, known := d.Clients[e.Client]
	if !known {
		return Wording{}, fmt.Errorf("the client is not in the list of clients")
	}
	m, known := d.Meanings[e.Meaning]
	if !known {
		return Wording{}, fmt.Errorf("there is no meaning %q", e.Meaning)
	}
	if (e.Pattern == "") == (e.Silent == "") {
		return Wording{}, fmt.Errorf("give a pattern, or why there is none (silent)")
	}
	if e.Source == "" {
		return Wording{}, fmt.Errorf("the source is missing")
	}
	w := Wording{
		Client: e.Client, ClientName: c.Name, Pattern: e.Pattern, Example: e.Example,
		Reused: first(e.Reused, "unknown"), Proves: join(first(e.Own.Proves, m.Proves), e.Note),
		DoesNotProve: first(e.Own.DoesNotProve, m.DoesNotProve), Check: first(e.Own.Check, m.Check),
		Incidents: m.Incidents, Source: e.Source, Versions: e.Versions, Silent: e.Silent != "",
		class: e.Class, classAlone: e.ClassAlone, exact: e.Exact, alone: e.Alone, values: e.Values,
	}
	if e.Own.Incidents != nil {
		w.Incidents = e.Own.Incidents
	}
	if !slices.Contains([]string{"yes", "no", "unknown"}, w.Reused) {
		return Wording{}, fmt.Errorf("reused is %q", w.Reused)
	}
	for _, text := range e.Outcomes {
		phase, cause, _ := strings.Cut(text, "/")
		var o Outcome
		if err := errors.Join(o.Phase.UnmarshalText([]byte(phase)), o.Cause.UnmarshalText([]byte(cause))); err != nil {
			return Wording{}, err
		}
		w.Outcomes = append(w.Outcomes, o)
	}
	if len(w.Outcomes) == 0 || w.Proves == "" || w.Check == "" {
		return Wording{}, fmt.Errorf("outcomes, proves and check are needed")
	}
	if w.Silent {
		w.Text = "(" + e.Silent + ")"
		return w, nil
	}
	var err error
	if w.parts, err = parsePattern(e.Pattern, e.Exact); err != nil {
		return Wording{}, err
	}
	for _, mark := range c.Marks {
		w.marks = append(w.marks, normalise(mark))
	}
	w.Text = display(e.Pattern)
	switch {
	case strings.HasSuffix(e.Class, ")"): // curl: (52)
		w.Text = e.Class + " " + w.Text
	case e.Class != "" && e.Class != e.Pattern:
		w.Text = e.Class + ": " + w.Text
	}
	if w.Example == "" {
		w.Example = w.Text
	}
	return w, nil
}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

func join(a, b string) string {
	return strings.TrimSpace(strings.TrimSpace(a) + " " + strings.TrimSpace(b))
}
