package target

import (
	"net/netip"
	"time"

	"github.com/kabench/kabench/internal/evidence/ladder"
	"github.com/kabench/kabench/internal/evidence/segments"
	"github.com/kabench/kabench/internal/lab/story"
	"github.com/kabench/kabench/results"
)

// Teller is a server or a proxy of kabench's own that the client connects to. Once it
// follows them, its story has the requests that it has read.
type Teller interface {
	Follow()
	Find(id string) []story.Found
	Reads(remote string) (n int, ok bool)
	Ending(remote string) (e story.Ending, at time.Time, ok bool)
}

// FillEnd adds to e, of a run that began at epoch, what a server of kabench's own tells about
// a connection that it closed first. It may be called during the run, from any goroutine.
func (t *Target) FillEnd(e *results.ConnectionEnd, epoch time.Time) {
	if e.By == results.EndUs || !e.Local.IsValid() {
		return
	}
	remote := e.Local.String()
	if t.link != nil {
		own, ok := t.link.Behind(remote)
		if !ok {
			return
		}
		remote = own
	}
	for _, server := range t.Tellers() {
		end, at, ok := server.Ending(remote)
		since := at.Sub(epoch)
		if !ok || end.First != story.ByServer || since < e.Opened || since > e.Closed {
			continue // it is another connection's, of the same port
		}
		e.Server, e.ServerAt = string(end.Why), since
		return
	}
}

// Tellers returns the servers of kabench's own that the client's connections end at; none
// if they end at somebody else's.
func (t *Target) Tellers() (list []Teller) {
	if len(t.proxies) > 0 {
		return []Teller{t.proxies[0]}
	}
	for _, s := range t.lab {
		list = append(list, s)
	}
	return list
}

// Lines are the packets on the client's side of a connection: those that a witness kept.
type Lines func(conn uint64) []segments.Segment

// Observed returns what the packets on the client's connections show of each of failures:
// of all that were kept, and of the first of each kind. Times of packets and stamps of
// failures are offsets from the same epoch. It is for a target without a private network.
func Observed(failures []results.Exchange, lines Lines) (kept, shown []results.Evidence) {
	kept = []results.Evidence{}
	kinds := map[results.Outcome]bool{}
	for _, e := range failures {
		local, err := netip.ParseAddrPort(e.Local)
		segments := lines(e.Conn)
		if err != nil || len(segments) == 0 {
			continue
		}
		var packets []ladder.Packet
		remote := netip.AddrPort{}
		for _, s := range segments {
			packets = append(packets, ladder.Packet{Segment: s, Arrived: s.At, From: "client", To: "server"})
			if remote = s.Dst; s.Src != local {
				remote = s.Src
				packets[len(packets)-1].From, packets[len(packets)-1].To = "server", "client"
			}
		}
		evidence := evidenceOf(&e, packets, local, remote, 0, true)
		kept = append(kept, evidence)
		kind := results.Outcome{Phase: e.Phase, Cause: e.Cause, Reused: e.Reused()}
		if !kinds[kind] && len(kinds) < failuresShown {
			kinds[kind] = true
			shown = append(shown, evidence)
		}
	}
	return kept, shown
}
