package page

import (
	"cmp"
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/kabench/kabench/results"
)

// The geometry of a race, in pixels.
const (
	raceWidth  = 860
	axisAt     = 96
	clientAt   = 420
	serverAt   = 660
	raceTop    = 50  // the first event
	oneWay     = 96  // the height of a packet's way
	lineHeight = 16  // of a label
	longest    = 220 // a silence that needs more is shortened
	pauseSpace = 56  // the height of a shortened silence
	longNote   = 40  // letters of a note that fit beside the client
	tickSpace  = 30  // between two ticks of the axis, at least
	mostTicks  = 200 // of a part of the axis; a moment that is too far from zero for exact steps has more
)

var raceColours = map[string]string{"data": "#0072b2", "ack": "#8b9299", "fin": "#d55e00", "rst": "#8f2d56"}

// plan gives each moment of a race its place. Between two breaks it is to scale.
type plan struct {
	perSecond float64 // pixels
	moments   []float64
	places    []float64
	breaks    []int // before moments[i] a silence is shortened
	end       float64
}

// plan makes the plan of r.
func (r race) plan() *plan {
	p := &plan{}
	way := r.unit
	for _, f := range r.packets {
		p.moments = append(p.moments, f.sent)
		if f.lost == "" {
			p.moments = append(p.moments, f.arrived)
		}
		if r.unit == 0 {
			way = max(way, f.arrived-f.sent)
		}
	}
	for _, n := range r.notes {
		p.moments = append(p.moments, n.at)
	}
	if way == 0 {
		way = 1e-3
	}
	p.perSecond = oneWay / way
	slices.Sort(p.moments)
	p.moments = slices.Compact(p.moments)
	y := float64(raceTop)
	for i, at := range p.moments {
		if i > 0 {
			space := (at - p.moments[i-1]) * p.perSecond
			if space > longest {
				p.breaks = append(p.breaks, i)
				space = pauseSpace
			}
			y += space
		}
		p.places = append(p.places, y)
	}
	p.end = y
	return p
}

// place is where a moment is.
func (p *plan) place(at float64) float64 {
	i, _ := slices.BinarySearch(p.moments, at)
	return p.places[min(i, len(p.places)-1)]
}

// label is a note as it is written: its lines, and where.
type label struct {
	note
	lines []string
	y     float64 // of its first line
}

// labels lays out the notes of one side: none is over another, and each is as near to its
// moment as that allows.
func (r race) labels(p *plan, atServer bool) []label {
	var list []label
	for _, n := range r.notes {
		if n.atServer != atServer {
			continue
		}
		l := label{note: n, lines: []string{n.text}, y: p.place(n.at)}
		if first, rest, found := strings.Cut(n.text, ": "); found && (atServer || len([]rune(n.text)) > longNote) {
			l.lines = []string{first + ":", rest}
		}
		list = append(list, l)
	}
	slices.SortStableFunc(list, func(a, b label) int { return cmp.Compare(a.at, b.at) })
	for i := range list {
		if i > 0 {
			before := &list[i-1]
			list[i].y = max(list[i].y, before.y+float64(len(before.lines))*lineHeight)
		}
	}
	return list
}

// svg draws the race. Every text in it is escaped.
func (r race) svg(label string) string {
	if len(r.packets)+len(r.notes) == 0 {
		r.notes = []note{{text: "no packet was kept"}}
	}
	p := r.plan()
	mine, theirs := r.labels(p, false), r.labels(p, true)
	end := p.end
	for _, f := range r.packets {
		_, _, _, y2 := f.ends(p)
		end = max(end, y2)
		if f.lost != "" {
			end = max(end, y2+lineHeight) // what happened to it is below
		}
	}
	for _, l := range slices.Concat(mine, theirs) {
		end = max(end, l.y+float64(len(l.lines)-1)*lineHeight)
	}
	end += 26
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %.0f" width="%d" height="%.0f" role="img" aria-label="%s" font-family="system-ui, sans-serif" font-size="12">`+"\n",
		raceWidth, end, raceWidth, end, escaped(label))
	fmt.Fprintf(&b, `<rect class="card" width="%d" height="%.0f" fill="#ffffff"/>`+"\n", raceWidth, end)
	for _, side := range []struct {
		x      int
		name   string
		unseen bool
	}{{clientAt, r.client, false}, {serverAt, r.server, r.unseen}} {
		dashes := ""
		if side.unseen {
			side.name += " (not seen)"
			dashes = ` stroke-dasharray="2 5"`
		}
		fmt.Fprintf(&b, `<line class="lane" x1="%d" y1="28" x2="%d" y2="%.0f" stroke="#5b636d" stroke-width="1.5"%s/>`+"\n", side.x, side.x, end-8, dashes)
		words(&b, float64(side.x), 20, "middle", `class="ink" fill="#1d2126" font-weight="600"`, side.name)
	}
	p.axis(&b, r.zero, r.axis)
	for _, i := range p.breaks {
		p.pause(&b, i)
	}
	for _, f := range r.packets {
		f.draw(&b, p)
	}
	r.crossing(&b, p)
	r.write(&b, p, mine, clientAt-12, "end")
	r.write(&b, p, theirs, serverAt+12, "start")
	b.WriteString("</svg>\n")
	return b.String()
}

func words(b *strings.Builder, x, y float64, anchor, attributes, s string) {
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="%s" %s>%s</text>`+"\n", x, y, anchor, attributes, escaped(s))
}

// escaped is s as a text of XML, which has no place for control characters: a page that
// finds one draws an error message in place of the picture.
func escaped(s string) string {
	return html.EscapeString(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0xfffe || r == 0xffff {
			return utf8.RuneError
		}
		return r
	}, s))
}

const soft = `class="soft" fill="#5b636d" font-size="11"`

// axis draws the axis of time at the left edge: round steps from zero, between the breaks.
func (p *plan) axis(b *strings.Builder, zero float64, axis string) {
	step := 1e-6
	for i := 0; step*p.perSecond < tickSpace; i++ {
		step *= [...]float64{2, 2.5, 2}[i%3] // 1, 2, 5, 10
	}
	parts := append(append([]int{0}, p.breaks...), len(p.moments))
	for k := range len(parts) - 1 {
		from, to := parts[k], parts[k+1]-1
		fmt.Fprintf(b, `<line class="lane" x1="%d" y1="%.1f" x2="%d" y2="%.1f" stroke="#5b636d"/>`+"\n", axisAt, p.places[from], axisAt, p.places[to])
		n, some := math.Ceil((p.moments[from]-zero)/step-1e-6), false
		for left := mostTicks; left > 0 && zero+n*step <= p.moments[to]+1e-9; n++ {
			some = true
			left--
			p.tick(b, p.places[from]+(zero+n*step-p.moments[from])*p.perSecond, fromZero(n*step, step))
		}
		if !some { // a part that is shorter than a step
			p.tick(b, p.places[from], fromZero(p.moments[from]-zero, 1e-6))
		}
	}
	words(b, 4, 20, "start", soft, axis)
}

func (p *plan) tick(b *strings.Builder, y float64, label string) {
	fmt.Fprintf(b, `<line class="lane" x1="%d" y1="%.1f" x2="%d" y2="%.1f" stroke="#5b636d"/>`+"\n", axisAt-4, y, axisAt, y)
	words(b, axisAt-8, y+4, "end", soft, label)
}

// fromZero is a time on the axis, as exact as the step needs: "-1.5 ms", "+200 µs".
func fromZero(t, step float64) string {
	us := math.Round(t * 1e6)
	sign := map[bool]string{true: "\u2212", false: "+"}[us < 0]
	switch a := math.Abs(us); {
	case us == 0:
		return "0"
	case math.Mod(a, 1000) == 0:
		return fmt.Sprintf("%s%.0f ms", sign, a/1000)
	case a < 10_000 && step < 1e-3:
		return fmt.Sprintf("%s%.0f µs", sign, a)
	case step < 1e-3:
		return fmt.Sprintf("%s%.3f ms", sign, a/1000)
	default:
		return fmt.Sprintf("%s%.4g ms", sign, a/1000)
	}
}

// pause draws the silence before moments[i], which is shorter in the picture than it was.
func (p *plan) pause(b *strings.Builder, i int) {
	from, to := p.places[i-1], p.places[i]
	for _, x := range []int{clientAt, serverAt} {
		fmt.Fprintf(b, `<line class="gap" x1="%d" y1="%.1f" x2="%d" y2="%.1f" stroke="#ffffff" stroke-width="2.5" stroke-dasharray="3 5"/>`+"\n", x, from+10, x, to-10)
	}
	words(b, (clientAt+serverAt)/2, (from+to)/2+4, "middle", `class="soft" fill="#5b636d"`, "… "+results.FormatSeconds(p.moments[i]-p.moments[i-1])+" …")
}

// ends returns where a packet begins and ends.
func (f flight) ends(p *plan) (x1, y1, x2, y2 float64) {
	x1, x2, y1 = clientAt, serverAt, p.place(f.sent)
	if !f.fromClient {
		x1, x2 = x2, x1
	}
	switch middle := (x1 + x2) / 2; {
	case f.lost != "":
		return x1, y1, middle, y1 + oneWay/2
	case f.byLink:
		return middle, y1, x2, p.place(f.arrived)
	case f.half && f.fromClient: // where it went is not known
		return x1, y1, middle, y1 + oneWay/4
	case f.half:
		y2 = p.place(f.arrived)
		return middle, y2 - oneWay/4, x2, y2
	}
	return x1, y1, x2, p.place(f.arrived)
}

// draw draws a packet, with its label near its sender.
func (f flight) draw(b *strings.Builder, p *plan) {
	x1, y1, x2, y2 := f.ends(p)
	colour, dashes := raceColours[f.kind], ""
	if f.inferred || f.half {
		dashes = ` stroke-dasharray="6 4"`
	}
	fmt.Fprintf(b, `<line class="%s" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s" stroke-width="2"%s/>`+"\n", f.kind, x1, y1, x2, y2, colour, dashes)
	switch {
	case f.lost != "":
		words(b, x2, y2+5, "middle", fmt.Sprintf(`class="%s" fill="%s" font-size="16" font-weight="700"`, f.kind, colour), "×")
		words(b, x2+10, y2+16, "start", fmt.Sprintf(`class="%s" fill="%s"`, f.kind, colour), f.lost)
	case f.half && f.fromClient:
		words(b, x2+10, y2+5, "start", fmt.Sprintf(`class="%s" fill="%s" font-weight="600"`, f.kind, colour), "?")
	default:
		head(b, x1, y1, x2, y2, f.kind)
	}
	x, anchor := x1+8, "start"
	if x2 < x1 {
		x, anchor = x1-8, "end"
	}
	words(b, x, y1-5, anchor, fmt.Sprintf(`class="%s" fill="%s" font-weight="600"`, f.kind, colour), f.label)
}

// head draws the head of an arrow that ends at x2, y2.
func head(b *strings.Builder, x1, y1, x2, y2 float64, kind string) {
	angle := math.Atan2(y2-y1, x2-x1)
	corner := func(turn float64) (float64, float64) {
		return x2 - 9*math.Cos(angle+turn), y2 - 9*math.Sin(angle+turn)
	}
	ax, ay := corner(0.4)
	bx, by := corner(-0.4)
	fmt.Fprintf(b, `<polygon class="%s" points="%.1f,%.1f %.1f,%.1f %.1f,%.1f" fill="%s"/>`+"\n", kind, x2, y2, ax, ay, bx, by, raceColours[kind])
}

// crossing marks where a request and the server's close cross.
func (r race) crossing(b *strings.Builder, p *plan) {
	for _, f := range r.packets {
		for _, g := range r.packets {
			if !f.fromClient || f.kind != "data" || g.fromClient || g.kind != "fin" && g.kind != "rst" || f.half || g.half || g.byLink || f.lost+g.lost != "" {
				continue
			}
			if f.sent >= g.arrived || g.sent >= f.arrived {
				continue
			}
			_, a1, _, a2 := f.ends(p)
			_, b1, _, b2 := g.ends(p)
			part := (b2 - a1) / (a2 - a1 + b2 - b1)
			x, y := clientAt+part*(serverAt-clientAt), a1+part*(a2-a1)
			fmt.Fprintf(b, `<circle class="bad-line" cx="%.1f" cy="%.1f" r="8" fill="none" stroke="#b0460a" stroke-width="1.5"/>`+"\n", x, y)
			words(b, x, y+24, "middle", `class="bad" fill="#b0460a" font-size="11"`, r.cross)
			return
		}
	}
}

// write writes the labels of one side, each with its exact time, and a line to its moment
// if it is not beside it.
func (r race) write(b *strings.Builder, p *plan, list []label, x float64, anchor string) {
	for _, l := range list {
		if y := p.place(l.at); l.y-y > 3 {
			lane := x + 12
			if anchor == "start" {
				lane = x - 12
			}
			fmt.Fprintf(b, `<line class="lane" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#5b636d" stroke-width="0.75"/>`+"\n", lane, y, x+(lane-x)/6, l.y)
		}
		colour := `class="ink" fill="#1d2126"`
		if l.bad {
			colour = `class="bad" fill="#b0460a" font-weight="600"`
		}
		for i, line := range l.lines {
			text := escaped(line)
			if i == len(l.lines)-1 {
				text += ` <tspan ` + soft + ` font-weight="400">` + fromZero(l.at-r.zero, 1e-6) + `</tspan>`
			}
			fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="%s" %s>%s</text>`+"\n", x, l.y+4+float64(i)*lineHeight, anchor, colour, text)
		}
	}
}
