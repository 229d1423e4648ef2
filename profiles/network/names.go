package network

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// The names of hosts that a profile need not name, and what a resolver does by default.
const (
	dnsHost           = "dns"
	defaultDNSTimeout = 5 * time.Second // resolv.conf(5), options timeout
	maxUnanswered     = 8
	maxTTL            = 7 * 24 * time.Hour
)

// DNSPort is the port of the network's DNS server.
const DNSPort = 53

// brokenIPv6 is the network of the client's IPv6 address. A resolver that sorts by RFC 6724
// prefers its addresses to IPv4, as it prefers all global ones; a local one (fd00::/8) would
// come after IPv4. It exists only inside the sandbox.
var brokenIPv6 = netip.MustParsePrefix("2001:db8:77::/64")

// DNS is a DNS server of the network and the names that it knows. The client asks it, and
// not the machine's.
type DNS struct {
	// On is the server's host; "": dns.
	On string `yaml:"on,omitempty"`
	// Delay is how long the server takes for each answer, 0 to 1 h.
	Delay time.Duration `yaml:"delay,omitempty"`
	// Unanswered is how many queries for the same name and type the server leaves without an
	// answer before it answers one, 0 to 8. Then it begins again. A lookup thus loses its
	// first queries, as with a middlebox that drops them.
	Unanswered int `yaml:"unanswered,omitempty"`
	// Timeout is how long the client waits for an answer before it asks again, as `options
	// timeout` of resolv.conf; 0: 5 s.
	Timeout time.Duration `yaml:"timeout,omitempty"`
	// Records are what the server knows. Those of one name are added up.
	Records []DNSRecord `yaml:"records"`
}

// DNSRecord are addresses of a name.
type DNSRecord struct {
	// Name is the name, of labels of a-z, 0-9 and -, such as api.test.
	Name string `yaml:"name"`
	// To are hosts and balancers: the answer has their IPv4 addresses.
	To []string `yaml:"to"`
	// IPv6 adds an IPv6 address for each IPv4 address of To. Nothing that is sent there
	// arrives; see Config.BrokenIPv6.
	IPv6 bool `yaml:"ipv6,omitempty"`
	// TTL is how long the answer may be kept, in whole seconds; 0: not at all.
	TTL time.Duration `yaml:"ttl,omitempty"`
	// After and Until name events: the record does not exist before After and from Until on.
	After string `yaml:"after,omitempty"`
	Until string `yaml:"until,omitempty"`
}

// Host returns the name of the server's host.
func (d *DNS) Host() string {
	if d.On == "" {
		return dnsHost
	}
	return d.On
}

// Wait returns how long the client waits for an answer.
func (d *DNS) Wait() time.Duration {
	if d.Timeout == 0 {
		return defaultDNSTimeout
	}
	return d.Timeout
}

// Name returns the first name that d knows.
func (d *DNS) Name() string {
	if d == nil || len(d.Records) == 0 {
		return ""
	}
	return d.Records[0].Name
}

// Knows reports whether the name has a record at any time.
func (d *DNS) Knows(name string) bool {
	return d != nil && slices.ContainsFunc(d.Records, func(r DNSRecord) bool { return r.Name == name })
}

// To returns the hosts and balancers that the name leads to at any time, in their order.
func (d *DNS) To(name string) (to []string) {
	for _, r := range d.Records {
		for _, t := range r.To {
			if r.Name == name && !slices.Contains(to, t) {
				to = append(to, t)
			}
		}
	}
	return to
}

// IPv6Of returns the IPv6 address that names have for an IPv4 address of the network.
// Nothing that is sent there arrives.
func IPv6Of(a netip.Addr) netip.Addr {
	six, four := brokenIPv6.Addr().As16(), a.Unmap().As4()
	copy(six[12:], four[:])
	return netip.AddrFrom16(six)
}

// IPv6Net is the network of all addresses of IPv6Of.
func IPv6Net() netip.Prefix { return brokenIPv6 }

// dns complains about the section dns of c.
func (v *validator) dns(d *DNS) {
	switch on := d.Host(); {
	case !v.hosts[on]:
		v.bad("dns.on: there is no host %q; add one to hosts, or name another (%s)", on, others(v.hosts))
	case on == ClientName:
		v.bad("dns.on: it cannot be the client; name another host")
	}
	if d.Delay < 0 || d.Delay > maxDelay {
		v.bad("dns.delay: %v is not between 0 and %v", d.Delay, maxDelay)
	}
	if d.Unanswered < 0 || d.Unanswered > maxUnanswered {
		v.bad("dns.unanswered: %d is not between 0 and %d", d.Unanswered, maxUnanswered)
	}
	if d.Timeout < 0 || d.Timeout > maxDelay {
		v.bad("dns.timeout: %v is not between 0 and %v (0 is %v)", d.Timeout, maxDelay, defaultDNSTimeout)
	}
	if len(d.Records) == 0 {
		v.bad("dns.records: there are none; add one with a name and to, or remove dns")
	}
	for i, r := range d.Records {
		v.record(fmt.Sprintf("dns.records[%d]", i), r)
	}
}

func (v *validator) record(at string, r DNSRecord) {
	if !validName(r.Name) || v.names[r.Name] {
		v.bad("%s.name: %q is not a name of at least two labels, such as api.test", at, r.Name)
	}
	if len(r.To) == 0 {
		v.bad("%s.to: there are none; name the hosts or balancers that the name leads to", at)
	}
	for _, name := range r.To {
		switch {
		case !v.names[name]:
			v.bad("%s.to: there is no host or balancer %q; %s", at, name, others(v.names))
		case name == ClientName:
			v.bad("%s.to: the name cannot lead to the client", at)
		}
	}
	if r.TTL < 0 || r.TTL > maxTTL || r.TTL%time.Second != 0 {
		v.bad("%s.ttl: %v is not a number of whole seconds between 0 and %v", at, r.TTL, maxTTL)
	}
	if r.After != "" && r.After == r.Until {
		v.bad("%s.until: the same event as after: the record would never exist", at)
	}
}

// validName reports whether name has at least two labels, each of 1 to 63 of a-z, 0-9 and -,
// and is no IP address.
func validName(name string) bool {
	labels := strings.Split(name, ".")
	if _, err := netip.ParseAddr(name); err == nil || len(labels) < 2 || len(name) > 253 {
		return false
	}
	return !slices.ContainsFunc(labels, func(l string) bool {
		return l == "" || len(l) > 63 || strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || l[0] == '-' || l[len(l)-1] == '-'
	})
}
