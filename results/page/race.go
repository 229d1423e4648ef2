package page

import (
	"cmp"
	"fmt"
	"html"
	"math"
	"slices"
	"strings"

	"github.com/kabench/kabench/results"
)

// race is what the picture of a connection's last packets shows: time runs down, the
// client is on the left, the server on the right, and a packet is a slanted line,
// because it is on its way for some time. Times are in seconds.
type race struct {
	client, server string
	packets        []flight
	notes          []note
}

// flight is a packet on its way.
type flight struct {
	sent, arrived float64
	fromClient    bool
	byLink        bool   // a link or balancer made it
	kind          string // data, ack, fin or rst: its colour
	label         string
	lost          string // why it never arrived; "": it did
}

// note is an event at one side.
type note struct {
	at       float64
	atServer bool
	bad      bool
	text     string
}

// raceOf returns the picture of e. When a packet of the client arrived is not in the
// evidence, so it takes as long as the fastest packet of the server.
func raceOf(e results.Evidence) race {
	r := race{client: "client", server: "server"}
	way := math.Inf(1)
	for _, row := range e.Rows {
		if row.Sent != nil && row.From == "server" {
			way = min(way, row.At-*row.Sent)
		}
	}
	if math.IsInf(way, 1) {
		way = 0
	}
	for _, row := range e.Rows {
		if row.Note != "" {
			r.notes = append(r.notes, notesOf(row)...)
			continue
		}
		f := flight{sent: row.At, arrived: row.At + way, fromClient: row.From == "client", byLink: row.From == "link", lost: row.Fate}
		if row.To == "client" {
			f.arrived, f.sent = row.At, row.At-way
			if row.Sent != nil {
				f.sent = *row.Sent
			}
		}
		f.kind, f.label = packetLabel(row)
		r.packets = append(r.packets, f)
	}
	return r
}

// longNote is how many letters of a note fit beside the client.
const longNote = 44

// notesOf returns the note of a row, a long one as two lines.
func notesOf(row results.EvidenceRow) []note {
	bad := strings.Contains(row.Note, "failed")
	if first, rest, found := strings.Cut(row.Note, ": "); found && len(row.Note) > longNote {
		return []note{{at: row.At, text: first + ":", bad: bad}, {at: row.At, text: rest, bad: bad}}
	}
	return []note{{at: row.At, text: row.Note, bad: bad}}
}

// packetLabel returns the kind of a packet and its label.
func packetLabel(row results.EvidenceRow) (kind, label string) {
	bytes := ""
	if row.Len > 0 {
		bytes = fmt.Sprintf("%d B", row.Len)
	}
	with := func(flag string) string { return strings.TrimSuffix(flag+", "+bytes, ", ") }
	switch {
	case strings.Contains(row.Flags, "R"):
		return "rst", "RST"
	case strings.Contains(row.Flags, "F"):
		return "fin", with("FIN")
	case strings.Contains(row.Flags, "S"):
		return "ack", "SYN"
	case bytes != "":
		return "data", bytes
	}
	return "ack", "ACK"
}

// The geometry of a race, in pixels.
const (
	raceWidth  = 800
	clientAt   = 390
	serverAt   = 650
	raceTop    = 46 // the first event
	oneWay     = 56 // the height of a packet's way
	leastSpace = 17 // between two events at the same side
	pauseSpace = 54 // a long silence
)

var raceColours = map[string]string{"data": "#0072b2", "ack": "#8b9299", "fin": "#d55e00", "rst": "#8f2d56"}

// rows gives each moment of the race its place. Between two moments there are as many
// pixels as the time between them needs; a long silence is shortened, and is in pauses.
func (r race) rows() (place map[float64]float64, pauses [][2]float64, end float64) {
	var moments []float64
	way := 0.0
	for _, f := range r.packets {
		moments = append(moments, f.sent)
		if f.lost == "" {
			moments = append(moments, f.arrived)
		}
		way = max(way, f.arrived-f.sent)
	}
	events := map[float64]int{}
	for _, n := range r.notes {
		moments = append(moments, n.at)
		events[n.at]++
	}
	slices.Sort(moments)
	moments = slices.Compact(moments)
	place = map[float64]float64{}
	if way == 0 {
		way = 1e-3
	}
	y := float64(raceTop)
	for i, at := range moments {
		if i > 0 {
			gap := at - moments[i-1]
			space := gap / way * oneWay
			if space > 3*oneWay {
				pauses = append(pauses, [2]float64{moments[i-1], at})
				space = pauseSpace
			}
			y += max(space, leastSpace)
		}
		place[at] = y
		y += float64(max(events[at]-1, 0)) * leastSpace
	}
	return place, pauses, y + 26
}

// svg draws the race. Every text in it is escaped.
func (r race) svg(label string) string {
	place, pauses, end := r.rows()
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %.0f" width="%d" height="%.0f" role="img" aria-label="%s" font-family="system-ui, sans-serif" font-size="12">`+"\n",
		raceWidth, end, raceWidth, end, html.EscapeString(label))
	fmt.Fprintf(&b, `<rect class="card" width="%d" height="%.0f" fill="#ffffff"/>`+"\n", raceWidth, end)
	for _, side := range []struct {
		x    int
		name string
	}{{clientAt, r.client}, {serverAt, r.server}} {
		fmt.Fprintf(&b, `<line class="lane" x1="%d" y1="28" x2="%d" y2="%.0f" stroke="#5b636d" stroke-width="1.5"/>`+"\n", side.x, side.x, end-8)
		words(&b, float64(side.x), 20, "middle", `class="ink" fill="#1d2126" font-weight="600"`, side.name)
	}
	first := math.Inf(1)
	for at := range place {
		first = min(first, at)
	}
	for _, p := range pauses {
		r.pause(&b, place[p[0]], place[p[1]], p[1]-p[0])
	}
	for _, f := range r.packets {
		f.draw(&b, place)
	}
	r.drawNotes(&b, place)
	r.drawTimes(&b, place, first)
	b.WriteString("</svg>\n")
	return b.String()
}

func words(b *strings.Builder, x, y float64, anchor, attributes, s string) {
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="%s" %s>%s</text>`+"\n", x, y, anchor, attributes, html.EscapeString(s))
}

// pause draws a silence that is shorter in the picture than it was.
func (r race) pause(b *strings.Builder, from, to, length float64) {
	for _, x := range []int{clientAt, serverAt} {
		fmt.Fprintf(b, `<line class="gap" x1="%d" y1="%.1f" x2="%d" y2="%.1f" stroke="#ffffff" stroke-width="2.5" stroke-dasharray="3 5"/>`+"\n", x, from+10, x, to-10)
	}
	words(b, (clientAt+serverAt)/2, (from+to)/2+4, "middle", `class="soft" fill="#5b636d"`, "… "+results.FormatSeconds(length)+" …")
}

// draw draws a packet, with its label near its sender.
func (f flight) draw(b *strings.Builder, place map[float64]float64) {
	x1, x2 := float64(clientAt), float64(serverAt)
	if !f.fromClient {
		x1, x2 = x2, x1
	}
	if f.byLink {
		x1 = (x1 + x2) / 2
	}
	y1 := place[f.sent]
	y2 := y1 + oneWay
	if f.lost == "" {
		y2 = place[f.arrived]
	} else {
		x2, y2 = (x1+x2)/2, (y1+y2)/2
	}
	colour := raceColours[f.kind]
	fmt.Fprintf(b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s" stroke-width="2"/>`+"\n", x1, y1, x2, y2, colour)
	if f.lost == "" {
		head(b, x1, y1, x2, y2, colour)
	} else {
		words(b, x2, y2+5, "middle", fmt.Sprintf(`fill="%s" font-size="16" font-weight="700"`, colour), "×")
		words(b, x2+10, y2+16, "start", fmt.Sprintf(`fill="%s"`, colour), f.lost)
	}
	words(b, x1+0.2*(x2-x1), y1+0.2*(y2-y1)-8, "middle", fmt.Sprintf(`fill="%s" font-weight="600"`, colour), f.label)
}

// head draws the head of an arrow that ends at x2, y2.
func head(b *strings.Builder, x1, y1, x2, y2 float64, colour string) {
	angle := math.Atan2(y2-y1, x2-x1)
	corner := func(turn float64) (float64, float64) {
		return x2 - 9*math.Cos(angle+turn), y2 - 9*math.Sin(angle+turn)
	}
	ax, ay := corner(0.4)
	bx, by := corner(-0.4)
	fmt.Fprintf(b, `<polygon points="%.1f,%.1f %.1f,%.1f %.1f,%.1f" fill="%s"/>`+"\n", x2, y2, ax, ay, bx, by, colour)
}

// drawNotes writes the events beside the lanes; events of one moment are below one another.
func (r race) drawNotes(b *strings.Builder, place map[float64]float64) {
	nth := map[float64]int{}
	for _, n := range r.notes {
		y := place[n.at] + float64(nth[n.at]*leastSpace) + 4
		nth[n.at]++
		x, anchor := float64(clientAt-10), "end"
		if n.atServer {
			x, anchor = serverAt+10, "start"
		}
		colour := `class="ink" fill="#1d2126"`
		if n.bad {
			colour = `class="bad" fill="#b0460a" font-weight="600"`
		}
		words(b, x, y, anchor, colour, n.text)
	}
}

// drawTimes writes the client's times at the left edge, in ms since the first event,
// where there is room.
func (r race) drawTimes(b *strings.Builder, place map[float64]float64, first float64) {
	var mine []float64
	for _, f := range r.packets {
		if f.fromClient {
			mine = append(mine, f.sent)
		} else if f.lost == "" {
			mine = append(mine, f.arrived)
		}
	}
	for _, n := range r.notes {
		if !n.atServer {
			mine = append(mine, n.at)
		}
	}
	slices.SortFunc(mine, func(a, c float64) int { return cmp.Compare(place[a], place[c]) })
	last := math.Inf(-1)
	for _, at := range mine {
		if place[at]-last < 13 {
			continue
		}
		last = place[at]
		words(b, 70, last+4, "end", `class="soft" fill="#5b636d" font-size="11"`, fmt.Sprintf("%.1f ms", (at-first)*1000))
	}
}
