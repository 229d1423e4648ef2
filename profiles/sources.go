package profiles

import (
	"fmt"
	"net/netip"
	"net/url"
)

// Sources is SourceAddresses of a valid target.
func (t Target) Sources() []netip.Addr {
	var list []netip.Addr
	for _, text := range t.SourceAddresses {
		if addr, err := netip.ParseAddr(text); err == nil {
			list = append(list, addr.Unmap())
		}
	}
	return list
}

// checkSources returns the complaints about SourceAddresses. Whether they are of
// this machine is for the run to find out: a profile may be checked on another.
func (t Target) checkSources() []error {
	var errs []error
	bad := func(i int, format string, args ...any) {
		errs = append(errs, fmt.Errorf("source_addresses.%d: "+format, append([]any{i}, args...)...))
	}
	seen := map[netip.Addr]bool{}
	target, literal := t.literal()
	for i, text := range t.SourceAddresses {
		addr, err := netip.ParseAddr(text)
		addr = addr.Unmap()
		switch {
		case err != nil:
			bad(i, "%q is not an IP address, such as 127.0.0.2 or fd00::2; name each address on its own", text)
			continue
		case addr.Zone() != "":
			bad(i, "%s has a zone, which is not supported; name an address without one", text)
		case addr.IsUnspecified(), addr.IsMulticast():
			bad(i, "%s is not an address of a machine; remove it", text)
		case seen[addr]:
			bad(i, "%s is given twice; remove one", text)
		case literal && addr.Is4() != target.Is4():
			bad(i, "%s and the target, which is at %v, are not both IPv4 or both IPv6; remove it", text, target)
		}
		seen[addr] = true
	}
	return errs
}

// literal is the address that connections to t go to, if t says.
func (t Target) literal() (netip.Addr, bool) {
	if t.Lab != nil || t.Link != nil {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1}), true // where labs and links listen
	}
	u, err := url.Parse(t.URL)
	if err != nil {
		return netip.Addr{}, false
	}
	addr, err := netip.ParseAddr(u.Hostname())
	return addr.Unmap(), err == nil
}

// sources is how many addresses connections come from, at least 1. Where they
// are of both families, and the target's is not known, it is the family's with
// fewer.
func (t Target) sources() int {
	var of [2]int
	for _, addr := range t.Sources() {
		if addr.Is4() {
			of[0]++
		} else {
			of[1]++
		}
	}
	if of[0] == 0 || of[1] == 0 {
		return max(of[0], of[1], 1)
	}
	return min(of[0], of[1])
}
