package profiles

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/kabench/kabench/internal/strictyaml"
	"github.com/kabench/kabench/profiles/network"
)

// maxProxies bounds target.proxies.
const maxProxies = 2

// The hosts that serve target.lab and the proxies if the profile names no others.
const (
	serverHost = "server"
	proxyHost  = "proxy"
)

// Path is the path of requests through a profile's network, by the names of hosts and
// balancers. Every server on it listens at Port.
type Path struct {
	At      string   // where the client connects to, or a name of the network's DNS that leads there
	To      []string // the hosts and balancers that At leads to: itself, or those of a name
	Proxies []string // the hosts of target.proxies, in their order
	// Upstream is what the last proxy connects to: a balancer, or hosts among Servers. It
	// is empty without proxies.
	Upstream []string
	Servers  []string // the hosts that serve target.lab
	Port     uint16   // 80, or 443 if the client speaks TLS; below all ephemeral ports
}

// TLS reports whether p's client speaks TLS to target.lab, or to the first proxy if
// there is one.
func (p *Profile) TLS() bool {
	if len(p.Target.Proxies) > 0 {
		return p.Target.Proxies[0].TLS
	}
	return p.Target.Lab != nil && p.Target.Lab.TLS
}

// Path returns the path through p's network, which p must have. The error joins all
// reasons why there is no path; each begins with the path of a field.
func (p *Profile) Path() (Path, error) {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	path := Path{At: p.Target.At, Port: 80}
	if p.Target.Lab == nil {
		return path, errors.New("network: it has no server; set target.lab (a private network cannot reach a server outside)")
	}
	if p.TLS() {
		path.Port = 443
	}
	hosts := hostNames(p.Network)
	known := func(field, name string) bool {
		switch {
		case name == network.ClientName:
			bad("%s: it cannot be the client; name another host", field)
		case !slices.Contains(hosts, name):
			bad("%s: there is no host %q; %s", field, name, hostsThereAre(hosts))
		default:
			return true
		}
		return false
	}
	path.Servers = p.servers(hosts)
	if len(path.Servers) == 0 {
		bad("target.on: there is no host %q; name the host that serves target.lab (%s)", serverHost, hostsThereAre(hosts))
	}
	for i, name := range path.Servers {
		if known("target.on", name) && slices.Contains(path.Servers[:i], name) {
			bad("target.on: %q twice; remove one", name)
		}
	}
	for i, proxy := range p.Target.Proxies {
		field, name := fmt.Sprintf("target.proxies.%d.on", i), proxy.On
		if name == "" {
			name = proxyHost
		}
		if known(field, name) && (slices.Contains(path.Servers, name) || slices.Contains(path.Proxies, name)) {
			bad("%s: %q is in use; a proxy needs its own host", field, name)
		}
		path.Proxies = append(path.Proxies, name)
	}
	if len(errs) > 0 {
		return path, errors.Join(errs...)
	}
	p.join(&path, bad)
	return path, errors.Join(errs...)
}

// servers returns the hosts that serve target.lab.
func (p *Profile) servers(hosts []string) []string {
	switch {
	case len(p.Target.On) > 0:
		return p.Target.On
	case len(p.Target.Proxies) == 0 && p.Network.DNS.Knows(cmp.Or(p.Target.At, p.Network.DNS.Name())):
		return p.serversOf(p.Network.DNS.To(cmp.Or(p.Target.At, p.Network.DNS.Name())))
	case slices.Contains(hosts, serverHost):
		return []string{serverHost}
	}
	for _, b := range p.Network.Balancers {
		if p.Target.At == "" || p.Target.At == b.Name {
			return b.Backends
		}
	}
	return nil
}

// serversOf returns the hosts among to, and the backends of the balancers among them, each once.
func (p *Profile) serversOf(to []string) (servers []string) {
	for _, name := range to {
		hosts := []string{name}
		if b := balancerNamed(p.Network, name); b != nil {
			hosts = b.Backends
		}
		for _, h := range hosts {
			if !slices.Contains(servers, h) {
				servers = append(servers, h)
			}
		}
	}
	return servers
}

// join finds what the client and the last proxy connect to.
func (p *Profile) join(path *Path, bad func(format string, args ...any)) {
	behind := path.Servers // what the client's requests must reach
	if len(path.Proxies) > 0 {
		behind = path.Proxies[:1]
	}
	balancer := func(to []string) string {
		for _, b := range p.Network.Balancers {
			if len(b.Backends) > 0 && among(b.Backends, to) {
				return b.Name
			}
		}
		return ""
	}
	if path.At == "" {
		if path.At = cmp.Or(p.Network.DNS.Name(), balancer(behind)); path.At == "" {
			path.At = behind[0]
		}
	}
	path.To = []string{path.At}
	if p.Network.DNS.Knows(path.At) {
		path.To = p.Network.DNS.To(path.At)
	} else if p.Network.DNS.Name() != "" {
		bad("network.dns: no request asks for a name, because target.at is %q; remove dns, or target.at", path.At)
	}
	for _, to := range path.To {
		b := balancerNamed(p.Network, to)
		switch {
		case b == nil && !slices.Contains(hostNames(p.Network), to):
			bad("target.at: there is no host or balancer %q; %s", to, hostsThereAre(append(hostNames(p.Network), balancerNames(p.Network)...)))
		case b == nil && !slices.Contains(behind, to), b != nil && !among(b.Backends, behind):
			bad("target.at: %q does not lead to %s, which the requests must reach; see target.on and target.proxies", to, strings.Join(behind, ", "))
		}
	}
	if len(path.Proxies) > 0 {
		path.Upstream = path.Servers
		if b := balancer(path.Servers); b != "" && !slices.Contains(path.To, b) {
			path.Upstream = []string{b}
		}
	}
}

// among reports whether all names are among others.
func among(names, others []string) bool {
	return !slices.ContainsFunc(names, func(n string) bool { return !slices.Contains(others, n) })
}

func hostNames(c *network.Config) []string {
	names := make([]string, len(c.Hosts))
	for i, h := range c.Hosts {
		names[i] = h.Name
	}
	return names
}

func balancerNames(c *network.Config) []string {
	names := make([]string, len(c.Balancers))
	for i, b := range c.Balancers {
		names[i] = b.Name
	}
	return names
}

func balancerNamed(c *network.Config, name string) *network.Balancer {
	for i := range c.Balancers {
		if c.Balancers[i].Name == name {
			return &c.Balancers[i]
		}
	}
	return nil
}

func hostsThereAre(names []string) string {
	if len(names) == 0 {
		return "network.hosts is empty"
	}
	return "there are " + strings.Join(names, ", ")
}

// leg is a part of the path that one link carries. Connections are opened from the
// near end to the far end.
type leg struct {
	near, far string
	clients   []string // the hosts whose addresses are the source of packets from the near end
	servers   []string // those whose addresses are their destination
}

// carriedBy reports whether l is the link of the leg.
func (g leg) carriedBy(l network.Link) bool {
	return l.Between == [2]string{g.near, g.far} || l.Between == [2]string{g.far, g.near}
}

// legs returns all parts of the path.
func (p *Profile) legs(path Path) []leg {
	var legs []leg
	to := func(from string, next []string) {
		nat := p.Network.NATOf(from)
		inside := func(name string) bool { return nat == nil || p.Network.NATOf(name) == nat }
		if outside := slices.DeleteFunc(slices.Clone(next), inside); len(outside) > 0 {
			legs = append(legs, leg{from, nat.Name, []string{from}, outside})
		}
		for _, name := range next {
			from := from
			if !inside(name) {
				from = nat.Name
			}
			legs = append(legs, leg{from, name, []string{from}, []string{name}})
			b := balancerNamed(p.Network, name)
			if b == nil {
				continue
			}
			for _, backend := range b.Backends {
				legs = append(legs, leg{name, backend, []string{from}, []string{backend}})
				if b.DirectReturn {
					legs = append(legs, leg{from, backend, []string{from}, []string{backend}})
				}
			}
		}
	}
	to(network.ClientName, path.To)
	for i, proxy := range path.Proxies {
		if i+1 < len(path.Proxies) {
			to(proxy, path.Proxies[i+1:i+2])
		} else {
			to(proxy, path.Upstream)
		}
	}
	return legs
}

// index matches the number of an element in a field's path as package network writes
// it: hosts[0].name.
var index = regexp.MustCompile(`\[(\d+)\]`)

// networkComplaints returns the complaints about the network and about target.proxies.
func (p *Profile) networkComplaints() Errors {
	list := p.proxyComplaints()
	if p.Network == nil {
		return append(list, p.withoutNetwork()...)
	}
	list = append(list, broken("target",
		rule{p.Target.Link != nil, "link", "is for a target on the loopback; in a network use network.links"},
		rule{p.Target.AllowPortExhaustion, "allow_port_exhaustion", "has no effect in a network, which has its own ports; remove it"},
	)...)
	own := strictyaml.Under("network", p.Network.Validate())
	for i := range own {
		own[i].Path = index.ReplaceAllString(own[i].Path, ".$1")
	}
	list = append(list, own...)
	path, err := p.Path()
	list = append(list, strictyaml.Under("", err)...)
	list = append(list, p.Target.momentComplaints(path.Servers)...)
	if len(own) > 0 || err != nil {
		return list
	}
	return append(list, p.linkComplaints(path)...)
}

// proxyComplaints returns the complaints about target.proxies that do not depend on a
// network.
func (p *Profile) proxyComplaints() Errors {
	var list Errors
	proxies, served := p.Target.Proxies, p.Target.Lab
	for i, proxy := range proxies {
		list = append(list, strictyaml.Under(fmt.Sprintf("target.proxies.%d", i), proxy.Proxy.Validate())...)
	}
	some := len(proxies) > 0
	list = append(list, broken("target",
		rule{len(proxies) > maxProxies, "proxies", fmt.Sprintf("there are %d; at most %d can stand in a row", len(proxies), maxProxies)},
		rule{some && served == nil, "proxies", "need target.lab, because they stand in front of it; set it, or remove them"},
		rule{some && served != nil && served.TLS, "lab.tls", "the proxies speak plain HTTP to the server; remove it, or target.proxies (target.proxies.0.tls is for the client's side)"},
	)...)
	for i, proxy := range proxies {
		list = append(list, broken("target.proxies",
			rule{i > 0 && proxy.TLS, fmt.Sprintf("%d.tls", i), "the proxy before it speaks plain HTTP to it; remove it"})...)
	}
	return list
}

// withoutNetwork returns the complaints about settings that need a network.
func (p *Profile) withoutNetwork() Errors {
	const text = "has no effect without network; remove it"
	list := broken("target",
		rule{len(p.Target.On) > 0, "on", text},
		rule{p.Target.At != "", "at", text})
	list = append(list, p.Target.momentComplaints(nil)...)
	for i, proxy := range p.Target.Proxies {
		list = append(list, broken("target.proxies", rule{proxy.On != "", fmt.Sprintf("%d.on", i), text})...)
	}
	return list
}

// linkComplaints returns the complaints about hosts that no request can reach, links that
// no request passes, and rules that would match nothing.
func (p *Profile) linkComplaints(path Path) Errors {
	var list Errors
	legs := p.legs(path)
	for _, g := range legs {
		if n := p.Network.NATOf(g.far); n != nil && p.Network.NATOf(g.near) != n {
			list = append(list, Complaint{Path: "network.nats", Text: fmt.Sprintf("%s is behind %s, where %s cannot reach it", g.far, n.Name, g.near)})
		}
	}
	for i, l := range p.Network.Links {
		at := fmt.Sprintf("network.links.%d", i)
		if p.asksOver(l) {
			for k, r := range l.Rules {
				if r.Flags|r.NotFlags != 0 || r.Do == network.ActionRST {
					list = append(list, Complaint{Path: fmt.Sprintf("%s.rules.%d", at, k), Text: "would match nothing: queries for names are UDP, which has no flags and no RST"})
				}
			}
			continue
		}
		n := slices.IndexFunc(legs, func(g leg) bool { return g.carriedBy(l) })
		if n < 0 {
			list = append(list, Complaint{Path: at + ".between", Text: fmt.Sprintf(
				"no request passes between %s and %s: they go %s; remove the link, or see target.on and target.at", l.Between[0], l.Between[1], wayText(legs))})
			continue
		}
		for k, r := range l.Rules {
			if why := legs[n].unmatched(p.Network, r, path.Port); why != "" {
				list = append(list, Complaint{Path: fmt.Sprintf("%s.rules.%d", at, k), Text: "would match nothing: " + why})
			}
		}
	}
	return list
}

// asksOver reports whether l is a link over which the client asks for names and nothing else
// passes.
func (p *Profile) asksOver(l network.Link) bool {
	d := p.Network.DNS
	return d != nil && !slices.Contains(p.servers(hostNames(p.Network)), d.Host()) &&
		(l.Between == [2]string{network.ClientName, d.Host()} || l.Between == [2]string{d.Host(), network.ClientName})
}

// wayText writes the path of requests for a complaint.
func wayText(legs []leg) string {
	var list []string
	for _, g := range legs {
		list = append(list, g.near+" to "+g.far)
	}
	return strings.Join(list, ", ")
}
