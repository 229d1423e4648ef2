package network

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// ClientName is the host that every network has: the namespace of the process
// itself. Code that does not choose a host dials from it.
const ClientName = "client"

const (
	maxDelay     = time.Hour // so that a wrong unit is an error and not a run that never ends
	defaultMTU   = 1500      // bytes, as on Ethernet
	maxHosts     = 64        // the wire checks each device after each wait
	maxAddresses = 200       // of all hosts, balancers and NATs together; they differ in their last byte
	maxFlows     = 1 << 20   // of Flows.Max
	// defaultSnap holds IP and TCP headers with all options and the head of the
	// payload: a request line, or a TLS record's header.
	defaultSnap    = 160
	defaultPackets = 1 << 18 // 65 MB with defaultSnap; 13 s at 20,000 packets/s
)

// Config is a whole network: the `network:` section of a profile. The zero value is
// a network of the client alone.
type Config struct {
	// Hosts are the hosts besides the client, in the order of their addresses. One
	// named "client" holds the settings of the client.
	Hosts []Host `yaml:"hosts"`
	// Links are the links between hosts. Two hosts without one are connected without
	// delay.
	Links []Link `yaml:"links,omitempty"`
	// Balancers stand between the client and hosts, and have addresses of their own.
	Balancers []Balancer `yaml:"balancers,omitempty"`
	// NATs stand between hosts and all that is not behind the same NAT, and have
	// addresses of their own.
	NATs []NAT `yaml:"nats,omitempty"`
	// Seed is the seed of loss and jitter.
	Seed uint64 `yaml:"seed,omitempty"`
	// MTU is the largest packet of every link in bytes, 576 to 9000; 0: 1500.
	MTU int `yaml:"mtu,omitempty"`
	// Subnet is the /24 network of all addresses; the zero value is 10.77.0.0/24. It
	// exists only inside the sandbox.
	Subnet netip.Prefix `yaml:"subnet,omitempty"`
	// Record bounds the record of packets.
	Record Record `yaml:"record,omitempty"`
}

// Host is a machine of the network.
type Host struct {
	// Name is what links, balancers and target.on call it.
	Name string `yaml:"name"`
	// Addresses is the number of its IPv4 addresses; 0: 1.
	Addresses int `yaml:"addresses,omitempty"`
	// PortRange is the first and last ephemeral port
	// (net.ipv4.ip_local_port_range); zero: the kernel's default, 32768 to 60999.
	PortRange [2]int `yaml:"port_range,omitempty"`
	// Sysctls are the host's kernel settings by name, such as
	// net.ipv4.tcp_tw_reuse: "0". All names begin with net. A setting that a network
	// namespace does not have is an error.
	Sysctls map[string]string `yaml:"sysctls,omitempty"`
}

// Conditions are what a link does to all packets in one direction. The zero value is
// a perfect wire.
type Conditions struct {
	// Delay is how long a packet travels in one direction.
	Delay time.Duration `yaml:"delay,omitempty"`
	// Jitter is the largest time added to Delay; each time from 0 to Jitter is equally
	// likely. Packets keep their order.
	Jitter time.Duration `yaml:"jitter,omitempty"`
	// Loss is the share of packets that are lost, 0 to 1.
	Loss float64 `yaml:"loss,omitempty"`
	// Bandwidth is in bits per second, IP headers included; 0: unlimited.
	Bandwidth int64 `yaml:"bandwidth,omitempty"`
	// Queue is how many bytes may wait because of Bandwidth; further packets are
	// dropped. 0: what Bandwidth carries in 100 ms, but at least ten full packets.
	Queue int64 `yaml:"queue,omitempty"`
}

// Link is the connection between two hosts, or between a host and a balancer or NAT.
//
// Rules and flows decide about a packet when it enters the link, before loss and
// delay. A RST that they send is delayed by the link. So the sender receives it after
// the time of a round trip to the middle of the link.
type Link struct {
	Between    [2]string `yaml:"between"` // two names
	Conditions `yaml:",inline"`
	// There replaces the conditions from the first name to the second, Back those
	// from the second to the first.
	There *Conditions `yaml:"there,omitempty"`
	Back  *Conditions `yaml:"back,omitempty"`
	// Rules are checked in their order; the first that matches decides.
	Rules []Rule `yaml:"rules,omitempty"`
	// Flows makes the link a middlebox that remembers TCP flows and forgets them.
	Flows *Flows `yaml:"flows,omitempty"`
}

// Name is the link's name in the record of packets: "client-server".
func (c Link) Name() string { return c.Between[0] + "-" + c.Between[1] }

// Flows is a memory of TCP flows that may forget a flow before its connection ends. A
// flow is known from its SYN on; if Unknown is pass, from any packet on.
type Flows struct {
	// Idle is how long after its last packet, in either direction, a flow is
	// forgotten; 0: never.
	Idle time.Duration `yaml:"idle,omitempty"`
	// Lifetime is how long after its first packet a flow is forgotten, idle or not;
	// 0: never.
	Lifetime time.Duration `yaml:"lifetime,omitempty"`
	// Unknown says what happens to packets of unknown flows, SYNs excepted.
	Unknown Unknown `yaml:"unknown,omitempty"`
	// AtExpiry is what the two ends are sent when a flow is forgotten because of Idle
	// or Lifetime.
	AtExpiry Expiry `yaml:"at_expiry,omitempty"`
	// Max is how many flows fit; 0: all. If no more fit, packets that would add one are
	// dropped silently, and known flows are carried as before. A flow takes its place until
	// it is forgotten, also after its connection has ended.
	Max int `yaml:"max,omitempty"`
}

// Balancer is an L4 balancer with an address of its own. It sends a packet that
// arrives there on to one of its backends, with the backend's address as destination;
// it sends the backend's packets back with its own address as source. It carries TCP
// on any port. By itself it sends at most RSTs.
type Balancer struct {
	Name     string   `yaml:"name"`     // what links and target.at call it
	Backends []string `yaml:"backends"` // hosts
	Choose   Choice   `yaml:"choose,omitempty"`
	// Flows is its memory of the backend of each flow. If a flow was forgotten and
	// Unknown is pass, the balancer chooses a backend again: the same one with
	// source_hash, the next one with round_robin.
	Flows `yaml:",inline"`
	// Joins has the backends that get no connections before an event, each with the name of
	// that event. Leaves has those that get no new connections from an event on. While there
	// is no backend, new connections are refused with a RST.
	Joins  map[string]string `yaml:"joins,omitempty"`
	Leaves map[string]string `yaml:"leaves,omitempty"`
	// AtLeave says what happens to the flows of a backend that has left.
	AtLeave Leaving `yaml:"at_leave,omitempty"`
	// DirectReturn sends the backends' packets past the balancer, as direct server
	// return does: they do not keep a flow alive and do not need one.
	DirectReturn bool `yaml:"direct_return,omitempty"`
}

// Rule does something to the packets that match all of its conditions.
type Rule struct {
	// Name is written into the record of packets; "": the rule's number, such as
	// "rule 1".
	Name string `yaml:"name,omitempty"`
	// From is the end of the link that sent the packet; "": both.
	From string `yaml:"from,omitempty"`
	// Src and Dst are a host, a balancer, a NAT or an IPv4 address; "": any.
	Src string `yaml:"src,omitempty"`
	Dst string `yaml:"dst,omitempty"`
	// SrcPort and DstPort; 0: any.
	SrcPort uint16 `yaml:"src_port,omitempty"`
	DstPort uint16 `yaml:"dst_port,omitempty"`
	// Flags must all be set and NotFlags none: letters as tcpdump writes them,
	// F S R P . (ACK) U. A rule with either matches TCP only.
	Flags    Flags `yaml:"flags,omitempty"`
	NotFlags Flags `yaml:"not_flags,omitempty"`
	// Data matches only packets that carry payload.
	Data bool `yaml:"data,omitempty"`
	// Skip is how many matching packets pass before the rule begins. Times is how
	// often it acts at most; 0: no limit. With PerConnection both are counted for
	// each connection.
	Skip          int  `yaml:"skip,omitempty"`
	Times         int  `yaml:"times,omitempty"`
	PerConnection bool `yaml:"per_connection,omitempty"`
	// After and Until name events: the rule is inactive before After and from Until
	// on.
	After string `yaml:"after,omitempty"`
	Until string `yaml:"until,omitempty"`
	// Do is what happens to the packet. To says who is sent the RST of ActionRST.
	Do Action `yaml:"do,omitempty"`
	To RSTTo  `yaml:"to,omitempty"`
}

// Record bounds the record of packets. When it is full, the oldest packets are
// overwritten; their number is counted.
type Record struct {
	// Packets is how many packets are kept; 0: 262144.
	Packets int `yaml:"packets,omitempty"`
	// Snap is how many bytes of each packet are kept, 80 to the MTU; 0: 160.
	Snap int `yaml:"snap,omitempty"`
}

// WithDefaults returns c with MTU, Subnet and Record filled in where they are zero,
// and with the client as the first host.
func (c Config) WithDefaults() Config {
	c.MTU = c.mtu()
	c.Subnet = c.subnet()
	c.Record.Packets = cmp.Or(c.Record.Packets, defaultPackets)
	c.Record.Snap = cmp.Or(c.Record.Snap, defaultSnap)
	c.Hosts = c.hosts()
	return c
}

func (c Config) mtu() int { return cmp.Or(c.MTU, defaultMTU) }

func (c Config) subnet() netip.Prefix {
	if !c.Subnet.IsValid() {
		return netip.MustParsePrefix("10.77.0.0/24")
	}
	return c.Subnet.Masked()
}

// hosts returns all hosts, the client first.
func (c Config) hosts() []Host {
	hosts := []Host{{Name: ClientName}}
	for _, h := range c.Hosts {
		if h.Name == ClientName {
			hosts[0] = h
		} else {
			hosts = append(hosts, h)
		}
	}
	return hosts
}

// Addrs returns the addresses of the host, balancer or NAT with this name; none if there
// is no such name. Addresses are given out from the beginning of the subnet: to the
// client, then to the hosts, the balancers and the NATs, in their order.
func (c Config) Addrs(name string) []netip.Addr {
	next := c.subnet().Addr()
	take := func(n int) []netip.Addr {
		addrs := make([]netip.Addr, n)
		for i := range addrs {
			next = next.Next()
			addrs[i] = next
		}
		return addrs
	}
	for _, h := range c.hosts() {
		if addrs := take(max(h.Addresses, 1)); h.Name == name {
			return addrs
		}
	}
	for _, b := range c.Balancers {
		if addrs := take(1); b.Name == name {
			return addrs
		}
	}
	for _, n := range c.NATs {
		if addrs := take(max(n.Addresses, 1)); n.Name == name {
			return addrs
		}
	}
	return nil
}

// Ports returns the first and last ephemeral port of a host. known is false if its
// sysctls set them, or if there is no such host.
func (c Config) Ports(name string) (ports [2]int, known bool) {
	for _, h := range c.hosts() {
		if h.Name != name {
			continue
		}
		_, set := h.Sysctls["net.ipv4.ip_local_port_range"]
		switch {
		case set:
			return [2]int{}, false
		case h.PortRange != [2]int{}:
			return h.PortRange, true
		}
		return [2]int{32768, 60999}, true // the kernel's default in each new namespace
	}
	return [2]int{}, false
}

// Limits reports whether a link or balancer remembers a limited number of flows only.
func (c Config) Limits() bool {
	return slices.ContainsFunc(c.Links, func(l Link) bool { return l.Flows != nil && l.Flows.Max > 0 }) ||
		slices.ContainsFunc(c.Balancers, func(b Balancer) bool { return b.Max > 0 })
}

// Awaits returns the names of the events that c waits for, by the path of the field that
// names them.
func (c Config) Awaits() map[string]string {
	all := map[string]string{}
	for i, l := range c.Links {
		for j, r := range l.Rules {
			for field, name := range map[string]string{"after": r.After, "until": r.Until} {
				if name != "" {
					all[fmt.Sprintf("links.%d.rules.%d.%s", i, j, field)] = name
				}
			}
		}
	}
	for i, b := range c.Balancers {
		for field, events := range map[string]map[string]string{"joins": b.Joins, "leaves": b.Leaves} {
			for host, name := range events {
				if name != "" {
					all[fmt.Sprintf("balancers.%d.%s.%s", i, field, host)] = name
				}
			}
		}
	}
	return all
}
