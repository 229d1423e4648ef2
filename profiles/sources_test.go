package profiles

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestSourceAddresses(t *testing.T) {
	const text = "load: {rate: 400/s}\ntarget:\n  url: http://127.0.0.1:8080/\n  source_addresses: [127.0.0.2, '::ffff:127.0.0.3']\n"
	p, err := Load("p.yaml", []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := []netip.Addr{netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("127.0.0.3")}; !slices.Equal(p.Target.Sources(), want) {
		t.Errorf("%v, want %v", p.Target.Sources(), want)
	}
	written, err := Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Load("again.yaml", written, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(p.Target.SourceAddresses, again.Target.SourceAddresses) {
		t.Errorf("written and read again %q", again.Target.SourceAddresses)
	}
	p.Clone().Target.SourceAddresses[0] = "changed"
	if p.Target.SourceAddresses[0] != "127.0.0.2" {
		t.Error("a clone shares its addresses")
	}
}

func TestComplaintsAboutSourceAddresses(t *testing.T) {
	const ask = "; name each address on its own"
	for _, test := range []struct{ target, list, want string }{
		{"url: http://shop.test/", "[127.0.0.2, 10.0.0.0/24]", `p.yaml:3:64: target.source_addresses.1: "10.0.0.0/24" is not an IP address, such as 127.0.0.2 or fd00::2` + ask},
		{"url: http://shop.test/", "[eth0]", `p.yaml:3:53: target.source_addresses.0: "eth0" is not an IP address, such as 127.0.0.2 or fd00::2` + ask},
		{"url: http://shop.test/", "127.0.0.2", "p.yaml:3:52: target.source_addresses: is a single value; a list belongs here"},
		{"url: http://shop.test/", "[127.0.0.2, 127.0.0.2]", "p.yaml:3:64: target.source_addresses.1: 127.0.0.2 is given twice; remove one"},
		{"url: http://shop.test/", "[0.0.0.0]", "p.yaml:3:53: target.source_addresses.0: 0.0.0.0 is not an address of a machine; remove it"},
		{"url: http://shop.test/", "['ff02::1']", "p.yaml:3:53: target.source_addresses.0: ff02::1 is not an address of a machine; remove it"},
		{"url: http://shop.test/", "['fe80::1%eth0']", "p.yaml:3:53: target.source_addresses.0: fe80::1%eth0 has a zone, which is not supported; name an address without one"},
		{"url: http://shop.test/", "['::1', 127.0.0.2]", ""},
		{"url: 'http://[::1]/'", "['fd00::2', 127.0.0.2]", "p.yaml:3:62: target.source_addresses.1: 127.0.0.2 and the target, which is at ::1, are not both IPv4 or both IPv6; remove it"},
		{"lab: {}", "['::1']", "p.yaml:3:38: target.source_addresses.0: ::1 and the target, which is at 127.0.0.1, are not both IPv4 or both IPv6; remove it"},
	} {
		text := "load: {rate: 400/s}\n\ntarget: {" + test.target + ", source_addresses: " + test.list + "}\n"
		if got := strings.Join(complaints(t, text), "\n"); got != test.want {
			t.Errorf("%s%s\n got %s\nwant %s", test.target, test.list, got, test.want)
		}
	}
}
