package network

import (
	"cmp"
	"net/netip"
	"time"
)

// ClientName is the host that is always there: the namespace of the process
// itself, so that whatever code dials without asking dials from it.
const ClientName = "client"

const (
	maxDelay     = time.Hour // so that a slip of the unit is an error and not a run that never ends
	defaultMTU   = 1500      // bytes, as Ethernet's
	maxHosts     = 64        // the wire looks at each device after each wait
	maxAddresses = 200       // all hosts and balancers together: the last byte of the address
	// defaultSnap holds IP and TCP headers with all options and the head of the
	// payload: a request line, or a TLS record's header.
	defaultSnap    = 160
	defaultPackets = 1 << 18 // 65 MB with defaultSnap; 13 s at 20,000 packets/s
)

// Config is a whole network: the `network:` section of a profile. The zero
// value is the client alone.
type Config struct {
	// Hosts besides the client, in the order of their addresses. One named
	// "client" sets the client's own settings.
	Hosts []Host `yaml:"hosts"`
	// Links between hosts. Two hosts without one are joined without delay.
	Links []Link `yaml:"links,omitempty"`
	// Balancers stand between clients and backends, at addresses of their own.
	Balancers []Balancer `yaml:"balancers,omitempty"`
	// Seed of loss and jitter.
	Seed uint64 `yaml:"seed,omitempty"`
	// MTU of every link in bytes, 576 to 9000; 0: 1500.
	MTU int `yaml:"mtu,omitempty"`
	// Subnet is the /24 that addresses are taken from; the zero value is
	// 10.77.0.0/24. It exists inside the sandbox only.
	Subnet netip.Prefix `yaml:"subnet,omitempty"`
	// Record bounds the record of packets.
	Record Record `yaml:"record,omitempty"`
}

// Host is one host.
type Host struct {
	Name string `yaml:"name"`
	// Addresses is how many IPv4 addresses it has; 0: 1.
	Addresses int `yaml:"addresses,omitempty"`
	// PortRange is the first and last ephemeral port
	// (net.ipv4.ip_local_port_range); zero: the kernel's, 32768 to 60999.
	PortRange [2]int `yaml:"port_range,omitempty"`
	// Sysctls are the host's kernel settings by name, all of net.*, such as
	// net.ipv4.tcp_tw_reuse: "0". One that a namespace does not have is an error.
	Sysctls map[string]string `yaml:"sysctls,omitempty"`
}

// Conditions are what a link does to all packets of a direction. The zero value
// is a perfect wire.
type Conditions struct {
	// Delay is how long a packet travels, one way.
	Delay time.Duration `yaml:"delay,omitempty"`
	// Jitter is added to Delay: uniform from 0 to this. Packets keep their order.
	Jitter time.Duration `yaml:"jitter,omitempty"`
	// Loss is the share of packets that vanish, 0 to 1.
	Loss float64 `yaml:"loss,omitempty"`
	// Bandwidth in bits per second, IP headers counted; 0: unlimited.
	Bandwidth int64 `yaml:"bandwidth,omitempty"`
	// Queue is how many bytes wait in front of Bandwidth before further ones are
	// dropped; 0: 100 ms worth of it, and at least ten full packets.
	Queue int64 `yaml:"queue,omitempty"`
}

// Link is what lies between two hosts, or a host and a balancer.
//
// Rules and flows judge a packet as it enters the link, before loss and delay;
// a RST they send travels the link's delay. So it comes back after as long as a
// round trip to the middle of the link takes.
type Link struct {
	Between    [2]string `yaml:"between"` // two names
	Conditions `yaml:",inline"`
	// There replaces the conditions from the first name to the second, Back the
	// other way.
	There *Conditions `yaml:"there,omitempty"`
	Back  *Conditions `yaml:"back,omitempty"`
	// Rules are tried in order; the first that strikes decides.
	Rules []Rule `yaml:"rules,omitempty"`
	// Flows makes the link a middlebox that remembers TCP flows and forgets them.
	Flows *Flows `yaml:"flows,omitempty"`
}

// Name is the link's name in the record of packets: "client-server".
func (c Link) Name() string { return c.Between[0] + "-" + c.Between[1] }

// Flows is a memory of TCP flows that ends before the connections do. A
// flow is known from its SYN, or from any packet where Unknown is pass.
type Flows struct {
	// Idle is how long after the last packet of either direction a flow is
	// forgotten; 0: never.
	Idle time.Duration `yaml:"idle,omitempty"`
	// Lifetime is how long after its first packet a flow is forgotten in any
	// case; 0: never.
	Lifetime time.Duration `yaml:"lifetime,omitempty"`
	// Unknown is what becomes of other packets than SYNs of unknown flows.
	Unknown Unknown `yaml:"unknown,omitempty"`
	// AtExpiry is what the two ends are told when a flow's time is over.
	AtExpiry Expiry `yaml:"at_expiry,omitempty"`
}

// Balancer is an L4 balancer: it has an address of its own, passes what
// arrives there to one of its backends under the backend's address, and what
// the backend answers back under its own. It carries TCP, on any port, and
// never speaks TCP itself but for the RST it may be told to send.
type Balancer struct {
	Name     string   `yaml:"name"`
	Backends []string `yaml:"backends"` // hosts
	Choose   Choice   `yaml:"choose,omitempty"`
	// Flows is its memory of which backend a flow went to. Forgotten and
	// passed on (unknown: pass), a flow is given to the backend chosen anew:
	// by source_hash the same, by round_robin the next.
	Flows `yaml:",inline"`
	// DirectReturn lets answers pass unseen, as with direct server return: they
	// neither keep a flow alive nor need one.
	DirectReturn bool `yaml:"direct_return,omitempty"`
}

// Rule strikes the packets that match everything it says.
type Rule struct {
	// Name is written into the record; "": "rule 1" by its place.
	Name string `yaml:"name,omitempty"`
	// From is the end of the link that sent the packet; "": both.
	From string `yaml:"from,omitempty"`
	// Src and Dst are a host, a balancer or an IPv4 address; "": any.
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
	// Skip lets so many matching packets pass first; Times ends the rule after
	// it struck so often, 0: never. With PerConnection both are counted for each
	// connection on its own.
	Skip          int  `yaml:"skip,omitempty"`
	Times         int  `yaml:"times,omitempty"`
	PerConnection bool `yaml:"per_connection,omitempty"`
	// After and Until name events: the rule sleeps before the
	// one and after the other.
	After string `yaml:"after,omitempty"`
	Until string `yaml:"until,omitempty"`
	// Do is what happens to the packet, and To who hears of it.
	Do Action `yaml:"do,omitempty"`
	To RSTTo  `yaml:"to,omitempty"`
}

// Record bounds the record of packets. When it is full the oldest packets
// are forgotten, and counted.
type Record struct {
	// Packets kept; 0: 262144.
	Packets int `yaml:"packets,omitempty"`
	// Snap is how many bytes of each are kept, 80 to the MTU; 0: 160.
	Snap int `yaml:"snap,omitempty"`
}

// WithDefaults returns c with its defaults in the place of the zero values that
// stand for them, and with the client as the first of the hosts.
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

// hosts are all hosts, the client first.
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

// Addrs are the addresses of a host or balancer, none when there is none of that
// name: one after the other from the beginning of the subnet, the client's
// first, then those of the hosts and of the balancers in their order.
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
	return nil
}

// Ports are the first and last ephemeral port of a host; false when its sysctls
// say so, or there is none of that name.
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
		return [2]int{32768, 60999}, true // the kernel's, of each new namespace
	}
	return [2]int{}, false
}
