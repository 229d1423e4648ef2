package profiles

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/kabench/kabench/profiles/network"
)

// unmatched says why r can match no packet on the leg in the network c; "" if it can
// match one.
func (g leg) unmatched(c *network.Config, r network.Rule, port uint16) string {
	if why := neverSent(r); why != "" {
		return why
	}
	there := (r.From == "" || r.From == g.near) && sentByOpener(r) &&
		isOneOf(c, r.Src, g.clients...) && isOneOf(c, r.Dst, g.servers...) && g.isClientPort(c, r.SrcPort) && (r.DstPort == 0 || r.DstPort == port)
	back := (r.From == "" || r.From == g.far) && sentByOther(r) &&
		isOneOf(c, r.Src, g.servers...) && isOneOf(c, r.Dst, g.clients...) && (r.SrcPort == 0 || r.SrcPort == port) && g.isClientPort(c, r.DstPort)
	if there || back {
		return ""
	}
	return fmt.Sprintf("packets here go from %s to %s at port %d and back", strings.Join(g.clients, ", "), strings.Join(g.servers, ", "), port)
}

// isOneOf reports whether want, a rule's src or dst (a name or an address), can be the
// address of one of names.
func isOneOf(c *network.Config, want string, names ...string) bool {
	addr, err := netip.ParseAddr(want)
	if want == "" || slices.Contains(names, want) {
		return true
	}
	return err == nil && slices.ContainsFunc(names, func(n string) bool { return slices.Contains(c.Addrs(n), addr) })
}

// isClientPort reports whether a connection over the leg may come from the port; 0
// stands for any port.
func (g leg) isClientPort(c *network.Config, port uint16) bool {
	return port == 0 || slices.ContainsFunc(g.clients, func(n string) bool {
		ports, known := c.Ports(n)
		return !known || ports[0] <= int(port) && int(port) <= ports[1]
	})
}

// neverSent says why TCP never sends a packet with r's flags; "" if it does.
func neverSent(r network.Rule) string {
	const alone = "comes alone or with . (ACK), and without data"
	has := func(f network.Flags) bool { return r.Flags&f != 0 }
	switch {
	case has(network.SYN) && (has(network.FIN|network.RST|network.PSH|network.URG) || r.Data):
		return "the flag S " + alone
	case has(network.RST) && (has(network.FIN|network.PSH|network.URG) || r.Data):
		return "the flag R " + alone
	case r.NotFlags&network.ACK != 0 && (has(network.FIN|network.PSH|network.URG) || r.Data):
		return "only packets with the flag S or R come without . (ACK)"
	}
	return ""
}

// sentByOpener reports whether the side that opens a connection may send packets with
// r's flags, and sentByOther whether the other side may. The first SYN has no ACK and
// comes from the opener; the SYN that responds to it has one.
func sentByOpener(r network.Rule) bool {
	return r.Flags&(network.SYN|network.ACK) != network.SYN|network.ACK
}

func sentByOther(r network.Rule) bool {
	return r.Flags&network.SYN == 0 || r.NotFlags&network.ACK == 0
}
