package harness

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/kabench/kabench/profiles/network"

	"github.com/kabench/kabench/dialers"
	"github.com/kabench/kabench/internal/sandbox"
	"github.com/kabench/kabench/results"
)

const (
	failuresKept  = 20 // whose packets are written to evidence.json
	failuresShown = 3  // of different kinds, in run.json
	kindKept      = 8  // of one kind
	packetsBefore = 6  // of a connection, before it was leased
	rowsKept      = 30
	soonAfter     = time.Second // after the failure
)

// failures keeps the first failures that had a connection, a few of each kind.
type failures struct {
	mu   sync.Mutex
	kept []results.Exchange
	kind map[results.Outcome]int
}

func (f *failures) observe(e *results.Exchange) {
	if !e.Failed() || e.WarmUp || e.Local == "" {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	kind := results.Outcome{Phase: e.Phase, Cause: e.Cause, Reused: e.Reused()}
	if len(f.kept) == failuresKept || f.kind[kind] == kindKept {
		return
	}
	if f.kind == nil {
		f.kind = map[results.Outcome]int{}
	}
	f.kind[kind]++
	f.kept = append(f.kept, *e)
}

// seePackets closes the network, whose packets have all been sent, and puts
// what it saw into the document and the directory.
func (r *run) seePackets() {
	n := r.target.network
	if n == nil {
		return
	}
	// What the servers close when they are stopped is not the run's doing.
	all, until := n.Connections(), time.Since(n.Began())
	if err := r.target.close(); err != nil {
		r.doc.Invalid = append(r.doc.Invalid, fmt.Sprintf("the network did not last until the run was over: %v; what was sent after that arrived nowhere", err))
	}
	stats := n.Stats()
	r.doc.Packets = &results.Packets{
		Seen: stats.Packets, Overwritten: stats.Overwritten, Unseen: stats.Unseen, Forgotten: stats.Forgotten, Fates: stats.Fates, Struck: stats.Struck,
		LateP99: stats.LateP99.Seconds(), LateMax: stats.LateMax.Seconds(),
		Closed: closings(all),
	}
	if stats.Overwritten > 0 {
		r.warnf("the first %d packets are not kept, and how their connections ended is not known: raise network.record.packets", stats.Overwritten)
	}
	if stats.Unseen > 0 {
		r.warnf("%d packets were dropped because the network did not keep up: give this machine less else to do, or lower load.rate", stats.Unseen)
	}
	if stats.LateP99 > time.Millisecond {
		r.warnf("packets were delivered %v late at the 99th percentile, on top of the links' delay: give this machine less else to do, or lower load.rate", stats.LateP99)
	}
	kept := []results.Evidence{}
	shown := map[results.Outcome]bool{}
	for _, e := range r.failures.kept {
		evidence := r.evidence(n, &e, until)
		kept = append(kept, evidence)
		kind := results.Outcome{Phase: e.Phase, Cause: e.Cause, Reused: e.Reused()}
		if !shown[kind] && len(shown) < failuresShown {
			shown[kind] = true
			r.doc.Packets.Failures = append(r.doc.Packets.Failures, evidence)
		}
	}
	if r.writer == nil {
		return
	}
	n.Blank(r.target.secrets.Find)
	if err := r.writer.WritePackets(n.WritePcapng); err != nil {
		r.warnf("the packets are not kept: %v", err)
	}
	if err := r.writer.WriteEvidence(kept); err != nil {
		r.warnf("the packets of the failures are not kept: %v", err)
	}
}

// closings counts connections by how they ended.
func closings(all []sandbox.Connection) []results.Closing {
	counts := map[results.Closing]uint64{}
	for _, c := range all {
		counts[results.Closing{Opened: c.From, By: string(c.Closed.By), How: string(c.Closed.How)}]++
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

// evidence is what the packets sent until then show of a failure.
func (r *run) evidence(n *sandbox.Network, e *results.Exchange, until time.Duration) results.Evidence {
	began := r.epoch.Sub(n.Began()) // on the network's clock
	remote := r.target.remotes[0]
	local, err := netip.ParseAddrPort(e.Local)
	if err != nil {
		return results.Evidence{} // it was written by us: see dialers
	}
	packets := sameConnection(n.Connection(local, remote, 0), local, began+e.Leased)
	packets = slices.DeleteFunc(packets, func(p sandbox.Packet) bool { return p.At > until })
	closed := sandbox.ClosedBy(packets, local)
	out := results.Evidence{
		Seq: e.Seq, Conn: e.Conn, Use: e.Use, Phase: e.Phase, Cause: e.Cause,
		Client: e.Local, Server: remote.String(), By: string(closed.By), How: string(closed.How),
		Rows: []results.EvidenceRow{},
	}
	rows := sandbox.Ladder(packets, local, notes(e, began))
	leased := slices.IndexFunc(rows, func(row sandbox.Row) bool { return row.At >= began+e.Leased })
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

// sameConnection are those of packets that belong to the connection that was
// there at the moment at: ports are used again.
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

// notes are kabench's own stamps of an exchange.
func notes(e *results.Exchange, began time.Duration) []sandbox.Note {
	var list []sandbox.Note
	note := func(at time.Duration, format string, args ...any) {
		if at != results.Never {
			list = append(list, sandbox.Note{At: began + at, Text: fmt.Sprintf(format, args...)})
		}
	}
	if e.Reused() {
		note(e.Leased, "leased, idle %.3f s", e.Idle.Seconds())
	} else {
		note(e.Leased, "dialed")
	}
	note(e.Wrote, "wrote %d B", e.BytesOut)
	note(e.FirstByte, "read the first byte of the answer")
	note(e.Done, "%s: failed, %v/%v", saw(dialers.CauseOf(e.Err)), e.Phase, e.Cause)
	return list
}

// saw is what the client saw of a failure, in the words of its system calls: what
// the error behind its cause stands for. The cause itself may say less.
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

func evidenceRow(row sandbox.Row, began time.Duration) results.EvidenceRow {
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
	out.Host, out.Flags, out.Seq, out.Len, out.Who = row.Host, row.Flags.String(), row.Seq, row.Len, row.By
	if row.Fate != sandbox.FateDelivered {
		out.Fate = row.Fate.String()
	}
	return out
}
