package redact

import (
	"math/rand/v2"
	"net/netip"
	"testing"
)

func someNames() *names { return newNames(rand.New(rand.NewPCG(1, 2))) }

// An address is replaced by one of its kind, always by the same one, and by no other's.
func TestAddresses(t *testing.T) {
	n := someNames()
	used := map[netip.Addr]string{}
	for _, text := range []string{
		"10.1.2.3", "10.1.2.4", "192.168.7.7", "172.16.0.1", "100.64.3.4", "93.184.216.34", "93.184.216.35", "127.0.0.1", "127.0.0.53", "169.254.1.1",
		"fd12:3456::1", "2a02:26f0::1", "2a02:26f0::2", "fe80::1234:56ff:fe78:9abc", "::1", "::ffff:10.1.2.3",
	} {
		a := netip.MustParseAddr(text)
		b := n.host(a).address
		if kindOf(a) != kindOf(b) || a.Is4() != b.Is4() {
			t.Errorf("%v becomes %v, which is of another kind", a, b)
		}
		if other := used[b]; other != "" {
			t.Errorf("%s and %s both become %v", other, text, b)
		}
		used[b] = text
		if again := n.host(a).address; again != b {
			t.Errorf("%v becomes %v and then %v", a, b, again)
		}
	}
	if a, b := n.host(netip.MustParseAddr("10.1.2.3")).address, n.host(netip.MustParseAddr("93.184.216.34")).address; a.String() != "10.0.0.1" || b.String() != "198.18.0.1" {
		t.Errorf("the first addresses are %v and %v", a, b)
	}
}

// Ports of a server are the same at each of its addresses, lower than those of clients,
// and stay as they are only if everybody knows them.
func TestPorts(t *testing.T) {
	n := someNames()
	end := func(text string, server bool) uint16 { return n.end(netip.MustParseAddrPort(text), server).Port() }
	for text, want := range map[string]uint16{"10.0.0.1:80": 80, "10.0.0.1:443": 443, "10.0.0.2:8080": 8080} {
		if got := end(text, true); got != want {
			t.Errorf("the server's port of %s becomes %d", text, got)
		}
	}
	if a, b := end("10.0.0.1:31337", true), end("10.0.0.9:31337", true); a != b || a == 31337 || a >= firstClient {
		t.Errorf("31337 becomes %d and %d", a, b)
	}
	if got := end("10.0.0.3:443", false); got == 443 || got < firstClient {
		t.Errorf("443 of a client becomes %d", got)
	}
	seen := map[uint16]bool{}
	for port := range 40_000 {
		got := n.end(netip.AddrPortFrom(netip.MustParseAddr("10.0.0.7"), uint16(20_000+port)), false).Port()
		if seen[got] || got < firstClient {
			t.Fatalf("%d becomes %d, which is a server's or used already", 20_000+port, got)
		}
		seen[got] = true
	}
}

// What the origin of a RST follows from remains: which TTLs are equal, which packets have
// passed no router, and how IP identifications continue.
func TestHopsAndIdentifications(t *testing.T) {
	h := someNames().host(netip.MustParseAddr("10.1.2.3"))
	for _, ttl := range []uint8{0, 64, 128, 255} {
		if got := h.hop(ttl); got != ttl {
			t.Errorf("TTL %d becomes %d", ttl, got)
		}
	}
	if a, b, c := h.hop(57), h.hop(60), h.hop(57); a != c || int(b)-int(a) != 3 || a == 57 {
		t.Errorf("TTLs 57, 60 and 57 become %d, %d and %d", a, b, c)
	}
	used := map[uint8]uint8{}
	for ttl := range 256 {
		got := h.hop(uint8(ttl))
		if old, taken := used[got]; taken || begun(got) != begun(uint8(ttl)) {
			t.Errorf("TTLs %d and %d both become %d", old, ttl, got)
		}
		used[got] = uint8(ttl)
	}
	ids := map[uint16]bool{}
	for id := range 1 << 16 {
		got := h.id(uint16(id))
		if ids[got] || (got == 0) != (id == 0) {
			t.Fatalf("identification %d becomes %d", id, got)
		}
		ids[got] = true
		if next := h.id(uint16(id) + 1); id > 0 && next > 1 && next-got > 2 {
			t.Fatalf("identifications %d and %d become %d and %d", id, id+1, got, next)
		}
	}
}
