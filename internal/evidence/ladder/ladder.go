package ladder

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/kabench/kabench/internal/evidence/segments"
)

// Packet is a packet as a link saw it.
type Packet struct {
	segments.Segment               // At is when it was sent; Number is its place in the order of sending
	Arrived          time.Duration // when the other end received it; 0: never
	From, To         string        // the hosts that sent and received it; "" where there is none
	ByLink           bool          // a rule or a machine on the link made it, in the name of one end
	Fate             string        // what happened to it; "": it was delivered
	By               string        // the rule, link or balancer that decided the fate or made the packet
}

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
	Flags      segments.Flags
	Seq, Ack   uint32 // relative to the first number of the side that sent it
	Len        int    // bytes of payload
	Fate       string // what happened to the packet; "": it was delivered
	By         string // the rule, link or balancer that decided the fate
}

// Of returns a connection as its client saw it: packets and notes in the order of
// time at the client. A packet that never reached the client has the time at which it
// was sent.
func Of(packets []Packet, client netip.AddrPort, notes []Note) []Row {
	var rows []Row
	var first [2]struct {
		known bool
		seq   uint32
	}
	for _, p := range inOrderOfSending(packets) {
		row := Row{
			At: p.At, Sent: p.At, FromClient: p.Src == client, ByLink: p.ByLink,
			Flags: p.Flags, Len: p.Len, Fate: p.Fate, By: p.By,
		}
		row.Host = p.To
		if !row.FromClient {
			row.Host = p.From
			if p.Fate == "" {
				row.At = p.Arrived
			}
		}
		mine, theirs := &first[0], &first[1]
		if !row.FromClient {
			mine, theirs = theirs, mine
		}
		if !mine.known && !row.ByLink { // a RST of the link may have any number
			mine.known, mine.seq = true, p.Seq
		}
		if p.Flags&segments.FlagACK != 0 && !theirs.known {
			theirs.known, theirs.seq = true, p.Ack-1
		}
		row.Seq = p.Seq - mine.seq
		if p.Flags&segments.FlagACK != 0 {
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
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Number, b.Number))
	})
}
