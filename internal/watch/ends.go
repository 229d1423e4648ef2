package watch

import (
	"net/netip"
	"slices"
)

// Ends says whose connections are watched: those that the service accepts where it listens,
// and those that it opens to its targets. An unspecified address stands for every address.
// Without any end, all connections of the network namespace are watched.
type Ends struct{ Listens, Targets []netip.AddrPort }

// All reports whether every connection is watched.
func (e Ends) All() bool { return len(e.Listens) == 0 && len(e.Targets) == 0 }

// Accepts reports whether the service accepts connections at this address.
func (e Ends) Accepts(local netip.AddrPort) bool { return has(e.Listens, local) }

// Opens reports whether the service opens connections to this address.
func (e Ends) Opens(remote netip.AddrPort) bool { return has(e.Targets, remote) }

func has(list []netip.AddrPort, a netip.AddrPort) bool {
	return slices.ContainsFunc(list, func(want netip.AddrPort) bool {
		return want.Port() == a.Port() && (want.Addr().IsUnspecified() || want.Addr().Unmap() == a.Addr().Unmap())
	})
}
