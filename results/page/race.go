package page

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/kabench/kabench/results"
)

// race is what the picture of a connection's last moments shows: time runs down, to scale,
// the client is on the left, the server on the right, and a packet is a slanted line,
// because it is on its way for some time. Times are in seconds.
type race struct {
	client, server string
	packets        []flight
	notes          []note
	zero           float64 // the moment from which times count
	unit           float64 // a length of time that is long enough to see; 0: the time of a packet's way
	unseen         bool    // what happened at the server is not known
	cross          string  // says that two packets cross
	axis           string  // says from when times count
}

// flight is a packet on its way.
type flight struct {
	sent, arrived float64
	fromClient    bool
	byLink        bool   // a link or balancer made it
	kind          string // data, ack, fin or rst: its colour
	label         string
	lost          string // why it never arrived; "": it did
	half          bool   // its moment at the server is not known
	inferred      bool   // its moment at the server is computed, and not seen
}

// note is an event at one side.
type note struct {
	at       float64
	atServer bool
	bad      bool
	text     string
}

// Words of a picture.
const (
	theyCross   = "they cross" // a request and the server's close met on the way
	fromRequest = "time from the request"
)

// shownBefore is how many packets before the request that failed are drawn; a list has all.
const shownBefore = 3

// requestOf is the index of the first packet of the last request in rows, which may have been
// sent again and again; of the first row if there is none.
func requestOf(rows []results.EvidenceRow) int {
	request, asking := 0, false
	for i, row := range rows {
		switch {
		case strings.HasPrefix(row.Note, "leased"), strings.HasPrefix(row.Note, "dialed"):
			asking = false // the client's stamp, if it has one
		case row.Len == 0 || row.Note != "":
		case row.From == "client" && !asking:
			request, asking = i, true
		case row.From == "server":
			asking = false
		}
	}
	return request
}

// raceOf returns the picture of e: its last request, and a little before that. When a packet of the client arrived is not in the
// evidence, so it takes as long as the fastest packet of the server. timer says that the
// server's idle timer is why it closed.
func raceOf(e results.Evidence, timer bool) race {
	r := race{client: "client", server: "server", cross: theyCross, axis: fromRequest}
	way := math.Inf(1)
	for _, row := range e.Rows {
		if row.Sent != nil && row.From == "server" {
			way = min(way, row.At-*row.Sent)
		}
	}
	if math.IsInf(way, 1) {
		way = 0
	}
	request, before := requestOf(e.Rows), 0
	first := request
	for ; first > 0 && before < shownBefore; first-- {
		if e.Rows[first-1].Note == "" {
			before++
		}
	}
	if len(e.Rows) > 0 {
		r.zero = e.Rows[request].At
	}
	for _, row := range r.shown(e.Rows[first:], request-first) {
		if row.Note != "" {
			r.notes = append(r.notes, note{at: row.At, text: row.Note, bad: strings.Contains(row.Note, "failed")})
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
	r.tell(timer)
	return r
}

// mostRows is how many packets and stamps of a failure are drawn.
const mostRows = 40

// shown returns the rows to draw, if there are too many those around the request and the
// last ones, and notes how many are left out.
func (r *race) shown(rows []results.EvidenceRow, request int) []results.EvidenceRow {
	left, from := len(rows)-mostRows, request+mostRows/4
	if left <= 0 || from+left > len(rows) {
		return rows[max(left, 0):]
	}
	r.notes = append(r.notes, note{at: rows[from].At, text: fmt.Sprintf("%d packets and stamps not drawn", left)})
	return slices.Concat(rows[:from], rows[from+left:])
}

// tell adds what the packets mean to a reader.
func (r *race) tell(timer bool) {
	closed, told := math.Inf(1), false
	for _, f := range r.packets {
		if f.kind == "fin" && !f.fromClient && !f.byLink && !f.half {
			closed = min(closed, f.sent)
		}
	}
	for _, f := range r.packets {
		switch {
		case f.fromClient && f.kind == "data" && f.lost == "" && !f.half && f.arrived > closed:
			text := "request arrives: too late"
			if f.inferred {
				text = "request would arrive: about here"
			}
			r.notes = append(r.notes, note{at: f.arrived, atServer: true, text: text})
		case f.fromClient || f.byLink || f.half:
		case f.kind == "rst":
			r.notes = append(r.notes, note{at: f.sent, atServer: true, text: "sends RST"})
		case f.kind == "fin" && !told:
			told = true
			text := "closes: FIN sent"
			if timer {
				text = "server\u2019s timer ran out: FIN sent"
			}
			r.notes = append(r.notes, note{at: f.sent, atServer: true, text: text})
		}
	}
}

// raceOfStamps returns the picture of a failure whose packets were not seen: what the client
// did has its stamps. What the server did is known only if it is kabench's own. end is how
// the connection ended; nil: that is not known. ok is false if nothing was sent.
func raceOfStamps(e *results.Exchange, end *results.ConnectionEnd) (r race, ok bool) {
	sent := e.Wrote
	if sent == results.Never {
		sent = e.WroteHeaders
	}
	if e.Conn == 0 || sent == results.Never || e.Done == results.Never {
		return r, false
	}
	r = race{client: "client", server: "server", cross: theyCross, axis: fromRequest, zero: sent.Seconds(), unit: max((e.Done-sent).Seconds()/2, 10e-6)}
	mine := func(at time.Duration, bad bool, format string, args ...any) {
		if at != results.Never {
			r.notes = append(r.notes, note{at: at.Seconds(), bad: bad, text: fmt.Sprintf(format, args...)})
		}
	}
	if e.Reused() {
		mine(e.Leased-e.Idle, false, "idle from here on")
		mine(e.Leased, false, "connection leased")
	} else {
		mine(e.Leased, false, "connection leased, new")
	}
	mine(sent, false, "request sent")
	mine(e.FirstByte, false, "first byte of the response read")
	request := flight{sent: sent.Seconds(), arrived: sent.Seconds() + r.unit, fromClient: true, kind: "data", label: fmt.Sprintf("request, %d B", e.BytesOut), half: true}
	kind, label := "", ""
	switch e.Cause {
	case results.CauseFIN, results.CauseTruncated:
		kind, label = "fin", "FIN"
	case results.CauseCloseNotify:
		kind, label = "fin", "close_notify"
	case results.CauseRST, results.CausePipe:
		kind, label = "rst", "RST"
	}
	last := flight{arrived: e.Done.Seconds(), sent: e.Done.Seconds() - r.unit, kind: kind, label: label, half: true}
	if end != nil && end.By != results.EndUs && end.Ended != results.Never && end.Ended <= e.Done {
		last.arrived = end.Ended.Seconds()
		last.sent = last.arrived - r.unit
		if end.ServerAt != results.Never && end.ServerAt < end.Ended {
			last.half, request.half, request.inferred = false, false, true
			last.sent = end.ServerAt.Seconds()
			request.arrived = request.sent + last.arrived - last.sent
			r.unit = 0
		}
	}
	r.unseen = request.half
	r.packets = append(r.packets, request)
	if kind != "" {
		r.packets = append(r.packets, last)
		label += " arrives: "
		if end != nil && e.Done.Seconds()-last.arrived > 100e-6 {
			mine(end.Ended, false, "%s arrives", last.label)
			label = ""
		}
	}
	mine(e.Done, true, "%sfailed, %v / %v", label, e.Phase, e.Cause)
	r.tell(end != nil && end.Server == "idle_timeout")
	return r, true
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
