package sandbox

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/kabench/kabench/profiles/network"
)

// Note is a line between the packets about what kabench did, such as "leased, idle
// 5.001 s".
type Note struct {
	At   time.Duration // since the network began
	Text string
}

// Row is one line of a ladder: a packet, or a note.
type Row struct {
	At   time.Duration // at the client: when it sent or received the packet, or when the note happened
	Sent time.Duration // when the packet entered the link; earlier than At if the client received it
	Note string        // the note; "" for a packet

	FromClient bool
	ByLink     bool   // sent by the link in the name of one end
	Host       string // the other end's host, which sent or received the packet; "" when none did
	Flags      network.Flags
	Seq, Ack   uint32 // relative to the first number of the side that sent it
	Len        int    // bytes of payload
	Fate       Fate
	By         string // the rule, link or balancer that decided the fate
}

// Ladder returns a connection as its client saw it: packets and notes in the order of
// time at the client. A packet that never reached the client has the time at which it
// was sent.
func Ladder(packets []Packet, client netip.AddrPort, notes []Note) []Row {
	var rows []Row
	var first [2]struct {
		known bool
		seq   uint32
	}
	for _, p := range inOrderOfSending(packets) {
		if p.Proto != protoTCP {
			continue
		}
		row := Row{
			At: p.At, Sent: p.At, FromClient: p.Src == client, ByLink: p.ByLink(),
			Flags: p.Flags, Len: p.Len, Fate: p.Fate, By: p.By,
		}
		row.Host = p.To
		if !row.FromClient {
			row.Host = p.From
			if p.Fate == FateDelivered {
				row.At = p.Left
			}
		}
		mine, theirs := &first[0], &first[1]
		if !row.FromClient {
			mine, theirs = theirs, mine
		}
		if !mine.known && !row.ByLink { // a RST of the link may have any number
			mine.known, mine.seq = true, p.Seq
		}
		if p.Flags&network.ACK != 0 && !theirs.known {
			theirs.known, theirs.seq = true, p.Ack-1
		}
		row.Seq = p.Seq - mine.seq
		if p.Flags&network.ACK != 0 {
			row.Ack = p.Ack - theirs.seq
		}
		rows = append(rows, row)
	}
	for _, n := range notes {
		rows = append(rows, Row{At: n.At, Sent: n.At, Note: n.Text})
	}
	slices.SortStableFunc(rows, func(a, b Row) int { return cmp.Compare(a.At, b.At) })
	return rows
}

func inOrderOfSending(packets []Packet) []Packet {
	return slices.SortedStableFunc(slices.Values(packets), func(a, b Packet) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.ID, b.ID))
	})
}

// String returns the row as a line, without a line end.
func (r Row) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%10.6f s  ", r.At.Seconds())
	if r.Note != "" {
		return b.String() + "· " + r.Note
	}
	from, arrow, to := "client", "→", cmp.Or(r.Host, "server")
	if !r.FromClient {
		arrow = "←"
	}
	if r.ByLink {
		if r.FromClient {
			from = "link"
		} else {
			to = "link"
		}
	}
	fmt.Fprintf(&b, "%-6s %s %-6s  %-3s %6d B", from, arrow, to, r.Flags, r.Len)
	if r.At != r.Sent {
		fmt.Fprintf(&b, "  sent %.6f s", r.Sent.Seconds())
	}
	if r.Fate != FateDelivered {
		fmt.Fprintf(&b, "  %s", r.Fate)
		if r.By != "" {
			fmt.Fprintf(&b, " (%s)", r.By)
		}
	} else if r.By != "" {
		fmt.Fprintf(&b, "  (%s)", r.By)
	}
	return b.String()
}

// Closer is who closed a connection first.
type Closer string

const (
	NotClosed      Closer = "" // neither FIN nor RST is in the record
	ClosedByClient Closer = "client"
	ClosedByServer Closer = "server"
	ClosedByLink   Closer = "link" // a rule or a middlebox
)

// Manner is how a connection was closed.
type Manner string

const (
	ByFIN   Manner = "fin"
	ByRST   Manner = "rst"
	ByAlert Manner = "alert" // a TLS alert and then FIN
)

// Closed is who closed a connection, how and when.
type Closed struct {
	By  Closer
	How Manner
	// At is when the first FIN or RST was sent, or the alert before it.
	At time.Duration
	// Arrived is when the other end received it; 0: never.
	Arrived time.Duration
	// Guessed means that the alert was encrypted (TLS 1.3), so that only its length
	// shows that it was one.
	Guessed bool
}

// ClosedBy finds out who closed the connection of these packets first: the side that
// sent the first FIN or RST, even if that was not received. client is the end that
// opened the connection. The manner is ByAlert if the last record before the FIN was an
// alert.
func ClosedBy(packets []Packet, client netip.AddrPort) Closed {
	c := closing{client: client}
	for _, p := range inOrderOfSending(packets) {
		c.add(p)
	}
	return c.closed
}

// closing finds out who closed a connection. It is given the packets in the order in
// which they were sent.
type closing struct {
	client netip.AddrPort
	last   [2]Packet // the last packet with payload of each side
	data   [2]bool
	closed Closed
}

func (c *closing) add(p Packet) {
	if p.Proto != protoTCP || c.closed.By != NotClosed {
		return
	}
	side, by := 0, ClosedByClient
	if p.Src != c.client {
		side, by = 1, ClosedByServer
	}
	if p.ByLink() {
		by = ClosedByLink
	}
	if p.Len > 0 {
		c.last[side], c.data[side] = p, true
	}
	switch {
	case p.Flags&network.RST != 0:
		c.closed = Closed{By: by, How: ByRST, At: p.At, Arrived: p.Left}
		return
	case p.Flags&network.FIN == 0:
		return
	}
	if c.data[side] {
		last := c.last[side]
		if alert, guessed := endsWithAlert(last.Payload, last.Len); alert {
			c.closed = Closed{By: by, How: ByAlert, At: last.At, Arrived: last.Left, Guessed: guessed}
			return
		}
	}
	c.closed = Closed{By: by, How: ByFIN, At: p.At, Arrived: p.Left}
}

// TLS record types and lengths (RFC 8446 §5.1, §5.2).
const (
	recordChangeCipher = 20
	recordAlert        = 21
	recordHandshake    = 22
	recordData         = 23
	recordHeader       = 5
	// A TLS 1.3 alert looks like data: two bytes, the type byte, and a tag of 16.
	// Data of two bytes would look the same, but does not occur as the last record
	// before a FIN.
	sealedAlert = 19
)

// endsWithAlert reports whether the last TLS record in a segment is an alert, and
// whether that was guessed from its length. length is the segment's length in bytes,
// payload its captured beginning; the segment must begin with a record.
func endsWithAlert(payload []byte, length int) (alert, guessed bool) {
	for at := 0; at < length; {
		if at+recordHeader > len(payload) {
			return false, false // not captured
		}
		kind := payload[at]
		if kind < recordChangeCipher || kind > recordData || payload[at+1] != 3 {
			return false, false // no record
		}
		size := int(payload[at+3])<<8 | int(payload[at+4])
		alert = kind == recordAlert || kind == recordData && size == sealedAlert
		guessed = alert && kind == recordData
		at += recordHeader + size
		if at > length {
			return false, false // the record continues in the next segment, so it is no alert
		}
	}
	return alert, guessed
}
