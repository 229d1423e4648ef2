// Package consent says which addresses a user may load without a word: those of this
// machine and of private networks. Others belong to somebody, and need --i-may.
package consent

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// Flag is the name of the flag by which a user says that a server may be loaded.
const Flag = "i-may"

// needed reports whether an address may be loaded only with --i-may. It may be loaded
// without if it is a loopback address, one of this machine's own (ours), link-local, or of
// a private network: RFC 1918, and fc00::/7 of RFC 4193.
func needed(addr netip.Addr, ours []netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	switch {
	case !addr.IsValid():
		return true
	case addr.IsLoopback(), addr.IsPrivate(), addr.IsLinkLocalUnicast(), addr.IsUnspecified():
		return false // a connect to the unspecified address reaches this machine
	}
	return !slices.Contains(ours, addr)
}

// Here reports whether an address is this machine's: loopback, or of an interface.
func Here(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	return addr.IsLoopback() || addr.IsUnspecified() || slices.Contains(ours(), addr)
}

// ours returns the addresses of this machine's interfaces. If the system does not say
// them, there are none, and more addresses need consent.
func ours() []netip.Addr {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var addrs []netip.Addr
	for _, a := range list {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil {
			addrs = append(addrs, prefix.Addr().Unmap().WithZone(""))
		}
	}
	return addrs
}

// Refusal is the error of a command that was not allowed to send to Addr.
type Refusal struct {
	Host  string     // as the user has named it
	Addr  netip.Addr // an address of Host that is not ours
	Sends string     // what would be sent: "60 requests on 51 connections"
}

func (r *Refusal) Error() string {
	at := r.Host
	if r.Host != r.Addr.String() {
		at += " (" + r.Addr.String() + ")"
	}
	return fmt.Sprintf("%s is not on this machine and not in a private network. Nothing was sent. kabench would send %s. Add --%s if you are allowed to load this server", at, r.Sends, Flag)
}

// Check returns a *Refusal for the first address that needs consent, nil if there is
// none. Sends says what would be sent, for the Refusal.
func Check(host string, addrs []netip.Addr, sends string) error {
	mine := ours()
	for _, addr := range addrs {
		if needed(addr, mine) {
			return &Refusal{Host: host, Addr: addr, Sends: sends}
		}
	}
	return nil
}
