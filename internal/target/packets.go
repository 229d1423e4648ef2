package target

import (
	"cmp"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/kabench/kabench/profiles/network"

	"github.com/kabench/kabench/dialers"
	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/evidence/ladder"
	"github.com/kabench/kabench/internal/evidence/segments"
	"github.com/kabench/kabench/internal/sandbox"
	"github.com/kabench/kabench/results"
)

const (
	failuresShown = 3 // of different kinds, in run.json
	packetsBefore = 6 // of a connection, before it was leased
	rowsKept      = 30
	soonAfter     = time.Second // after the failure
	protocolTCP   = 6
)

// Packets closes the network, when all of its packets have been sent, and returns what
// it saw, and for each of failures what the packets of its connection show. Stamps of
// failures are offsets from epoch. The error says that the network was broken
// before.
func (t *Target) Packets(failures []results.Exchange, epoch time.Time) (*results.Packets, []results.Evidence, error) {
	n := t.network
	// What the servers close when they are stopped must not count.
	var all ladder.Connections
	n.Packets(func(between [2]netip.AddrPort, p sandbox.Packet) { all.Add(between, observed(p)) })
	until := time.Since(n.Began())
	err := t.Close()
	stats := n.Stats()
	seen := &results.Packets{
		Seen: stats.Packets, Overwritten: stats.Overwritten, Unseen: stats.Unseen, Forgotten: stats.Forgotten, Fates: stats.Fates, Struck: stats.Struck,
		NATPorts: budget(stats.Ports, epoch.Sub(n.Began())), Flows: budget(stats.Flows, epoch.Sub(n.Began())),
		LateP99: stats.LateP99.Seconds(), LateMax: stats.LateMax.Seconds(),
		Closed: closings(all.List()),
	}
	kept := []results.Evidence{}
	shown := map[results.Outcome]bool{}
	for _, e := range failures {
		evidence := t.evidence(&e, epoch.Sub(n.Began()), until)
		kept = append(kept, evidence)
		kind := results.Outcome{Phase: e.Phase, Cause: e.Cause, Reused: e.Reused()}
		if !shown[kind] && len(shown) < failuresShown {
			shown[kind] = true
			seen.Failures = append(seen.Failures, evidence)
		}
	}
	return seen, kept, err
}

// budget is what the network counted, for run.json. began is the run's start on the
// network's clock.
func budget(b sandbox.Budget, began time.Duration) results.Budget {
	out := results.Budget{Peak: b.Peak, Dropped: b.Dropped}
	if b.Dropped > 0 {
		out.First = (b.First - began).Seconds()
	}
	return out
}

// WritePackets writes the packets of the network, which is closed, without the secrets
// of the requests.
func (t *Target) WritePackets(w io.Writer) error {
	t.network.Blank(t.Secrets.Find)
	return t.network.WritePcapng(w)
}

// observed is a packet of the private network for those who judge packets.
func observed(p sandbox.Packet) ladder.Packet {
	out := ladder.Packet{
		Segment: segments.Segment{
			At: p.At, Number: int64(p.ID), Src: p.Src, Dst: p.Dst, Flags: segments.Flags(p.Flags),
			Seq: p.Seq, Ack: p.Ack, Len: p.Len, Payload: p.Payload,
		},
		Arrived: p.Left, From: p.From, To: p.To, ByLink: p.ByLink(), By: p.By,
	}
	if p.Fate != sandbox.FateDelivered {
		out.Fate = p.Fate.String()
	}
	return out
}

// closers and manners are the words of run.json for who closed a connection, and how.
var (
	closers = map[evidence.Side]string{evidence.ByClient: "client", evidence.ByServer: "server", evidence.ByMiddle: "link"}
	manners = map[evidence.Kind]string{evidence.FIN: "fin", evidence.RST: "rst", evidence.Notify: "alert"}
)

// closings counts connections by how they ended.
func closings(all []ladder.Connection) []results.Closing {
	counts := map[results.Closing]uint64{}
	for _, c := range all {
		counts[results.Closing{Opened: c.From, By: closers[c.Closed.By], How: manners[c.Closed.How]}]++
	}
	list := []results.Closing{}
	for c, n := range counts {
		c.Count = n
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b results.Closing) int {
		return cmp.Or(cmp.Compare(a.Opened, b.Opened), cmp.Compare(b.Count, a.Count), cmp.Compare(a.By, b.By), cmp.Compare(a.How, b.How))
	})
	return list
}

// evidence is what the packets that were sent up to until show of a failure. began is
// the run's start on the network's clock.
func (t *Target) evidence(e *results.Exchange, began, until time.Duration) results.Evidence {
	remote := t.Remotes[0]
	local, err := netip.ParseAddrPort(e.Local)
	if err != nil {
		return results.Evidence{} // does not happen: dialers wrote it
	}
	var packets []ladder.Packet
	for _, p := range sameConnection(t.network.Connection(local, remote, 0), local, began+e.Leased) {
		if p.Proto == protocolTCP && p.At <= until {
			packets = append(packets, observed(p))
		}
	}
	return evidenceOf(e, packets, local, remote, began, t.real)
}

// evidenceOf is what the packets of its connection show of a failure.
func evidenceOf(e *results.Exchange, packets []ladder.Packet, local, remote netip.AddrPort, began time.Duration, real bool) results.Evidence {
	closed := ladder.ClosedBy(packets, local)
	out := results.Evidence{
		Seq: e.Seq, Conn: e.Conn, Use: e.Use, Phase: e.Phase, Cause: e.Cause,
		Client: e.Local, Server: remote.String(), By: closers[closed.By], How: manners[closed.How],
		Rows: []results.EvidenceRow{},
	}
	rows := ladder.Of(packets, local, notes(e, began, real))
	leased := slices.IndexFunc(rows, func(row ladder.Row) bool { return row.At >= began+e.Leased })
	done := 0
	for i, row := range rows {
		if row.At <= began+e.Done || i == done && row.Sent <= began+e.Done+soonAfter {
			done = i + 1
		}
	}
	from := max(leased-packetsBefore, 0)
	rows = rows[from:min(done, len(rows))]
	if len(rows) > rowsKept {
		from += len(rows) - rowsKept
		rows = rows[len(rows)-rowsKept:]
	}
	out.Earlier = from
	for _, row := range rows {
		out.Rows = append(out.Rows, evidenceRow(row, began))
	}
	return out
}

// sameConnection returns the packets of the connection that existed at the moment at:
// another connection may use the same ports.
func sameConnection(packets []sandbox.Packet, client netip.AddrPort, at time.Duration) []sandbox.Packet {
	first, last := 0, len(packets)
	var seq uint32
	for i, p := range packets {
		if p.Flags&(network.SYN|network.ACK) != network.SYN || p.Src != client || i > 0 && p.Seq == seq {
			continue
		}
		seq = p.Seq
		if p.At <= at {
			first = i
		} else if i > first {
			last = i
			break
		}
	}
	return packets[first:last]
}

// notes returns kabench's own stamps of an exchange. Those of a real client are taken from
// the packets; what it said at the end is its own.
func notes(e *results.Exchange, began time.Duration, real bool) []ladder.Note {
	var list []ladder.Note
	note := func(at time.Duration, format string, args ...any) {
		if at != results.Never {
			list = append(list, ladder.Note{At: began + at, Text: fmt.Sprintf(format, args...)})
		}
	}
	if e.Reused() {
		note(e.Leased, "leased, idle %.3f s", e.Idle.Seconds())
	} else {
		note(e.Leased, "dialed")
	}
	if real {
		note(e.Done, "the client: %s", strings.Join(strings.Fields(fmt.Sprint(e.Err)), " "))
		return list
	}
	note(e.Wrote, "wrote %d B", e.BytesOut)
	note(e.FirstByte, "read the first byte of the answer")
	note(e.Done, "%s: failed, %v/%v", saw(dialers.CauseOf(e.Err)), e.Phase, e.Cause)
	return list
}

// saw names what the client saw of a failure, in the words of its system calls. The cause
// itself may say less.
func saw(c results.Cause) string {
	switch c {
	case results.CauseFIN:
		return "read EOF"
	case results.CauseRST:
		return "got ECONNRESET"
	case results.CausePipe:
		return "got EPIPE"
	case results.CauseCloseNotify:
		return "read close_notify"
	case results.CauseTimeout:
		return "waited no longer"
	}
	return "gave up"
}

func evidenceRow(row ladder.Row, began time.Duration) results.EvidenceRow {
	out := results.EvidenceRow{At: (row.At - began).Seconds(), Note: row.Note}
	if row.Note != "" {
		return out
	}
	out.From, out.To = "client", "server"
	if !row.FromClient {
		out.From, out.To = out.To, out.From
	}
	if row.ByLink {
		out.From = "link"
	}
	if row.Sent != row.At {
		sent := (row.Sent - began).Seconds()
		out.Sent = &sent
	}
	out.Host, out.Flags, out.Seq, out.Len, out.Fate, out.Who = row.Host, row.Flags.String(), row.Seq, row.Len, row.Fate, row.By
	return out
}
