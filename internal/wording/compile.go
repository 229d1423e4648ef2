package wording

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/goccy/go-yaml"
)

// compile reads the files into one library.
func compile(files ...[]byte) (library, error) {
	d := document{Clients: map[string]client{}, Meanings: map[string]meaning{}}
	for _, data := range files {
		var one document
		if err := yaml.UnmarshalWithOptions(data, &one, yaml.Strict()); err != nil {
			return library{}, err
		}
		for name, c := range one.Clients {
			d.Clients[name] = c
		}
		for name, m := range one.Meanings {
			d.Meanings[name] = m
		}
		d.Wordings, d.Errnos = append(d.Wordings, one.Wordings...), append(d.Errnos, one.Errnos...)
	}
	l := library{clients: d.Clients}
	var errs []error
	for name, c := range d.Clients {
		l.families = append(l.families, name)
		for _, text := range c.Marks {
			m, err := newMark(text)
			errs = append(errs, err)
			c.marks = append(c.marks, m)
		}
		if _, ok := d.Clients[c.Extends]; !ok && c.Extends != "" {
			errs = append(errs, fmt.Errorf("%s extends %s, which is not in the list", name, c.Extends))
		}
		l.clients[name] = c
	}
	slices.Sort(l.families)
	var err error
	l.systems, err = compileFaults(d.Errnos, d.Meanings)
	errs = append(errs, err)
	for i, e := range d.Wordings {
		w, err := e.compile(d)
		if err != nil {
			errs = append(errs, fmt.Errorf("wording %d, %s %q: %w", i+1, e.Client, e.Pattern+e.Code+e.Silent, err))
			continue
		}
		w.bare = l.systems.bare(w.parts)
		l.wordings = append(l.wordings, w)
	}
	return l, errors.Join(errs...)
}

// bare reports whether a pattern has almost no words besides an errno's text.
func (s systems) bare(parts []part) bool {
	letters, had := 0, false
	for _, p := range parts {
		rest := p.literal
		for text := range s.known {
			rest = strings.ReplaceAll(rest, text, "")
		}
		had = had || rest != p.literal
		letters += strings.Count(strings.Map(func(r rune) rune {
			if unicode.IsLetter(r) {
				return 'x'
			}
			return -1
		}, rest), "x")
	}
	return had && letters < 8
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
	given := 0
	for _, text := range []string{e.Pattern, e.Code, e.Silent} {
		if text != "" {
			given++
		}
	}
	if given != 1 {
		return Wording{}, fmt.Errorf("give a pattern, or a code, or why there is none (silent)")
	}
	if e.Source == "" {
		return Wording{}, fmt.Errorf("the source is missing")
	}
	w := Wording{
		Client: e.Client, ClientName: c.Name, Pattern: e.Pattern, Example: e.Example,
		Reused: first(e.Reused, "unknown"), Proves: join(first(e.Own.Proves, m.Proves), e.Note),
		DoesNotProve: first(e.Own.DoesNotProve, m.DoesNotProve), Check: first(e.Own.Check, m.Check),
		Incidents: m.Incidents, advice: first(e.Own.Setting, m.Setting),
		Source: e.Source, Versions: e.Versions, Silent: e.Silent != "",
		class: newClass(e.Class), classAlone: e.ClassAlone, alone: e.Alone, wrapper: e.Wrapper, http2: e.HTTP2, code: e.Code, values: e.Values,
	}
	w.Setting = c.setting(w.advice)
	if e.Own.Incidents != nil {
		w.Incidents = e.Own.Incidents
	}
	if !slices.Contains([]string{"yes", "no", "unknown"}, w.Reused) {
		return Wording{}, fmt.Errorf("reused is %q", w.Reused)
	}
	var err error
	if w.Outcomes, err = parseOutcomes(e.Outcomes); err != nil {
		return Wording{}, err
	}
	if len(w.Outcomes) == 0 || w.Proves == "" || w.Check == "" {
		return Wording{}, fmt.Errorf("outcomes, proves and check are needed")
	}
	return w, w.setText(e)
}

// setText compiles the pattern and sets the text that is shown.
func (w *Wording) setText(e entry) error {
	var err error
	switch {
	case w.Silent:
		w.Text = "(" + e.Silent + ")"
		return nil
	case w.code != "":
		w.Text = codeNames[w.Client] + " " + strings.ReplaceAll(e.Code, "|", " or ")
	case strings.HasSuffix(e.Class, ")"): // curl: (52)
		w.Text = e.Class + " " + display(e.Pattern)
	case e.Class != "" && e.Class != e.Pattern:
		w.Text = e.Class + ": " + display(e.Pattern)
	default:
		w.Text = display(e.Pattern)
	}
	if w.code == "" {
		w.parts, err = parsePattern(e.Pattern)
	}
	w.Example = first(w.Example, w.Text)
	return err
}

// setting puts the client's own setting into a meaning's advice.
func (c client) setting(advice string) string {
	if c.NoIdle != "" && strings.Contains(advice, "{idle}") {
		return c.NoIdle
	}
	return strings.ReplaceAll(advice, "{idle}", first(c.Idle, "the client's idle timeout for connections"))
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
