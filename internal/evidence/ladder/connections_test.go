package ladder

import (
	"net/netip"
	"testing"

	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/evidence/segments"
)

// Ports are used again: a new SYN with another number is another connection, a
// retransmitted one is not.
func TestConnectionsAreToldApart(t *testing.T) {
	client, server := netip.MustParseAddrPort("10.77.0.1:40000"), netip.MustParseAddrPort("10.77.0.2:80")
	between := [2]netip.AddrPort{client, server}
	var all Connections
	add := func(from string, flags segments.Flags, seq uint32) {
		p := Packet{From: from, Segment: segments.Segment{Src: client, Dst: server, Flags: flags, Seq: seq}}
		if from == "server" {
			p.Src, p.Dst = server, client
		}
		all.Add(between, p)
	}
	add("client", segments.FlagACK, 1) // of a connection whose SYN is no longer in the record
	add("client", segments.FlagSYN, 100)
	add("client", segments.FlagSYN, 100)
	add("server", segments.FlagSYN|segments.FlagACK, 7)
	add("server", segments.FlagFIN|segments.FlagACK, 8)
	add("client", segments.FlagRST, 101)
	add("client", segments.FlagSYN, 900)
	add("client", segments.FlagFIN|segments.FlagACK, 901)
	add("client", segments.FlagSYN, 1700)
	got := all.List()
	want := []Closed{{By: evidence.ByServer, How: evidence.FIN}, {By: evidence.ByClient, How: evidence.FIN}, {}}
	if len(got) != len(want) {
		t.Fatalf("%+v", got)
	}
	for i, c := range got {
		if c.From != "client" || c.Client != client || c.Closed != want[i] {
			t.Errorf("connection %d: %+v, want %+v", i, c, want[i])
		}
	}
}
