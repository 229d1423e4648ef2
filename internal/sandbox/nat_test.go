package sandbox

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/kabench/kabench/profiles/network"
)

const (
	fSYN, fSYNACK = network.SYN, network.SYN | network.ACK
	fACK, fFIN    = network.ACK, network.FIN | network.ACK
)

// behindNAT is a client and a server, with a NAT between them at 10.77.0.3.
func behindNAT(n network.NAT) network.Config {
	n.Name = "nat"
	return network.Config{Hosts: []network.Host{{Name: "server"}}, NATs: []network.NAT{n}}
}

// open sends the SYN of a client's port and returns the port at which the server sees it;
// 0: it did not arrive.
func (w *wireTest) open(port uint16) uint16 {
	w.t.Helper()
	w.send("client", "server", port, 80, fSYN, 100, 0, 0)
	for _, d := range w.pass(0) {
		if d.node != "server" || d.h.flags != fSYN || d.h.dport != 80 || d.h.src != number("10.77.0.3") {
			w.t.Errorf("the SYN of port %d arrived as %+v", port, d)
		}
		return d.h.sport
	}
	return 0
}

// close ends a connection that was opened, the client first, and reports whether both ends
// heard all of it.
func (w *wireTest) close(port, outside uint16) bool {
	w.t.Helper()
	w.send("server", "10.77.0.3", 80, outside, fSYNACK, 200, 101, 0)
	w.send("client", "server", port, 80, fFIN, 101, 201, 0)
	w.send("server", "10.77.0.3", 80, outside, fFIN, 201, 102, 0)
	w.send("client", "server", port, 80, fACK, 102, 202, 0)
	var heard []string
	for _, d := range w.pass(0) {
		if d.node == "client" && (d.h.src != number("10.77.0.2") || d.h.dport != port) || d.node == "server" && d.h.sport != outside {
			w.t.Errorf("arrived at %s: %+v", d.node, d.h)
		}
		heard = append(heard, d.node)
	}
	return slices.Equal(heard, []string{"client", "server", "client", "server"})
}

// Events are for rules and balancers; a NAT beside them waits for none.
func TestEventBesideANAT(t *testing.T) {
	cfg := clientServer(network.Link{})
	cfg.NATs = []network.NAT{{Name: "nat", Ports: 1}}
	cfg.Links[0].Between = [2]string{"nat", "server"}
	cfg.Links[0].Rules = []network.Rule{{After: "cut", Do: network.ActionDrop}}
	w := newWireTest(t, cfg)
	if !w.event("cut") || w.event("another") {
		t.Error("the rule waits for cut alone")
	}
}

func TestNATGivesItsOwnAddressAndPortsAndTakesThemBack(t *testing.T) {
	w := newWireTest(t, behindNAT(network.NAT{Ports: 2, Reuse: 10 * time.Second}))
	first, second := w.open(5000), w.open(6000)
	if first == 0 || second == 0 || first == second || w.open(7000) != 0 {
		t.Fatalf("ports %d and %d, of two", first, second)
	}
	if again := w.open(5000); again != first {
		t.Errorf("a SYN that is sent again comes from port %d, not %d", again, first)
	}
	if !w.close(5000, first) {
		t.Error("the connection did not end")
	}
	w.pass(10*time.Second - 1)
	if got := w.open(7000); got != 0 {
		t.Errorf("port %d is given before its time", got)
	}
	w.pass(1)
	if got := w.open(7000); got != first {
		t.Errorf("port %d, want %d again", got, first)
	}
	n := w.nats[0]
	if want := (budget{peak: 2, dropped: 2}); n.room != want {
		t.Errorf("counted %+v, want %+v", n.room, want)
	}
	if fates := w.rec.fates; fates[FateNoPort] != 2 || fates[FateDelivered] != 8 {
		t.Errorf("fates %v", fates)
	}
	// The record finds both directions under the addresses that the client knows.
	key := keyOf(number("10.77.0.1"), 5000, number("10.77.0.2"), 80)
	if packets := w.rec.connection(key, 0); len(packets) != 6 || packets[2].SeenDst.Port() != 5000 || packets[0].SeenSrc.Port() != first {
		t.Errorf("%+v", packets)
	}
}

func TestNATPortsAreCountedPerDestinationOrClient(t *testing.T) {
	for per, want := range map[network.PortsPer][]Fate{
		// Two of client a, then b, then a to another destination.
		network.PortsPerDestination: {FateDelivered, FateNoPort, FateNoPort, FateDelivered},
		network.PortsPerClient:      {FateDelivered, FateNoPort, FateDelivered, FateDelivered},
	} {
		w := newWireTest(t, network.Config{
			Hosts: []network.Host{{Name: "a"}, {Name: "b"}, {Name: "server"}},
			NATs:  []network.NAT{{Name: "nat", Clients: []string{"a", "b"}, Ports: 1, PortsPer: per}},
		})
		w.send("a", "server", 1, 80, fSYN, 1, 0, 0)
		w.send("a", "server", 2, 80, fSYN, 1, 0, 0)
		w.send("b", "server", 1, 80, fSYN, 1, 0, 0)
		w.send("a", "server", 1, 81, fSYN, 1, 0, 0)
		if got := w.fates(); !slices.Equal(got, want) {
			t.Errorf("%v: %v, want %v", per, got, want)
		}
	}
	w := newWireTest(t, behindNAT(network.NAT{Ports: 1, Addresses: 3}))
	for port := range uint16(4) {
		w.send("client", "server", port, 80, fSYN, 1, 0, 0)
	}
	if got, want := w.fates(), []Fate{FateDelivered, FateDelivered, FateDelivered, FateNoPort}; !slices.Equal(got, want) {
		t.Errorf("three addresses: %v, want %v", got, want)
	}
}

func TestNATForgetsIdleConnections(t *testing.T) {
	const idle = 10 * time.Second
	for _, c := range []struct {
		name string
		cfg  network.NAT
		wait time.Duration
		fate Fate // of the client's data after the wait
		rsts int  // made by the NAT, in all
	}{
		{"before its time it passes", network.NAT{Idle: idle, Unknown: network.UnknownDrop}, idle - 1, FateDelivered, 0},
		{"then it is dropped", network.NAT{Idle: idle, Unknown: network.UnknownDrop}, idle, FateForgotten, 0},
		{"or reset", network.NAT{Idle: idle, Unknown: network.UnknownRST}, idle, FateAnswered, 1},
		{"or given another port", network.NAT{Idle: idle}, idle, FateDelivered, 0},
		{"or both ends hear of it", network.NAT{Idle: idle, Unknown: network.UnknownDrop, AtExpiry: network.ExpiryRST}, idle, FateForgotten, 2},
	} {
		c.cfg.Ports = 2
		w := newWireTest(t, behindNAT(c.cfg))
		outside := w.open(5000)
		w.send("server", "10.77.0.3", 80, outside, fSYNACK, 200, 101, 0)
		w.pass(c.wait)
		w.send("client", "server", 5000, 80, network.PSH|fACK, 101, 201, 10)
		seen := w.pass(time.Second)
		rsts := 0
		var fate Fate
		for id := uint64(1); id <= w.rec.count; id++ {
			switch p := w.rec.packet(id); {
			case !p.ByLink():
				fate = p.Fate
			case p.Seq != 101 && p.Seq != 201:
				t.Errorf("%s: RST at number %d, which nobody expects", c.name, p.Seq)
			default:
				rsts++
			}
		}
		if fate != c.fate || rsts != c.rsts {
			t.Errorf("%s: %v and %d RSTs, want %v and %d", c.name, fate, rsts, c.fate, c.rsts)
		}
		if c.name == "or given another port" && (len(seen) != 1 || seen[0].h.sport == outside) {
			t.Errorf("%s: %+v", c.name, seen)
		}
	}
}

// To a SYN belongs a SYN or a RST. What else comes is of an older connection of the port,
// whose TIME_WAIT acknowledges it once more.
func TestNATPassesOnlyAnAnswerToASYN(t *testing.T) {
	for unknown, want := range map[network.Unknown]Fate{network.UnknownDrop: FateForgotten, network.UnknownPass: FateDelivered, network.UnknownRST: FateAnswered} {
		w := newWireTest(t, behindNAT(network.NAT{Ports: 1, Unknown: unknown}))
		outside := w.open(5000)
		w.send("server", "10.77.0.3", 80, outside, fACK, 900, 800, 0)
		if got := w.rec.packet(2).Fate; got != want {
			t.Errorf("%v: the ACK: %v, want %v", unknown, got, want)
		}
		for _, d := range w.pass(0) {
			if passed := unknown == network.UnknownPass; passed && d.node != "client" || !passed && (d.node != "server" || d.h.flags != network.RST || d.h.seq != 800) {
				t.Errorf("%v: arrived at %s: %+v", unknown, d.node, d.h)
			}
		}
		w.send("server", "10.77.0.3", 80, outside, fSYNACK, 200, 101, 0)
		w.send("server", "10.77.0.3", 80, outside, fACK, 201, 101, 0)
		if seen := w.pass(0); len(seen) != 2 {
			t.Errorf("%v: %d packets after the answer, want 2", unknown, len(seen))
		}
		for _, p := range w.rec.connection(keyOf(number("10.77.0.1"), 5000, number("10.77.0.2"), 80), 0) {
			if p.Flags&network.RST != 0 {
				t.Errorf("%v: the RST to the older connection stands in the younger one", unknown)
			}
		}
	}
}

func TestNATStandsBeforeABalancer(t *testing.T) {
	cfg := balanced(network.Balancer{Choose: network.RoundRobin, Flows: network.Flows{Unknown: network.UnknownDrop}})
	cfg.NATs = []network.NAT{{Name: "nat", Ports: 1}}
	w := newWireTest(t, cfg)
	w.send("client", "vip", 5000, 80, fSYN, 100, 0, 0)
	seen := w.pass(0)
	if len(seen) != 1 || seen[0].node != "server1" || seen[0].h.src != number("10.77.0.5") {
		t.Fatalf("%+v", seen)
	}
	w.send("server1", "10.77.0.5", 80, seen[0].h.sport, fSYNACK, 200, 101, 0)
	if seen = w.pass(0); len(seen) != 1 || seen[0].node != "client" || seen[0].h.src != number("10.77.0.4") || seen[0].h.dport != 5000 {
		t.Fatalf("%+v", seen)
	}
	if all := w.rec.connection(keyOf(number("10.77.0.1"), 5000, number("10.77.0.4"), 80), 0); len(all) != 2 {
		t.Errorf("the connection has %d packets", len(all))
	}
	// A backend's own address is reached past the balancer.
	w.send("client", "server2", 5001, 80, fSYN, 100, 0, 0)
	if seen = w.pass(0); len(seen) != 1 || seen[0].node != "server2" {
		t.Fatalf("%+v", seen)
	}
	w.send("server2", "10.77.0.5", 80, seen[0].h.sport, fSYNACK, 200, 101, 0)
	if seen = w.pass(0); len(seen) != 1 || seen[0].h.src != number("10.77.0.3") {
		t.Fatalf("%+v", seen)
	}
}

func TestNobodyReachesAClientBehindANAT(t *testing.T) {
	w := newWireTest(t, behindNAT(network.NAT{Ports: 1}))
	w.send("server", "client", 80, 5000, fSYN, 1, 0, 0)
	w.send("server", "10.77.0.3", 80, 5000, fSYN, 1, 0, 0)
	w.send("client", "10.77.0.3", 5000, 80, fSYN, 1, 0, 0)
	if got, want := w.fates(), []Fate{FateNotCarried, FateForgotten, FateNotCarried}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestALinkRemembersSoManyFlows(t *testing.T) {
	for name, cfg := range map[string]network.Config{
		"link":     clientServer(network.Link{Flows: &network.Flows{Idle: 10 * time.Second, Max: 2}}),
		"balancer": {Hosts: []network.Host{{Name: "backend"}}, Balancers: []network.Balancer{{Name: "server", Backends: []string{"backend"}, Flows: network.Flows{Idle: 10 * time.Second, Max: 2}}}},
	} {
		w := newWireTest(t, cfg)
		for port := range uint16(3) {
			w.send("client", "server", port, 80, fSYN, 1, 0, 0)
		}
		w.pass(5 * time.Second)
		w.send("client", "server", 0, 80, network.PSH|fACK, 2, 0, 5) // kept: carried as before
		w.pass(5 * time.Second)                                      // the second is forgotten
		w.send("client", "server", 2, 80, fSYN, 1, 0, 0)
		w.send("client", "server", 3, 80, fSYN, 1, 0, 0)
		want := []Fate{FateDelivered, FateDelivered, FateTableFull, FateDelivered, FateDelivered, FateTableFull}
		if got := w.fates(); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

// A packet that a full table would not remember anyway is no loss of the table.
func TestAFullTableAndAnUnknownFlow(t *testing.T) {
	flows := network.Flows{Unknown: network.UnknownDrop, Max: 1}
	for name, cfg := range map[string]network.Config{
		"link":     clientServer(network.Link{Flows: &flows}),
		"balancer": {Hosts: []network.Host{{Name: "backend"}}, Balancers: []network.Balancer{{Name: "server", Backends: []string{"backend"}, Flows: flows}}},
	} {
		w := newWireTest(t, cfg)
		w.send("client", "server", 1, 80, fSYN, 1, 0, 0)
		w.send("client", "server", 2, 80, fACK, 1, 1, 0)
		w.pass(0)
		if got, want := w.fates(), []Fate{FateDelivered, FateForgotten}; !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

// The ports of a NAT are each in use once to a destination, wait or are free, whatever
// happens to the connections.
func TestNATPortsAreConserved(t *testing.T) {
	const ports = 5
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 1))
		w := newWireTest(t, network.Config{
			Hosts: []network.Host{{Name: "server"}, {Name: "client", Addresses: 2}},
			NATs: []network.NAT{{
				Name: "nat", Ports: ports, Addresses: 1 + r.IntN(2), PortsPer: network.PortsPer(r.IntN(2)),
				Idle: time.Duration(r.IntN(2)) * 5 * time.Second, Reuse: time.Duration(r.IntN(3)) * time.Second, Unknown: network.Unknown(r.IntN(3)),
			}},
		})
		n := w.nats[0]
		most := ports * len(n.addrs)
		flags := []network.Flags{fSYN, fSYN, fSYN, fACK, fFIN, network.RST}
		for range 400 {
			if r.IntN(2) == 0 {
				w.send("client", "server", uint16(1000+r.IntN(12)), uint16(80+r.IntN(2)), flags[r.IntN(len(flags))], r.Uint32N(4), r.Uint32N(4), 0)
			} else {
				flags := []network.Flags{fSYNACK, fACK, fFIN, network.RST}
				w.send("server", addrOf(n.addrs[r.IntN(len(n.addrs))]).String(), uint16(80+r.IntN(2)), uint16(1024+r.IntN(2*ports)), flags[r.IntN(len(flags))], r.Uint32N(4), r.Uint32N(4), 0)
			}
			w.pass(time.Duration(r.IntN(2000)) * time.Millisecond)
			used := map[*portPool]int{}
			for key, self := range n.outside {
				m := &n.mapped[self]
				if m.seen() != key || m.turn == 0 || n.flows.index[n.flows.flows[self].key] != self {
					t.Fatalf("seed %d: %v is mapped to %+v", seed, key, m)
				}
				used[n.pool(m.client.addr, m.dst)]++
			}
			if len(n.outside) != len(n.flows.index) {
				t.Fatalf("seed %d: %d ports for %d flows", seed, len(n.outside), len(n.flows.index))
			}
			for key, p := range n.pools {
				numbers := slices.Clone(p.free)
				slices.Sort(numbers)
				if p.used != used[p] || p.fresh-len(p.free) != p.used || p.fresh > most || len(slices.Compact(numbers)) != len(p.free) {
					t.Fatalf("seed %d: %v: %+v, and %d in use", seed, key, p, used[p])
				}
			}
		}
		if n.room.peak > most || n.room.peak == 0 {
			t.Errorf("seed %d: at most %d of %d in use", seed, n.room.peak, most)
		}
		w.pass(time.Minute)
		if n.cfg.Idle > 0 && (len(n.outside) > 0 || len(n.flows.index) > 0 || len(n.waiting) > 0) {
			t.Errorf("seed %d: %d ports and %d flows are left", seed, len(n.outside), len(n.flows.index))
		}
	}
}
