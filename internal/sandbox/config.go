package sandbox

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
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
	Hosts []HostConfig `yaml:"hosts"`
	// Links between hosts. Two hosts without one are joined without delay.
	Links []LinkConfig `yaml:"links,omitempty"`
	// Balancers stand between clients and backends, at addresses of their own.
	Balancers []BalancerConfig `yaml:"balancers,omitempty"`
	// Seed of loss and jitter.
	Seed uint64 `yaml:"seed,omitempty"`
	// MTU of every link in bytes, 576 to 9000; 0: 1500.
	MTU int `yaml:"mtu,omitempty"`
	// Subnet is the /24 that addresses are taken from; the zero value is
	// 10.77.0.0/24. It exists inside the sandbox only.
	Subnet netip.Prefix `yaml:"subnet,omitempty"`
	// Record bounds the record of packets.
	Record RecordConfig `yaml:"record,omitempty"`
}

// HostConfig is one host.
type HostConfig struct {
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

// LinkConfig is what lies between two hosts, or a host and a balancer.
//
// Rules and flows judge a packet as it enters the link, before loss and delay;
// a RST they send travels the link's delay. So it comes back after as long as a
// round trip to the middle of the link takes.
type LinkConfig struct {
	Between    [2]string `yaml:"between"` // two names
	Conditions `yaml:",inline"`
	// There replaces the conditions from the first name to the second, Back the
	// other way.
	There *Conditions `yaml:"there,omitempty"`
	Back  *Conditions `yaml:"back,omitempty"`
	// Rules are tried in order; the first that strikes decides.
	Rules []RuleConfig `yaml:"rules,omitempty"`
	// Flows makes the link a middlebox that remembers TCP flows and forgets them.
	Flows *FlowConfig `yaml:"flows,omitempty"`
}

// Name is how the link is called in the record and by [Network.Forget]:
// "client-server".
func (c LinkConfig) Name() string { return c.Between[0] + "-" + c.Between[1] }

// FlowConfig is a memory of TCP flows that ends before the connections do. A
// flow is known from its SYN, or from any packet where Unknown is pass.
type FlowConfig struct {
	// Idle is how long after the last packet of either direction a flow is
	// forgotten; 0: never.
	Idle time.Duration `yaml:"idle,omitempty"`
	// Lifetime is how long after its first packet a flow is forgotten in any
	// case; 0: never.
	Lifetime time.Duration `yaml:"lifetime,omitempty"`
	// Unknown is what becomes of other packets than SYNs of unknown flows.
	Unknown Unknown `yaml:"unknown,omitempty"`
	// AtExpiry is what the ends hear of it. A flow forgotten by [Network.Forget]
	// is forgotten silently.
	AtExpiry Expiry `yaml:"at_expiry,omitempty"`
}

// BalancerConfig is an L4 balancer: it has an address of its own, passes what
// arrives there to one of its backends under the backend's address, and what
// the backend answers back under its own. It carries TCP, on any port, and
// never speaks TCP itself but for the RST it may be told to send.
type BalancerConfig struct {
	Name     string   `yaml:"name"`
	Backends []string `yaml:"backends"` // hosts
	Choose   Choice   `yaml:"choose,omitempty"`
	// FlowConfig is its memory of which backend a flow went to. Forgotten and
	// passed on (unknown: pass), a flow is given to the backend chosen anew:
	// by source_hash the same, by round_robin the next.
	FlowConfig `yaml:",inline"`
	// DirectReturn lets answers pass unseen, as with direct server return: they
	// neither keep a flow alive nor need one.
	DirectReturn bool `yaml:"direct_return,omitempty"`
}

// RuleConfig strikes the packets that match everything it says.
type RuleConfig struct {
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
	// After and Until name events ([Network.Event]): the rule sleeps before the
	// one and after the other.
	After string `yaml:"after,omitempty"`
	Until string `yaml:"until,omitempty"`
	// Do is what happens to the packet, and To who hears of it.
	Do Action `yaml:"do,omitempty"`
	To RSTTo  `yaml:"to,omitempty"`
}

// RecordConfig bounds the record of packets. When it is full the oldest packets
// are forgotten, and counted.
type RecordConfig struct {
	// Packets kept; 0: 262144.
	Packets int `yaml:"packets,omitempty"`
	// Snap is how many bytes of each are kept, 80 to the MTU; 0: 160.
	Snap int `yaml:"snap,omitempty"`
}

func (c Config) mtu() int {
	if c.MTU == 0 {
		return defaultMTU
	}
	return c.MTU
}

func (c Config) subnet() netip.Prefix {
	if !c.Subnet.IsValid() {
		return netip.MustParsePrefix("10.77.0.0/24")
	}
	return c.Subnet.Masked()
}

func (c RecordConfig) packets() int {
	if c.Packets == 0 {
		return defaultPackets
	}
	return c.Packets
}

func (c RecordConfig) snap() int {
	if c.Snap == 0 {
		return defaultSnap
	}
	return c.Snap
}

// hosts are all hosts, the client first.
func (c Config) hosts() []HostConfig {
	hosts := []HostConfig{{Name: ClientName}}
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

// Validate returns every complaint about c, joined, each beginning with the
// name of the field; nil when there is none. It changes nothing.
func (c Config) Validate() error {
	v := &validator{hosts: map[string]bool{ClientName: true}, names: map[string]bool{ClientName: true}}
	v.config(c)
	return errors.Join(v.errs...)
}

type validator struct {
	errs  []error
	hosts map[string]bool
	names map[string]bool // hosts and balancers
}

func (v *validator) bad(format string, args ...any) {
	v.errs = append(v.errs, fmt.Errorf(format, args...))
}

func (v *validator) config(c Config) {
	if c.MTU != 0 && (c.MTU < 576 || c.MTU > 9000) {
		v.bad("mtu: %d is not between 576 and 9000", c.MTU)
	}
	if c.Subnet.IsValid() && (!c.Subnet.Addr().Is4() || c.Subnet.Bits() != 24 || !c.Subnet.Addr().IsPrivate()) {
		v.bad("subnet: %v is not a private IPv4 /24 such as 10.77.0.0/24", c.Subnet)
	}
	if c.Record.Packets < 0 || c.Record.Packets > 1<<22 {
		v.bad("record.packets: %d is not between 0 and %d", c.Record.Packets, 1<<22)
	}
	if c.Record.Snap != 0 && (c.Record.Snap < 80 || c.Record.Snap > c.mtu()) {
		v.bad("record.snap: %d is not between 80 and the MTU, %d", c.Record.Snap, c.mtu())
	}
	addresses := 1 + len(c.Balancers)
	for i, h := range c.Hosts {
		v.host(fmt.Sprintf("hosts[%d]", i), h, slices.ContainsFunc(c.Hosts[:i], func(o HostConfig) bool { return o.Name == h.Name }))
		addresses += max(h.Addresses, 1)
	}
	if len(c.Hosts) > maxHosts {
		v.bad("hosts: %d are more than %d", len(c.Hosts), maxHosts)
	}
	if addresses > maxAddresses {
		v.bad("hosts: %d addresses are more than %d", addresses, maxAddresses)
	}
	taken := map[string]string{}
	for i, b := range c.Balancers {
		v.balancer(fmt.Sprintf("balancers[%d]", i), b, taken)
	}
	seen := map[[2]string]bool{}
	for i, l := range c.Links {
		v.link(fmt.Sprintf("links[%d]", i), l)
		pair := l.Between
		slices.Sort(pair[:])
		if seen[pair] {
			v.bad("links[%d].between: %s and %s have a link already", i, pair[0], pair[1])
		}
		seen[pair] = true
	}
}

func (v *validator) name(at, name string, taken bool) {
	switch {
	case name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != "":
		v.bad("%s.name: %q is not a name of lower-case letters, digits and _", at, name)
	case taken:
		v.bad("%s.name: %q is there already", at, name)
	}
}

func (v *validator) host(at string, h HostConfig, taken bool) {
	v.name(at, h.Name, taken)
	v.hosts[h.Name], v.names[h.Name] = true, true
	if h.Addresses < 0 {
		v.bad("%s.addresses: %d is negative", at, h.Addresses)
	}
	if r := h.PortRange; r != [2]int{} && (r[0] < 1024 || r[1] > 65535 || r[0] > r[1]) {
		v.bad("%s.port_range: %d to %d is not a range within 1024 to 65535", at, r[0], r[1])
	}
	for key := range h.Sysctls {
		if err := checkSysctl(key); err != nil {
			v.bad("%s.sysctls: %w", at, err)
		}
	}
}

// checkSysctl refuses keys that are not settings of a network namespace.
func checkSysctl(key string) error {
	if !strings.HasPrefix(key, "net.") || strings.Contains(key, "/") || strings.Contains(key, "..") {
		return fmt.Errorf("%q is not a setting of a network namespace; those are named net.*, such as net.ipv4.tcp_tw_reuse", key)
	}
	return nil
}

func (v *validator) balancer(at string, b BalancerConfig, taken map[string]string) {
	v.name(at, b.Name, v.names[b.Name])
	v.names[b.Name] = true
	if len(b.Backends) == 0 {
		v.bad("%s.backends: there are none; name the hosts to which it is to pass connections on", at)
	}
	for _, name := range b.Backends {
		switch {
		case !v.hosts[name]:
			v.bad("%s.backends: there is no host %q", at, name)
		case name == ClientName:
			v.bad("%s.backends: the client cannot be a backend", at)
		case taken[name] != "":
			v.bad("%s.backends: %q is a backend of %q already", at, name, taken[name])
		}
		taken[name] = b.Name
	}
	if !choiceNames.Known(b.Choose) {
		v.bad("%s.choose: %v", at, b.Choose)
	}
	v.flows(at, b.FlowConfig)
}

func (v *validator) flows(at string, f FlowConfig) {
	if f.Idle < 0 || f.Idle > maxDelay {
		v.bad("%s.idle: %v is not between 0 and %v", at, f.Idle, maxDelay)
	}
	if f.Lifetime < 0 || f.Lifetime > maxDelay {
		v.bad("%s.lifetime: %v is not between 0 and %v", at, f.Lifetime, maxDelay)
	}
	if !unknownNames.Known(f.Unknown) {
		v.bad("%s.unknown: %v", at, f.Unknown)
	}
	if !expiryNames.Known(f.AtExpiry) {
		v.bad("%s.at_expiry: %v", at, f.AtExpiry)
	}
	if f.AtExpiry != ExpirySilent && f.Idle == 0 {
		v.bad("%s.at_expiry: has no effect without idle; set idle or remove it", at)
	}
}

func (v *validator) link(at string, l LinkConfig) {
	for _, name := range l.Between {
		if !v.names[name] {
			v.bad("%s.between: there is no host or balancer %q", at, name)
		}
	}
	if l.Between[0] == l.Between[1] {
		v.bad("%s.between: %q twice; a link joins two", at, l.Between[0])
	}
	v.conditions(at, l.Conditions)
	if l.There != nil {
		v.conditions(at+".there", *l.There)
	}
	if l.Back != nil {
		v.conditions(at+".back", *l.Back)
	}
	if l.There != nil && l.Back != nil && l.Conditions != (Conditions{}) {
		v.bad("%s: has conditions for both directions, so those beside them have no effect; remove one", at)
	}
	if l.Flows != nil {
		v.flows(at+".flows", *l.Flows)
	}
	for i, r := range l.Rules {
		v.rule(fmt.Sprintf("%s.rules[%d]", at, i), r, l)
	}
}

func (v *validator) conditions(at string, c Conditions) {
	if c.Delay < 0 || c.Delay > maxDelay {
		v.bad("%s.delay: %v is not between 0 and %v", at, c.Delay, maxDelay)
	}
	if c.Jitter < 0 || c.Jitter > maxDelay {
		v.bad("%s.jitter: %v is not between 0 and %v", at, c.Jitter, maxDelay)
	}
	if !(c.Loss >= 0 && c.Loss <= 1) { // NaN too
		v.bad("%s.loss: %v is not between 0 and 1", at, c.Loss)
	}
	if c.Bandwidth != 0 && (c.Bandwidth < 1000 || c.Bandwidth > 1e12) {
		v.bad("%s.bandwidth: %d bits/s is not between 1000 and 10^12 (0 is unlimited)", at, c.Bandwidth)
	}
	if c.Queue < 0 || c.Queue > 1<<30 {
		v.bad("%s.queue: %d bytes is not between 0 and 2^30", at, c.Queue)
	}
	if c.Queue > 0 && c.Bandwidth == 0 {
		v.bad("%s.queue: has no effect without bandwidth; set bandwidth or remove it", at)
	}
}

func (v *validator) rule(at string, r RuleConfig, l LinkConfig) {
	if r.From != "" && r.From != l.Between[0] && r.From != l.Between[1] {
		v.bad("%s.from: %q is not an end of this link, %s or %s: the rule would match nothing", at, r.From, l.Between[0], l.Between[1])
	}
	for _, end := range [...]struct{ field, name string }{{"src", r.Src}, {"dst", r.Dst}} {
		if a, err := netip.ParseAddr(end.name); end.name != "" && !v.names[end.name] && (err != nil || !a.Is4()) {
			v.bad("%s.%s: %q is no host, balancer or IPv4 address", at, end.field, end.name)
		}
	}
	if both := r.Flags & r.NotFlags; both != 0 {
		v.bad("%s.not_flags: %v must be set and must not be: the rule would match nothing", at, both)
	}
	if r.Skip < 0 {
		v.bad("%s.skip: %d is negative", at, r.Skip)
	}
	if r.Times < 0 {
		v.bad("%s.times: %d is negative", at, r.Times)
	}
	if !actionNames.Known(r.Do) {
		v.bad("%s.do: %v", at, r.Do)
	}
	if !rstToNames.Known(r.To) {
		v.bad("%s.to: %v", at, r.To)
	}
	if r.To != RSTToSender && r.Do != ActionRST {
		v.bad("%s.to: has no effect without do: rst", at)
	}
	if r.After != "" && r.After == r.Until {
		v.bad("%s.until: the same event as after: the rule would match nothing", at)
	}
}
