package network

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

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
	names map[string]bool // hosts, balancers and NATs
}

func (v *validator) bad(format string, args ...any) {
	v.errs = append(v.errs, fmt.Errorf(format, args...))
}

// thereAre lists the names of a set.
func thereAre(names map[string]bool) string {
	return "there are " + strings.Join(slices.Sorted(maps.Keys(names)), ", ")
}

// others lists the names of a set without the client.
func others(names map[string]bool) string {
	names = maps.Clone(names)
	delete(names, ClientName)
	if len(names) == 0 {
		return "there is only the client"
	}
	return thereAre(names)
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
		v.host(fmt.Sprintf("hosts[%d]", i), h, slices.ContainsFunc(c.Hosts[:i], func(o Host) bool { return o.Name == h.Name }))
		addresses += max(h.Addresses, 1)
	}
	for _, n := range c.NATs {
		addresses += max(n.Addresses, 1)
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
	if c.DNS != nil {
		v.dns(c.DNS) // before the NATs, which no name can lead to
	}
	behind := map[string]string{}
	for i, n := range c.NATs {
		v.nat(fmt.Sprintf("nats[%d]", i), c, n, taken, behind)
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
		v.bad("%s.name: %q is taken already", at, name)
	}
}

func (v *validator) host(at string, h Host, taken bool) {
	v.name(at, h.Name, taken)
	v.hosts[h.Name], v.names[h.Name] = true, true
	if h.Addresses < 0 {
		v.bad("%s.addresses: %d is negative", at, h.Addresses)
	}
	if r := h.PortRange; r != [2]int{} && (r[0] < 1024 || r[1] > 65535 || r[0] > r[1]) {
		v.bad("%s.port_range: %d to %d is not a range within 1024 to 65535", at, r[0], r[1])
	}
	for key := range h.Sysctls {
		if err := CheckSysctl(key); err != nil {
			v.bad("%s.sysctls: %w", at, err)
		}
	}
}

// CheckSysctl refuses keys that are not settings of a network namespace.
func CheckSysctl(key string) error {
	if !strings.HasPrefix(key, "net.") || strings.Contains(key, "/") || strings.Contains(key, "..") {
		return fmt.Errorf("%q is not a setting of a network namespace; those are named net.*, such as net.ipv4.tcp_tw_reuse", key)
	}
	return nil
}

func (v *validator) balancer(at string, b Balancer, taken map[string]string) {
	v.name(at, b.Name, v.names[b.Name])
	v.names[b.Name] = true
	if len(b.Backends) == 0 {
		v.bad("%s.backends: there are none; name the hosts to which the balancer sends connections", at)
	}
	for _, name := range b.Backends {
		switch {
		case !v.hosts[name]:
			v.bad("%s.backends: there is no host %q; %s", at, name, others(v.hosts))
		case name == ClientName:
			v.bad("%s.backends: the client cannot be a backend", at)
		case taken[name] != "":
			v.bad("%s.backends: %q is a backend of %q already", at, name, taken[name])
		}
		taken[name] = b.Name
	}
	for field, events := range map[string]map[string]string{"joins": b.Joins, "leaves": b.Leaves} {
		for _, host := range slices.Sorted(maps.Keys(events)) {
			switch {
			case !slices.Contains(b.Backends, host):
				v.bad("%s.%s: %q is not one of the backends", at, field, host)
			case events[host] == "":
				v.bad("%s.%s.%s: name the event at which it does", at, field, host)
			case field == "leaves" && b.Joins[host] == events[host]:
				v.bad("%s.leaves.%s: the same event as in joins: it would get no connection", at, host)
			}
		}
	}
	if !leavingNames.Known(b.AtLeave) {
		v.bad("%s.at_leave: %v", at, b.AtLeave)
	}
	if b.AtLeave != LeavingKeep && len(b.Leaves) == 0 {
		v.bad("%s.at_leave: has no effect without leaves; set leaves or remove it", at)
	}
	if !choiceNames.Known(b.Choose) {
		v.bad("%s.choose: %v", at, b.Choose)
	}
	v.flows(at, b.Flows)
}

func (v *validator) flows(at string, f Flows) {
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
	if f.Max < 0 || f.Max > maxFlows {
		v.bad("%s.max: %d is not between 0 and %d", at, f.Max, maxFlows)
	}
	if f.Max > 0 && f.Lifetime > 0 {
		v.bad("%s.max: does not go with lifetime, after which a flow keeps its place until its next packet; set idle instead", at)
	}
}

// nat checks n. balanced maps backends to their balancer, and behind the hosts seen so
// far to their NAT.
func (v *validator) nat(at string, c Config, n NAT, balanced, behind map[string]string) {
	v.name(at, n.Name, v.names[n.Name])
	v.names[n.Name] = true
	inside := 0
	for _, name := range n.Inside() {
		switch {
		case !v.hosts[name]:
			v.bad("%s.clients: there is no host %q; %s", at, name, thereAre(v.hosts))
		case balanced[name] != "":
			v.bad("%s.clients: %q is a backend of %q, which could not reach it", at, name, balanced[name])
		case behind[name] != "":
			v.bad("%s.clients: %q is behind %q already", at, name, behind[name])
		}
		behind[name] = n.Name
		inside += len(c.Addrs(name))
	}
	if n.Addresses < 0 {
		v.bad("%s.addresses: %d is negative", at, n.Addresses)
	}
	switch {
	case n.Ports < 1 || n.Ports > maxNATPorts:
		v.bad("%s.ports: %d is not between 1 and %d", at, n.Ports, maxNATPorts)
	case n.PortsPer == PortsPerClient && n.Ports*inside > maxNATPorts:
		v.bad("%s.ports: %d for each of %d client addresses are more than the %d that there are", at, n.Ports, inside, maxNATPorts)
	}
	if !portsNames.Known(n.PortsPer) {
		v.bad("%s.ports_per: %v", at, n.PortsPer)
	}
	if n.Reuse < 0 || n.Reuse > maxDelay {
		v.bad("%s.reuse: %v is not between 0 and %v", at, n.Reuse, maxDelay)
	}
	if n.Idle > 0 && n.Idle < n.Reuse {
		v.bad("%s.idle: %v is below reuse, %v: a connection that ended would be forgotten before its port is free", at, n.Idle, n.Reuse)
	}
	v.flows(at, n.Flows())
}

func (v *validator) link(at string, l Link) {
	for _, name := range l.Between {
		if !v.names[name] {
			v.bad("%s.between: there is no host, balancer or NAT %q; %s", at, name, thereAre(v.names))
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

func (v *validator) rule(at string, r Rule, l Link) {
	if r.From != "" && r.From != l.Between[0] && r.From != l.Between[1] {
		v.bad("%s.from: %q is not an end of this link, %s or %s: the rule would match nothing", at, r.From, l.Between[0], l.Between[1])
	}
	for _, end := range [...]struct{ field, name string }{{"src", r.Src}, {"dst", r.Dst}} {
		if a, err := netip.ParseAddr(end.name); end.name != "" && !v.names[end.name] && (err != nil || !a.Is4()) {
			v.bad("%s.%s: %q is no host, balancer, NAT or IPv4 address", at, end.field, end.name)
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
