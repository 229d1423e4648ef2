package foresee

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/internal/tune"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/text"
)

// tunedDocument is what --json prints.
type tunedDocument struct {
	Schema string   `json:"schema"`
	Name   string   `json:"name"`
	Goals  []string `json:"goals"`
	Cost   string   `json:"cost"`
	Axes   []string `json:"axes"`
	Tried  int      `json:"tried"`
	Exact  bool     `json:"exact"` // false: --most or a signal ended the search before the boundary was exact
	// Interrupted says that a signal ended the search or the real runs.
	Interrupted bool                    `json:"interrupted,omitempty"`
	Now         tunedChoice             `json:"now"`
	Cheapest    *tunedChoice            `json:"cheapest"`
	Safe        *tunedChoice            `json:"recommended"`
	Nearest     *tunedChoice            `json:"nearest,omitempty"` // if no choice meets the goals
	Knee        *tunedChoice            `json:"knee,omitempty"`
	Front       []tunedChoice           `json:"front"`
	Settings    []results.ClientSetting `json:"settings"`
	Proofs      []proof                 `json:"proofs"`
}

// tunedChoice is one choice of settings, and what its forecast came to.
type tunedChoice struct {
	Set  map[string]string `json:"set"`
	Met  bool              `json:"met"`
	Miss float64           `json:"miss"` // by how much the goals are missed
	Cost float64           `json:"cost"`
	P99  float64           `json:"response_p99"` // in seconds
}

func (t *tuned) document() tunedDocument {
	one := func(p *tune.Point) *tunedChoice {
		if p == nil {
			return nil
		}
		set := t.set(p.Values)
		return &tunedChoice{set, p.Met, p.Miss, p.Cost, t.slow[setText(set)]}
	}
	f := t.found
	d := tunedDocument{
		Schema: "kabench.tuned/v1", Name: t.profile.Name, Cost: t.o.cost, Axes: t.o.axes, Tried: len(f.Points), Exact: f.Whole, Interrupted: t.stopped,
		Now:      tunedChoice{map[string]string{}, t.now.outcome.Met, t.now.outcome.Miss, t.now.outcome.Cost, t.slow[""]},
		Cheapest: one(f.Cheapest), Safe: one(f.Safe), Nearest: one(f.Nearest), Knee: one(f.Knee), Front: []tunedChoice{}, Settings: []results.ClientSetting{}, Proofs: t.proofs,
	}
	for _, g := range t.o.goal {
		d.Goals = append(d.Goals, g.text)
	}
	for i := range f.Front {
		d.Front = append(d.Front, *one(&f.Front[i]))
	}
	if f.Safe != nil {
		d.Settings = append(d.Settings, t.profile.Spelled(t.set(f.Safe.Values))...)
	}
	return d
}

func (t *tuned) print(s *cli.Streams) error {
	d := t.document()
	if s.JSON {
		e := json.NewEncoder(s.Out)
		e.SetIndent("", "  ")
		return e.Encode(d)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s: %s at the least %s\n", d.Name, strings.Join(d.Goals, ", "), d.Cost)
	exact := ""
	switch {
	case t.stopped && len(t.proofs) == 0:
		exact = "; stopped before the end"
	case !d.Exact:
		exact = "; --most ended the search before the boundary was exact"
	}
	layout.Paragraph(&b, "", fmt.Sprintf("%s forecast, each with %s of traffic; nothing was sent for that%s", results.FormatCount(uint64(d.Tried), "choice"), text.LongTime(t.lasts.Seconds()), exact))
	fmt.Fprintln(&b)
	t.printChoices(&b, &d)
	switch {
	case d.Interrupted && d.Safe == nil: // what was found stands above, and is not the end of the search
	case d.Cheapest == nil:
		fmt.Fprintln(&b)
		layout.Paragraph(&b, "NO CHOICE MEETS THE GOAL  ", fmt.Sprintf("The nearest is %s. Widen the axes, vary something else, or relax the goal", setText(d.Nearest.Set)))
	default:
		fmt.Fprintln(&b)
		layout.Paragraph(&b, "Set ", setText(d.Safe.Set))
		text.Spelled(&b, d.Settings)
	}
	t.printProofs(&b)
	return layout.Print(s.Out, b.String(), 100)
}

func (t *tuned) printChoices(b *bytes.Buffer, d *tunedDocument) {
	rows := layout.Table(b)
	fmt.Fprint(rows, "\tgoal")
	for _, a := range t.o.axis {
		fmt.Fprintf(rows, "\t%s", a.Path)
	}
	fmt.Fprintf(rows, "\t%s\tresponse p99\n", d.Cost)
	row := func(name string, c *tunedChoice) {
		if c == nil {
			return
		}
		goal := "met"
		if !c.Met {
			goal = "missed by " + results.FormatThree(c.Miss)
		}
		fmt.Fprintf(rows, "%s\t%s", name, goal)
		for _, a := range t.o.axis {
			fmt.Fprintf(rows, "\t%s", valueOf(c.Set, a.Path))
		}
		fmt.Fprintf(rows, "\t%s\t%s\n", t.units[t.o.cost].Text(c.Cost), results.FormatSeconds(c.P99))
	}
	row("now", &d.Now)
	row("cheapest that meets the goal", d.Cheapest)
	row(fmt.Sprintf("recommended, %v %% away", t.o.margin), d.Safe)
	row("nearest to the goal", d.Nearest)
	row("knee", d.Knee)
	rows.Flush()
	if len(d.Front) < 2 {
		return
	}
	fmt.Fprintf(b, "\nLess cost only for more failures\n")
	rows = layout.Table(b)
	for i := range d.Front {
		c := &d.Front[i]
		fmt.Fprintf(rows, "  %s\tgoal missed by %s\t%s %s\n", setText(c.Set), results.FormatThree(c.Miss), d.Cost, results.FormatThree(c.Cost))
	}
	rows.Flush()
}

func (t *tuned) printProofs(b *bytes.Buffer) {
	if len(t.proofs) == 0 {
		return
	}
	fmt.Fprintf(b, "\nReal runs beside their forecast\n")
	rows := layout.Table(b)
	for _, p := range t.proofs {
		for _, f := range p.Figures {
			verdict := "as forecast"
			if !f.Agrees {
				verdict = "DISAGREES"
			}
			fmt.Fprintf(rows, "  %s\t%s\tseen %s\tforecast %s to %s\t%s\n", p.Name, f.Path, results.FormatThree(f.Seen), results.FormatThree(f.Least), results.FormatThree(f.Most), verdict)
		}
	}
	rows.Flush()
	for _, p := range t.proofs {
		fmt.Fprintf(b, "  %s: %s\n", p.Name, p.Dir)
		if len(p.Invalid) > 0 {
			layout.Paragraph(b, "  "+p.Name+": NOT JUDGED  ", "the run is invalid: "+strings.Join(p.Invalid, "; "))
		}
	}
}

// valueOf is the value of a path in a choice; "as it is" if the choice does not set it.
func valueOf(set map[string]string, path string) string {
	if v, found := set[path]; found {
		return v
	}
	return "as it is"
}

func setText(set map[string]string) string {
	var list []string
	for _, path := range sortedKeys(set) {
		list = append(list, path+" = "+set[path])
	}
	return strings.Join(list, ", ")
}

func sortedKeys(set map[string]string) []string { return slices.Sorted(maps.Keys(set)) }
