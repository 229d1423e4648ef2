package consent

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

func TestNeeded(t *testing.T) {
	mine := []netip.Addr{netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("2001:db8::7")}
	for text, want := range map[string]bool{
		"127.0.0.1": false, "127.9.9.9": false, "::1": false, "::ffff:127.0.0.1": false, "0.0.0.0": false, "::": false,
		"10.1.2.3": false, "172.16.0.1": false, "172.31.255.255": false, "192.168.1.1": false, "::ffff:10.1.2.3": false,
		"169.254.1.1": false, "fe80::1": false, "fe80::1%eth0": false, "fd00::1": false, "fc00::1": false,
		"203.0.113.7": false, "2001:db8::7": false, "::ffff:203.0.113.7": false,
		"172.32.0.1": true, "192.169.0.1": true, "11.0.0.1": true, "100.64.0.1": true, "203.0.113.8": true,
		"2001:db8::8": true, "::ffff:11.0.0.1": true, "fec0::1": true, "224.0.0.1": true,
	} {
		if got := needed(netip.MustParseAddr(text), mine); got != want {
			t.Errorf("%s: needs consent %v, want %v", text, got, want)
		}
	}
	if !needed(netip.Addr{}, mine) {
		t.Error("no address needs no consent")
	}
}

func TestThisMachinesOwnAddresses(t *testing.T) {
	found := ours()
	if len(found) == 0 {
		t.Skip("this machine has no addresses")
	}
	for _, addr := range found {
		if needed(addr, found) {
			t.Errorf("%v is ours and needs consent", addr)
		}
	}
}

func TestCheck(t *testing.T) {
	here, there := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("198.51.100.9")
	if err := Check("localhost", []netip.Addr{here}, "60 requests"); err != nil {
		t.Error(err)
	}
	err := Check("api.example", []netip.Addr{here, there}, "60 requests on 51 connections")
	refusal, is := errors.AsType[*Refusal](err)
	if !is || refusal.Addr != there {
		t.Fatalf("got %v, want a refusal of %v", err, there)
	}
	for _, want := range []string{"api.example (198.51.100.9)", "60 requests on 51 connections", "--i-may"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}
