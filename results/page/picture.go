package page

import (
	"fmt"
	"html"
	"slices"
	"strings"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/text"
)

// Picture shows the answer of a page at a glance. It is an SVG as wide as its place: its
// horizontal positions are shares of the width, so that its texts are as large on a telephone
// as on a wide screen. It has classes instead of colours, and needs no program.
type Picture struct {
	Title string `json:"title"`
	SVG   string `json:"svg"`
	Note  string `json:"note,omitempty"` // how to read it
}

// bar is a row of a picture: a value with its interval.
type bar struct {
	name, full string // short, and as it is elsewhere
	text       string // the value as printed
	count      string // the counts behind it; left out on narrow screens
	value      float64
	low, high  float64
	bounded    bool
	class      string // of its colour: good, bad or base; "": neither
	mark       string // after the value: "difference found"
}

// mostBars is the largest number of rows in a picture; more would not fit on the first screen.
const mostBars = 6

// The largest number of characters of a row's name: as many as fit on a telephone.
const (
	mostName  = 32
	aloneName = 42 // without a mark beside it
)

const withIntervals = "With 95\u00a0% intervals."

// rowOf is the height of a row in pixels: few rows are higher, so that they fill the picture.
func rowOf(rows int) int { return min(max(180/max(rows, 1), 46), 70) }

// track is the width of the bars, in percent; the rest has the values.
const track = 66

// widest is how far a picture goes beyond the largest value, as a multiple of it. An interval
// that is wider ends at the edge.
const widest = 2.5

// leastRate is the smallest end of a scale of rates if all are 0: their intervals are narrow.
const leastRate = 0.01

// bars draws rows with a common scale from 0. point draws a dot on a line instead of a bar.
func bars(rows []bar, unit results.Unit, point bool) string {
	top, reach := 0.0, 0.0
	for _, r := range rows {
		top, reach = max(top, r.value), max(reach, r.value)
		if r.bounded {
			reach = max(reach, r.high)
		}
	}
	if top > 0 {
		reach = min(reach, widest*top)
	}
	if top == 0 && unit == results.UnitRatio {
		reach = max(reach, leastRate)
	}
	if !(reach > 0) {
		reach = 1
	}
	x := func(v float64) float64 { return 100 * min(max(v/reach, 0), 1) }
	var b strings.Builder
	said := make([]string, len(rows))
	for i, r := range rows {
		said[i] = r.full + " " + r.text
	}
	row := rowOf(len(rows))
	thick := row - 30 // of a bar
	middle := 20 + thick/2
	open(&b, len(rows)*row+8, strings.Join(said, "; "))
	for i, r := range rows {
		y := i * row
		fmt.Fprintf(&b, `<g class="row %s"><title>%s</title><text class="name" x="0" y="%d">%s</text>`, r.class, html.EscapeString(said[i]), y+13, html.EscapeString(r.name))
		if r.mark != "" {
			fmt.Fprintf(&b, `<text class="mark" x="100%%" y="%d" text-anchor="end">%s</text>`, y+13, html.EscapeString(r.mark))
		}
		fmt.Fprintf(&b, `<text class="value" x="100%%" y="%d" text-anchor="end">%s`, y+middle+5, html.EscapeString(r.text))
		if r.count != "" {
			fmt.Fprintf(&b, `<tspan class="count"> (%s)</tspan>`, html.EscapeString(r.count))
		}
		fmt.Fprintf(&b, `</text><svg x="0" y="%d" width="%d%%" height="%d">`, y+20, track, thick)
		fmt.Fprintf(&b, `<rect class="track" width="100%%" height="%d" rx="2"/>`, thick)
		if !point {
			fmt.Fprintf(&b, `<rect class="bar" width="%.2f%%" height="%d" rx="2"/>`, x(r.value), thick)
		}
		if r.bounded {
			fmt.Fprintf(&b, `<line class="interval" x1="%.2f%%" x2="%.2f%%" y1="%d" y2="%d"/>`, x(r.low), x(r.high), thick/2, thick/2)
			for _, end := range []float64{r.low, r.high} {
				if end <= reach {
					fmt.Fprintf(&b, `<line class="interval" x1="%.2f%%" x2="%.2f%%" y1="%d" y2="%d"/>`, x(end), x(end), thick/2-5, thick/2+5)
				}
			}
		}
		if point {
			fmt.Fprintf(&b, `<circle class="dot" cx="%.2f%%" cy="%d" r="5"/>`, x(r.value), thick/2)
		}
		b.WriteString("</svg></g>\n")
	}
	end := (results.Measure{Unit: unit, Value: reach}).String()
	fmt.Fprintf(&b, `<text class="axis" x="0" y="%d">0</text><text class="axis" x="%d%%" y="%d" text-anchor="end">%s</text></svg>`, len(rows)*row+4, track, len(rows)*row+4, html.EscapeString(end))
	return b.String()
}

// open begins a picture of this height in pixels. label says what it shows, for those who
// cannot see it.
func open(b *strings.Builder, height int, label string) {
	fmt.Fprintf(b, `<svg width="100%%" height="%d" role="img" aria-label="%s">`+"\n", height, html.EscapeString(label))
}

// pictured is a run in a picture.
type pictured struct {
	name    string
	doc     *results.Run
	cleared bool // a remedy that cleared the incident
}

// pictureOfReproduction compares the incident with its remedies: by the rate of failures, or
// if the incident is about another figure, by that.
func pictureOfReproduction(r *results.Reproduction) *Picture {
	incident := r.IncidentRun
	if incident == nil || incident.Counts.Started == 0 {
		return nil
	}
	runs := []pictured{{"incident", incident, false}}
	failed := incident.Counts.Failed
	for _, remedy := range r.RemedyRuns {
		if remedy.Run != nil && remedy.Counts.Started > 0 {
			runs, failed = append(runs, pictured{remedy.Remedy, remedy.Run, remedy.Cleared}), failed+remedy.Counts.Failed
		}
	}
	left := len(runs) - mostBars
	runs = runs[:min(len(runs), mostBars)]
	p := &Picture{Title: "Requests that failed", Note: withIntervals}
	path := ""
	if failed == 0 {
		if path = text.ShiftedPath(r); path != "" {
			p.Title, p.Note = path, ""
		}
	}
	var rows []bar
	unit := results.UnitRatio
	for i, run := range runs {
		row := bar{name: clipped(run.name, aloneName), full: run.name}
		switch {
		case i == 0:
			row.class = "bad"
		case run.cleared:
			row.class = "good"
		}
		if path == "" {
			c := run.doc.Counts
			row.value, row.bounded = float64(c.Failed)/float64(c.Started), true
			row.low, row.high = results.Interval(c.Failed, c.Started, 0.95)
			row.text, row.count = results.FormatPercent(row.value), fmt.Sprintf("%d of %d", c.Failed, c.Started)
		} else {
			v, shown, known := text.ValueAt(run.doc, path)
			if !known {
				continue
			}
			row.value, row.text, unit = v.Value, shown, v.Unit
		}
		rows = append(rows, row)
	}
	if left > 0 {
		p.Note = strings.TrimSpace(fmt.Sprintf("%s %s below.", p.Note, moreRows(left, "remedy is", "remedies are")))
	}
	p.SVG = bars(rows, unit, false)
	return p
}

func moreRows(n int, one, many string) string {
	if n == 1 {
		return "1 more " + one
	}
	return fmt.Sprintf("%d more %s", n, many)
}

// clipped returns at most most characters of name.
func clipped(name string, most int) string {
	if r := []rune(name); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return name
}

// pictureOfComparison has the intervals of the measure in which the configurations differ,
// the first of the verdict's order in which a difference was found.
func pictureOfComparison(c *results.Comparison) *Picture {
	name := text.MainMeasure(c)
	if name == "" {
		return nil
	}
	names := text.ArmNames(c, mostName)
	unit := results.UnitCount
	var rows []bar
	left := 0
	for i, arm := range c.Arms {
		m, found := arm.Measures[name]
		if !found || !m.Known {
			continue
		}
		if len(rows) == mostBars {
			left++
			continue
		}
		unit = m.Unit
		row := bar{name: names[i], full: arm.Name, value: m.Value, low: m.Low, high: m.High, bounded: m.Bounded, text: m.String()}
		if i == 0 {
			row.class = "base"
			row.mark = "baseline"
		}
		if j := slices.IndexFunc(c.Pairs, func(p results.Pair) bool { return p.A == c.Arms[0].Name && p.B == arm.Name }); j >= 0 {
			k := slices.IndexFunc(c.Pairs[j].Tests, func(t results.Test) bool { return t.Measure == name && t.Differs })
			switch {
			case k < 0:
			case c.Pairs[j].Tests[k].Difference < 0:
				row.class, row.mark = "good", "better"
			default:
				row.class, row.mark = "bad", "worse"
			}
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		return nil
	}
	p := &Picture{Title: results.MeasureLabel(name), Note: fmt.Sprintf("With %.3g\u00a0%% intervals; less is better. “Better” and “worse” mark differences that were found; the others may be chance.", 100*c.Confidence), SVG: bars(rows, unit, true)}
	if left > 0 {
		p.Note += " " + moreRows(left, "configuration is", "configurations are") + " below."
	}
	return p
}
