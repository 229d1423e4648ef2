package sandbox

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/profiles/network"
)

func number(addr string) uint32 { return addrNumber(netip.MustParseAddr(addr)) }

// wireTest is a core with a clock of its own, and what it delivered.
type wireTest struct {
	*core
	t    *testing.T
	now  int64
	seen []delivered
}

type delivered struct {
	at   time.Duration
	node string
	h    header
}

func newWireTest(t *testing.T, cfg network.Config) *wireTest {
	t.Helper()
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	cfg.Record.Packets = 4096
	c, err := newCore(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w := &wireTest{core: c, t: t}
	c.deliver = func(node int, b []byte) bool {
		h, ok := parse(b)
		if !ok || !validChecksums(b, &h) {
			t.Errorf("a broken packet was delivered: %x", b)
		}
		w.seen = append(w.seen, delivered{time.Duration(w.now), c.names[node], h})
		return true
	}
	return w
}

// send sends a TCP packet of n bytes of payload from one node to another.
func (w *wireTest) send(from, to string, sport, dport uint16, flags network.Flags, seq, ack uint32, n int) {
	w.t.Helper()
	a, err := w.find(from)
	if err != nil {
		w.t.Fatal(err)
	}
	dst, err := w.address(to)
	if err != nil {
		w.t.Fatal(err)
	}
	f := w.frame()
	f.n = copy(f.buf, segment(w.t, w.addrs[a][0].String(), addrOf(dst).String(), sport, dport, flags, seq, ack, strings.Repeat("x", n)))
	w.receive(f, a, w.now)
	w.advance(w.now)
}

// pass lets d go by, stopping at every moment at which something is due, and
// returns what was delivered since the last call.
func (w *wireTest) pass(d time.Duration) []delivered {
	end := w.now + int64(d)
	for next := w.next(); next <= end; next = w.next() {
		w.now = max(w.now, next)
		w.advance(w.now)
	}
	w.now = end
	seen := w.seen
	w.seen = nil
	return seen
}

func (w *wireTest) fates() []Fate {
	var fates []Fate
	for id := w.rec.oldest(); id <= w.rec.count; id++ {
		fates = append(fates, w.rec.packet(id).Fate)
	}
	return fates
}

func clientServer(l network.Link) network.Config {
	l.Between = [2]string{"client", "server"}
	return network.Config{Hosts: []network.Host{{Name: "server"}}, Links: []network.Link{l}}
}

func TestDelayIsOneWayAndKeepsOrder(t *testing.T) {
	w := newWireTest(t, clientServer(network.Link{
		Conditions: network.Conditions{Delay: 5 * time.Millisecond, Jitter: 3 * time.Millisecond},
		Back:       &network.Conditions{Delay: 7 * time.Millisecond},
	}))
	for i := range uint32(100) {
		w.send("client", "server", 1, 80, network.ACK, i, 0, 0)
	}
	w.send("server", "client", 80, 1, network.ACK, 0, 0, 0)
	seen := w.pass(time.Second)
	if len(seen) != 101 {
		t.Fatalf("%d packets arrived, want 101", len(seen))
	}
	last := uint32(0)
	for _, d := range seen {
		if d.node == "client" {
			if d.at != 7*time.Millisecond {
				t.Errorf("back after %v, want 7ms", d.at)
			}
			continue
		}
		if d.at < 5*time.Millisecond || d.at > 8*time.Millisecond || d.h.seq < last {
			t.Errorf("packet %d after %v, behind %d; want 5 to 8 ms and in order", d.h.seq, d.at, last)
		}
		last = d.h.seq
	}
}

func TestBandwidthTakesTimeAndItsQueueIsLimited(t *testing.T) {
	w := newWireTest(t, clientServer(network.Link{Conditions: network.Conditions{Bandwidth: 8e6, Queue: 3000}})) // 1 µs per byte
	for range 5 {
		w.send("client", "server", 1, 80, network.ACK, 0, 0, 960) // 1000 bytes
	}
	var at []time.Duration
	for _, d := range w.pass(time.Second) {
		at = append(at, d.at)
	}
	if want := []time.Duration{time.Millisecond, 2 * time.Millisecond, 3 * time.Millisecond, 4 * time.Millisecond}; !slices.Equal(at, want) {
		t.Errorf("arrived at %v, want %v", at, want)
	}
	if w.fates()[4] != FateQueueFull {
		t.Errorf("the fifth: %v, want queue_full", w.fates()[4])
	}
}

func TestLossIsSeededAndOfItsShare(t *testing.T) {
	run := func(seed uint64) []Fate {
		cfg := clientServer(network.Link{Conditions: network.Conditions{Loss: .25}})
		cfg.Seed = seed
		w := newWireTest(t, cfg)
		for range 4000 {
			w.send("client", "server", 1, 80, network.ACK, 0, 0, 0)
		}
		return w.fates()
	}
	first, again, other := run(1), run(1), run(2)
	if !slices.Equal(first, again) {
		t.Error("the same seed lost other packets")
	}
	if slices.Equal(first, other) {
		t.Error("another seed lost the same packets")
	}
	lost := 0
	for _, f := range first {
		if f == FateLost {
			lost++
		}
	}
	if lost < 850 || lost > 1150 { // 5.5 standard deviations around 1000, and seeded
		t.Errorf("%d of 4000 lost, want about 1000", lost)
	}
}

func TestRules(t *testing.T) {
	D, A, P := FateDelivered, FateAnswered, FateDropped
	for _, c := range []struct {
		name string
		rule network.Rule
		want []Fate // of SYN, SYN-ACK, ACK, request, request
	}{
		{"everything", network.Rule{}, []Fate{P, P, P, P, P}},
		{"one direction", network.Rule{From: "server"}, []Fate{D, P, D, D, D}},
		{"flags", network.Rule{Flags: network.SYN, NotFlags: network.ACK}, []Fate{P, D, D, D, D}},
		{"data", network.Rule{Data: true}, []Fate{D, D, D, P, P}},
		{"the third packet", network.Rule{Skip: 2, Times: 1}, []Fate{D, D, P, D, D}},
		{"the second of a connection", network.Rule{Skip: 1, Times: 1, PerConnection: true}, []Fate{D, P, D, D, D}},
		{"port and host", network.Rule{Src: "client", DstPort: 80, Times: 2}, []Fate{P, D, P, D, D}},
		{"another port", network.Rule{DstPort: 81}, []Fate{D, D, D, D, D}},
		{"another host", network.Rule{Dst: "10.77.0.9"}, []Fate{D, D, D, D, D}},
		{"asleep until its event", network.Rule{After: "cut"}, []Fate{D, D, D, D, P}},
		{"ended by its event", network.Rule{Until: "cut"}, []Fate{P, P, P, P, D}},
		{"rst", network.Rule{Data: true, Do: network.ActionRST}, []Fate{D, D, D, A, A}},
	} {
		w := newWireTest(t, clientServer(network.Link{Rules: []network.Rule{c.rule}}))
		w.send("client", "server", 1, 80, network.SYN, 100, 0, 0)
		w.send("server", "client", 80, 1, network.SYN|network.ACK, 200, 101, 0)
		w.send("client", "server", 1, 80, network.ACK, 101, 201, 0)
		w.send("client", "server", 1, 80, network.PSH|network.ACK, 101, 201, 10)
		cares := w.links[0].rules[0].event("cut")
		if want := c.rule.After+c.rule.Until != ""; cares != want {
			t.Errorf("%s: the rule cares for its event: %v", c.name, cares)
		}
		w.send("client", "server", 1, 80, network.PSH|network.ACK, 101, 201, 10)
		var got []Fate
		for id := uint64(1); id <= w.rec.count; id++ {
			if p := w.rec.packet(id); !p.ByLink() {
				got = append(got, p.Fate)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestRSTOfARuleStandsWhereItsReceiverExpectsIt(t *testing.T) {
	w := newWireTest(t, clientServer(network.Link{
		Conditions: network.Conditions{Delay: time.Millisecond},
		Rules:      []network.Rule{{Data: true, Do: network.ActionRST, To: network.RSTToBoth}},
	}))
	w.send("client", "server", 1, 80, network.PSH|network.ACK, 101, 201, 10)
	seen := w.pass(time.Second)
	if len(seen) != 2 {
		t.Fatalf("%d packets, want a RST to each end", len(seen))
	}
	for _, d := range seen {
		if d.at != time.Millisecond || d.h.flags&network.RST == 0 {
			t.Errorf("%v to %s after %v; want a RST after 1ms", d.h.flags, d.node, d.at)
		}
		want := uint32(201) // what the client expects of the server
		if d.node == "server" {
			want = 101
		}
		if d.h.seq != want {
			t.Errorf("RST to %s has number %d, want %d", d.node, d.h.seq, want)
		}
	}
}

func TestFlowsAreForgotten(t *testing.T) {
	const idle = 10 * time.Second
	for _, c := range []struct {
		name  string
		flows network.Flows
		wait  time.Duration
		fate  Fate // of the data after the wait
		rsts  int  // made by the link, in all
	}{
		{"before its time it passes", network.Flows{Idle: idle, Unknown: network.UnknownDrop}, idle - 1, FateDelivered, 0},
		{"then it is dropped", network.Flows{Idle: idle, Unknown: network.UnknownDrop}, idle, FateForgotten, 0},
		{"or reset", network.Flows{Idle: idle, Unknown: network.UnknownRST}, idle, FateAnswered, 1},
		{"or taken up again", network.Flows{Idle: idle}, idle, FateDelivered, 0},
		{"or both ends hear of it", network.Flows{Idle: idle, Unknown: network.UnknownDrop, AtExpiry: network.ExpiryRST}, idle, FateForgotten, 2},
		{"a lifetime ends it too", network.Flows{Lifetime: 60 * time.Second, Unknown: network.UnknownDrop}, 60 * time.Second, FateForgotten, 0},
	} {
		w := newWireTest(t, clientServer(network.Link{Flows: &c.flows}))
		w.send("client", "server", 1, 80, network.SYN, 100, 0, 0)
		w.send("server", "client", 80, 1, network.SYN|network.ACK, 200, 101, 0)
		w.pass(c.wait)
		w.send("client", "server", 1, 80, network.PSH|network.ACK, 101, 201, 10)
		w.pass(time.Second)
		rsts := 0
		var fate Fate
		for id := uint64(1); id <= w.rec.count; id++ {
			p := w.rec.packet(id)
			if p.ByLink() {
				rsts++
				if p.Seq != 101 && p.Seq != 201 {
					t.Errorf("%s: RST at number %d, which nobody expects", c.name, p.Seq)
				}
			} else {
				fate = p.Fate
			}
		}
		if fate != c.fate || rsts != c.rsts {
			t.Errorf("%s: %v and %d RSTs, want %v and %d", c.name, fate, rsts, c.fate, c.rsts)
		}
	}
}

func balanced(b network.Balancer) network.Config {
	b.Name, b.Backends = "vip", []string{"server1", "server2"}
	return network.Config{Hosts: []network.Host{{Name: "server1"}, {Name: "server2"}}, Balancers: []network.Balancer{b}}
}

func TestBalancerChoosesAndForgets(t *testing.T) {
	const idle = 10 * time.Second
	same, other, none := "same", "other", "none"
	for _, c := range []struct {
		name string
		cfg  network.Balancer
		wait time.Duration
		want string // where the data goes after the wait
		rst  bool   // by the balancer, to the client
	}{
		{"known", network.Balancer{Choose: network.RoundRobin, Flows: network.Flows{Idle: idle}}, idle / 2, same, false},
		{"hash after the entry is gone", network.Balancer{Flows: network.Flows{Idle: idle}}, idle, same, false},
		{"round robin after the entry is gone", network.Balancer{Choose: network.RoundRobin, Flows: network.Flows{Idle: idle}}, idle, other, false},
		{"rst after the entry is gone", network.Balancer{Flows: network.Flows{Idle: idle, Unknown: network.UnknownRST}}, idle, none, true},
		{"drop after the entry is gone", network.Balancer{Flows: network.Flows{Idle: idle, Unknown: network.UnknownDrop}}, idle, none, false},
	} {
		w := newWireTest(t, balanced(c.cfg))
		w.send("client", "vip", 1000, 80, network.SYN, 100, 0, 0)
		seen := w.pass(0)
		if len(seen) != 1 || seen[0].h.dst != addrNumber(w.addrs[nodeOf(t, w.core, seen[0].node)][0]) {
			t.Fatalf("%s: the SYN: %+v", c.name, seen)
		}
		first := seen[0].node
		w.send(first, "client", 80, 1000, network.SYN|network.ACK, 200, 101, 0)
		if seen := w.pass(0); len(seen) != 1 || seen[0].node != "client" || seen[0].h.src != number("10.77.0.4") {
			t.Fatalf("%s: the answer must come from the balancer's address: %+v", c.name, seen)
		}
		w.pass(c.wait)
		w.send("client", "vip", 1000, 80, network.PSH|network.ACK, 101, 201, 10)
		got, rst := none, false
		for _, d := range w.pass(0) {
			switch {
			case d.node == "client":
				rst = d.h.flags == network.RST && d.h.seq == 201 && d.h.src == number("10.77.0.4")
			case d.node == first:
				got = same
			default:
				got = other
			}
		}
		if got != c.want || rst != c.rst {
			t.Errorf("%s: goes to %s, RST %v; want %s, %v", c.name, got, rst, c.want, c.rst)
		}
		client, vip := netip.MustParseAddrPort("10.77.0.1:1000"), netip.MustParseAddrPort("10.77.0.4:80")
		key := keyOf(addrNumber(client.Addr()), 1000, addrNumber(vip.Addr()), 80)
		if packets := w.rec.connection(key, 0); len(packets) != int(w.rec.count) {
			t.Errorf("%s: the connection has %d of %d packets", c.name, len(packets), w.rec.count)
		}
	}
}

// A backend gets new connections from the event at which it joins to the one at which it
// leaves. What it keeps then stays with it, or moves to another. Without a backend new
// connections are refused.
func TestBackendsJoinAndLeave(t *testing.T) {
	for _, atLeave := range []network.Leaving{network.LeavingKeep, network.LeavingMove} {
		w := newWireTest(t, balanced(network.Balancer{
			Choose: network.RoundRobin, AtLeave: atLeave,
			Joins: map[string]string{"server2": "up"}, Leaves: map[string]string{"server1": "down", "server2": "over"},
		}))
		to := func(port uint16, flags network.Flags) string {
			w.send("client", "vip", port, 80, flags, 100, 0, 0)
			seen := w.pass(0)
			if len(seen) != 1 {
				t.Fatalf("%v: %+v", atLeave, seen)
			}
			return seen[0].node
		}
		for port, want := range []string{"server1", "server1"} {
			if got := to(1000+uint16(port), network.SYN); got != want {
				t.Errorf("%v: before it joins, a connection goes to %s", atLeave, got)
			}
		}
		vip := w.at[nodeOf(t, w.core, "vip")]
		if !vip.event(w.core, "up") || vip.event(w.core, "unknown") {
			t.Error("the balancer waits for up alone")
		}
		if a, b := to(1002, network.SYN), to(1003, network.SYN); a == b {
			t.Errorf("%v: both connections go to %s", atLeave, a)
		}
		vip.event(w.core, "down")
		if a, b := to(1004, network.SYN), to(1005, network.SYN); a != "server2" || b != "server2" {
			t.Errorf("%v: %s and %s get connections after server1 left", atLeave, a, b)
		}
		want := map[network.Leaving]string{network.LeavingKeep: "server1", network.LeavingMove: "server2"}[atLeave]
		if got := to(1000, network.ACK); got != want {
			t.Errorf("%v: a kept connection goes to %s, want %s", atLeave, got, want)
		}
		vip.event(w.core, "over")
		if got := to(1006, network.SYN); got != "client" {
			t.Errorf("%v: without a backend a connection goes to %s", atLeave, got)
		}
		if n := vip.flows.forgotten; n != 0 {
			t.Errorf("%v: %d flows count as forgotten, and one was refused", atLeave, n)
		}
		for range 2 { // one that comes back is there once
			vip.event(w.core, "up")
		}
		if got := to(1000, network.ACK); len(vip.backends) != 1 || got != want {
			t.Errorf("%v: %d backends after one came back, and a kept connection goes to %s, want %s", atLeave, len(vip.backends), got, want)
		}
	}
}

func nodeOf(t *testing.T, c *core, name string) int {
	node, err := c.find(name)
	if err != nil {
		t.Fatal(err)
	}
	return node
}

func TestBalancerHashUsesAllBackendsAndKeepsToThem(t *testing.T) {
	w := newWireTest(t, balanced(network.Balancer{}))
	counts := map[string]int{}
	for port := range uint16(200) {
		w.send("client", "vip", 1000+port, 80, network.SYN, 1, 0, 0)
		for _, d := range w.pass(0) {
			counts[d.node]++
		}
	}
	if counts["server1"] < 60 || counts["server2"] < 60 { // ports are fixed: no chance in it
		t.Errorf("200 connections went %v", counts)
	}
}

func TestBackendIsReachedAroundItsBalancer(t *testing.T) {
	w := newWireTest(t, balanced(network.Balancer{Flows: network.Flows{Unknown: network.UnknownDrop}}))
	w.send("client", "server1", 1000, 80, network.SYN, 1, 0, 0)
	w.send("server1", "client", 80, 1000, network.SYN|network.ACK, 1, 2, 0)
	w.send("server2", "client", 2000, 80, network.SYN, 1, 0, 0)
	w.send("client", "server2", 80, 2000, network.SYN|network.ACK, 1, 2, 0)
	w.send("server2", "client", 2000, 80, network.ACK, 2, 2, 0)
	for i, f := range w.fates() {
		if f != FateDelivered {
			t.Errorf("packet %d: %v", i+1, f)
		}
	}
	for _, d := range w.pass(0) {
		if d.h.src == number("10.77.0.4") {
			t.Error("a direct connection was given the balancer's address")
		}
	}
}

func TestLateDelaysDoNotAddUpBehindABalancer(t *testing.T) {
	cfg := balanced(network.Balancer{})
	for _, name := range []string{"client", "server1", "server2"} {
		cfg.Links = append(cfg.Links, network.Link{Between: [2]string{name, "vip"}, Conditions: network.Conditions{Delay: time.Millisecond}})
	}
	w := newWireTest(t, cfg)
	w.send("client", "vip", 1000, 80, network.SYN, 1, 0, 0)
	w.now = int64(1500 * time.Microsecond) // half a millisecond late at the balancer
	w.advance(w.now)
	if seen := w.pass(time.Second); len(seen) != 1 || seen[0].at != 2*time.Millisecond {
		t.Errorf("arrived %+v, want after 2ms", seen)
	}
}

// What a late wire does it does late, and nothing else than one on time.
func TestALateWireDecidesAsOneOnTime(t *testing.T) {
	const ms = time.Millisecond
	sleep := func(w *wireTest, d time.Duration) { w.now += int64(d) } // nothing is looked at
	for name, c := range map[string]struct {
		cfg  network.Config
		wait func(w *wireTest, late bool)
	}{
		// A packet that reaches the balancer 50 ms before the flow is forgotten, and
		// is met when that time is over too.
		"before a balancer": {network.Config{
			Hosts:     []network.Host{{Name: "server"}},
			Balancers: []network.Balancer{{Name: "lb", Backends: []string{"server"}, Flows: network.Flows{Idle: time.Second, Unknown: network.UnknownRST}}},
			Links:     []network.Link{{Between: [2]string{"client", "lb"}, Conditions: network.Conditions{Delay: 100 * ms}}},
		}, func(w *wireTest, late bool) {
			w.send("client", "lb", 1, 80, network.SYN, 0, 0, 0)
			w.pass(950 * ms)
			w.send("client", "lb", 1, 80, network.ACK, 1, 1, 10)
			if late {
				sleep(w, 400*ms)
			} else {
				w.pass(400 * ms)
			}
		}},
		// A flow that is over, and a packet on it that is met first.
		"after an expiry": {clientServer(network.Link{Flows: &network.Flows{Idle: time.Second, AtExpiry: network.ExpiryRST, Unknown: network.UnknownDrop}}),
			func(w *wireTest, late bool) {
				w.send("client", "server", 1, 80, network.SYN, 0, 0, 0)
				if late {
					sleep(w, 1100*ms)
				} else {
					w.pass(1100 * ms)
				}
				w.send("client", "server", 1, 80, network.ACK, 1, 1, 10)
			}},
	} {
		var told [2][]string
		for i, late := range []bool{false, true} {
			w := newWireTest(t, c.cfg)
			c.wait(w, late)
			w.pass(500 * ms)
			for id := w.rec.oldest(); id <= w.rec.count; id++ {
				p := w.rec.packet(id)
				told[i] = append(told[i], p.From+" "+p.Flags.String()+" "+p.Fate.String()+" "+p.To)
			}
		}
		if !slices.Equal(told[0], told[1]) || len(told[0]) < 2 {
			t.Errorf("%s: on time %q, late %q", name, told[0], told[1])
		}
	}
}

func TestRecordKeepsTheLastAndCounts(t *testing.T) {
	cfg := clientServer(network.Link{})
	w := newWireTest(t, cfg)
	for i := range uint32(5000) {
		w.send("client", "server", 1, 80, network.ACK, i, 0, 0)
	}
	key := keyOf(number("10.77.0.1"), 1, number("10.77.0.2"), 80)
	all, three := w.rec.connection(key, 0), w.rec.connection(key, 3)
	if len(all) != 4096 || all[0].Seq != 904 || len(three) != 3 || three[0].Seq != 4997 {
		t.Errorf("kept %d from %d, last three from %d; want 4096 from 904 and 4997", len(all), all[0].Seq, three[0].Seq)
	}
	if w.rec.fates[FateDelivered] != 5000 || w.rec.fates[FateInFlight] != 0 {
		t.Errorf("fates %v, want 5000 delivered", w.rec.fates)
	}
}

func TestGarbageIsNotCarried(t *testing.T) {
	w := newWireTest(t, clientServer(network.Link{}))
	for _, b := range [][]byte{{0x60, 0, 0}, {0x45}, make([]byte, 40), segment(t, "10.77.0.1", "10.9.9.9", 1, 2, network.SYN, 0, 0, "")} {
		f := w.frame()
		f.n = copy(f.buf, b)
		w.receive(f, 0, 0)
	}
	for i, f := range w.fates() {
		if f != FateNotCarried {
			t.Errorf("packet %d: %v, want not_carried", i+1, f)
		}
	}
	if len(w.free) != w.made {
		t.Errorf("%d of %d frames came back", len(w.free), w.made)
	}
}

func TestLatenessQuantiles(t *testing.T) {
	var l lateness
	for i := range int64(1000) {
		l.add(i * 1000)
	}
	for _, q := range []float64{.5, .9, .99} {
		exact := time.Duration(q * 1e6)
		if got := l.quantile(q); got < exact || float64(got) > 1.13*float64(exact)+1000 {
			t.Errorf("q%v is %v, want %v or an eighth more", q, got, exact)
		}
	}
	for ns := int64(0); ns < 1<<20; ns += 7 {
		if b := bucket(ns); top(b) < ns || b > 0 && top(b-1) >= ns {
			t.Fatalf("%d falls into bucket %d, up to %d", ns, b, top(b))
		}
	}
}

// FuzzCore sends garbage and near-garbage through everything that a network can
// have: nothing may panic, every packet must meet one fate, and every frame must
// come back.
func FuzzCore(f *testing.F) {
	f.Add(uint8(0), uint16(3), segment(f, "10.77.0.1", "10.77.0.4", 1000, 80, network.SYN, 1, 0, ""))
	f.Add(uint8(1), uint16(300), segment(f, "10.77.0.2", "10.77.0.1", 80, 1000, network.SYN|network.ACK, 1, 2, ""))
	f.Add(uint8(2), uint16(3000), segment(f, "10.77.0.3", "10.77.0.1", 80, 1000, network.PSH|network.ACK, 1, 2, "data"))
	f.Add(uint8(1), uint16(1), segment(f, "10.77.0.2", "10.77.0.5", 80, 1024, network.FIN|network.ACK, 1, 2, ""))
	f.Add(uint8(0), uint16(0), []byte{0x45, 0, 0, 20})
	f.Fuzz(func(t *testing.T, from uint8, gap uint16, b []byte) {
		cfg := balanced(network.Balancer{Choose: network.RoundRobin, Flows: network.Flows{Idle: time.Millisecond, AtExpiry: network.ExpiryRST, Unknown: network.Unknown(gap % 3)}})
		cfg.Links = []network.Link{
			{
				Between: [2]string{"client", "vip"}, Conditions: network.Conditions{Delay: time.Microsecond, Jitter: time.Microsecond, Loss: .1, Bandwidth: 1e9},
				Flows: &network.Flows{Idle: 2 * time.Millisecond, Unknown: network.Unknown(gap / 3 % 3), AtExpiry: network.ExpiryRST},
			},
			{Between: [2]string{"vip", "server1"}, Rules: []network.Rule{{Skip: 1, PerConnection: true, Do: network.ActionRST, To: network.RSTToBoth}}},
		}
		cfg.Links[0].Flows.Max = int(gap % 5)
		if gap%2 == 1 {
			cfg.NATs = []network.NAT{{Name: "nat", Ports: 1, Idle: 3 * time.Millisecond, Unknown: network.Unknown(gap % 3), AtExpiry: network.ExpiryRST}}
		}
		cfg.Record.Packets = 64
		c, err := newCore(cfg)
		if err != nil {
			t.Fatal(err)
		}
		c.deliver = func(node int, b []byte) bool { return node != 2 }
		now := int64(0)
		for i := range 6 { // the same again, its ends swapped, and from everywhere
			fr := c.frame()
			fr.n = copy(fr.buf, b)
			if h, ok := parse(fr.bytes()); ok && i%2 == 1 && h.end <= fr.n {
				readdress(fr.bytes(), &h, h.dst, h.src)
			}
			c.receive(fr, (int(from)+i)%c.hosts, now)
			now += int64(gap) * 100
			c.advance(now)
		}
		for c.next() != never {
			now = max(now, c.next())
			c.advance(now)
		}
		total := uint64(0)
		for _, n := range c.rec.fates {
			total += n
		}
		if total != c.rec.count || c.rec.fates[FateInFlight] != 0 || len(c.free) != c.made {
			t.Errorf("%d packets met %v, and %d of %d frames came back", c.rec.count, c.rec.fates, len(c.free), c.made)
		}
		for id := c.rec.oldest(); id <= c.rec.count; id++ {
			c.rec.packet(id)
		}
	})
}
