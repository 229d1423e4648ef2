package sandbox

import (
	"net/netip"
	"testing"

	"github.com/kabench/kabench/profiles/network"
)

// Ports are used again: a new SYN with another number is another connection, a
// retransmitted one is not.
func TestConnectionsAreToldApart(t *testing.T) {
	client, server := netip.MustParseAddrPort("10.77.0.1:40000"), netip.MustParseAddrPort("10.77.0.2:80")
	key := keyOf(1, 40000, 2, 80)
	all := connections{now: map[flowKey]*opened{}}
	add := func(from string, flags network.Flags, seq uint32) {
		p := Packet{From: from, Src: client, Dst: server, Proto: protoTCP, Flags: flags, Seq: seq}
		if from == "server" {
			p.Src, p.Dst = server, client
		}
		all.add(key, p)
	}
	add("client", network.ACK, 1) // of a connection whose SYN is no longer in the record
	add("client", network.SYN, 100)
	add("client", network.SYN, 100)
	add("server", network.SYN|network.ACK, 7)
	add("server", network.FIN|network.ACK, 8)
	add("client", network.RST, 101)
	add("client", network.SYN, 900)
	add("client", network.FIN|network.ACK, 901)
	add("client", network.SYN, 1700)
	got := all.list()
	want := []Closed{{By: ClosedByServer, How: ByFIN}, {By: ClosedByClient, How: ByFIN}, {}}
	if len(got) != len(want) {
		t.Fatalf("%+v", got)
	}
	for i, c := range got {
		if c.From != "client" || c.Client != client || c.Closed != want[i] {
			t.Errorf("connection %d: %+v, want %+v", i, c, want[i])
		}
	}
}
