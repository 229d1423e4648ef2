// Package way puts a device that a profile describes in its section via between the
// profile's client and its server, so that a run or the lab meets it: a NAT or a link with
// a memory in a private network, a link or a proxy on the loopback.
package way

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/profiles/network"
	"github.com/kabench/kabench/profiles/script"
)

// longest is the longest timer that a network has.
const longest = time.Hour

// Put puts the device of p.Via before p's server, and returns in sentences what the device
// does and this one does not. The error says why it cannot be played, and what to set; p is
// then as it was.
func Put(p *profiles.Profile) (unlike []string, err error) {
	d := device{ServerFacts: p.Via, p: p}
	switch {
	case p.Via == (profiles.ServerFacts{}):
		return nil, errors.New("nothing is known about what is on the way; describe it in via")
	case d.IdleTimeout == 0 && !d.IdleForEver:
		return nil, errors.New("via.idle_timeout: it is not known when this device ends or forgets an idle connection; set it")
	case !d.EndsBehind():
		err = d.proxy()
	case d.IdleForEver:
		return nil, errors.New("via.idle_for_ever: this device ends and forgets no idle connection, so there is nothing to play; leave it out, or set via.idle_timeout")
	case d.AtExpiry == script.ExpiryUnknown:
		return nil, errors.New("via.at_expiry: it is not known how this device ends or forgets an idle connection; set fin, rst, rst_next, drop or reroute")
	case p.Network != nil:
		err = d.inNetwork()
	default:
		err = d.link()
	}
	if err != nil {
		return nil, err
	}
	if d.Table > 0 && d.EndsBehind() && p.Network == nil {
		d.not("its table of %d connections is not played: that takes a network", d.Table)
	}
	if d.MaxLifetime > 0 {
		d.not("the end of a connection after %v is not played", d.MaxLifetime)
	}
	return d.unlike, nil
}

type device struct {
	profiles.ServerFacts
	p      *profiles.Profile
	unlike []string
}

func (d *device) not(format string, args ...any) {
	d.unlike = append(d.unlike, fmt.Sprintf(format, args...))
}

// rerouted notes what is left out where no other backend could answer.
func (d *device) rerouted() {
	if d.AtExpiry == script.Reroute {
		d.not("the RST for what it has forgotten is its own, and not that of another server")
	}
}

// link makes the link before the target the device.
func (d *device) link() error {
	l := script.Link{}
	if d.p.Target.Link != nil {
		l = *d.p.Target.Link
	}
	switch {
	case l.IdleTimeout > 0:
		return errors.New("target.link.idle_timeout: the link is such a device already; remove it")
	case d.AtExpiry == script.Drop:
		return errors.New("via.at_expiry: a link on the loopback cannot drop packets without a word, because its kernel acknowledges them; " +
			"set a private network, as network={hosts: [{name: server}]} with target.link=null, or via.at_expiry=rst_next")
	}
	l.IdleTimeout, l.AtExpiry = d.IdleTimeout, d.AtExpiry
	if l.AtExpiry == script.Reroute {
		l.AtExpiry = script.ResetNext
	}
	d.rerouted()
	d.not("TCP keep-alive probes do not count for its timer: the link's kernel answers them")
	if d.Ports > 0 {
		d.not("its %d ports are not played: that takes a network", d.Ports)
	}
	d.p.Target.Link = &l
	return nil
}

// proxy puts a proxy before the lab.
func (d *device) proxy() error {
	t := &d.p.Target
	switch {
	case t.Lab == nil:
		return errors.New("via: it ends the client's connections and opens its own, which kabench plays before its own server only; set target.lab")
	case d.p.Network != nil:
		return errors.New("via: it ends the client's connections and opens its own; in a network it needs a host: put it there as target.proxies")
	case len(t.Proxies) > 1:
		return errors.New("target.proxies: two can stand in a row, and they are there already; remove one")
	}
	front := script.Proxy{IdleTimeout: d.IdleTimeout, MaxRequests: d.MaxRequests}
	front.Upstream.IdleTimeout = cmp.Or(d.UpstreamIdle, d.IdleTimeout)
	if d.Hint > 0 {
		front.Hint = fmt.Sprintf("timeout=%d", int(d.Hint/time.Second))
	}
	if len(t.Proxies) == 0 && t.Lab.TLS { // a proxy speaks plain HTTP to the server
		served := *t.Lab
		served.TLS, front.TLS, t.Lab = false, true, &served
	} else if len(t.Proxies) > 0 && t.Proxies[0].TLS {
		t.Proxies = slices.Clone(t.Proxies)
		t.Proxies[0].TLS, front.TLS = false, true
	}
	if d.AtExpiry == script.Reset {
		d.not("it resets idle connections, and this one closes them in order")
	}
	if d.MaxRequests > 0 && d.Unannounced {
		d.not("it ends a connection after %d requests unannounced, and this one says so", d.MaxRequests)
	}
	t.Proxies = append([]profiles.Proxy{{Proxy: front}}, t.Proxies...)
	return nil
}

// inNetwork makes the client's link the device, or puts a NAT behind it.
func (d *device) inNetwork() error {
	if d.IdleTimeout > longest {
		return fmt.Errorf("via.idle_timeout: %v is above %v, the longest that a network remembers; set it to less", d.IdleTimeout, longest)
	}
	if d.AtExpiry == script.Fin {
		return errors.New("via.at_expiry: a link carries packets, and cannot close a connection in order; set rst")
	}
	path, err := d.p.Path()
	if err != nil {
		return err
	}
	if len(path.To) > 1 {
		return fmt.Errorf("via: %s leads to %s, and this device can be put before one of them only; set target.at to it and network.dns=null", path.At, strings.Join(path.To, ", "))
	}
	to := path.To[0]
	c := *d.p.Network
	c.Links = slices.Clone(c.Links)
	i := slices.IndexFunc(c.Links, func(l network.Link) bool {
		return l.Between == [2]string{network.ClientName, to} || l.Between == [2]string{to, network.ClientName}
	})
	flows := network.Flows{Idle: d.IdleTimeout, Max: d.Table}
	switch d.AtExpiry {
	case script.Reset:
		flows.AtExpiry, flows.Unknown = network.ExpiryRST, network.UnknownDrop
	case script.Drop:
		flows.Unknown = network.UnknownDrop
	default:
		flows.Unknown = network.UnknownRST
	}
	d.rerouted()
	switch {
	case d.Ports > 0 && c.NATOf(network.ClientName) != nil:
		return errors.New("network.nats: the client is behind a NAT already; remove it")
	case d.Ports > 0:
		err = d.nat(&c, i, flows)
	case i < 0:
		c.Links = append(c.Links, network.Link{Between: [2]string{network.ClientName, to}, Flows: &flows})
	case c.Links[i].Flows != nil:
		err = fmt.Errorf("network.links.%d.flows: the link is such a device already; remove it", i)
	default:
		c.Links[i].Flows = &flows
	}
	if err == nil {
		d.p.Network = &c
	}
	return err
}

// natName is what a NAT is called that Put makes.
const natName = "via"

// nat puts a NAT between the client and what its i-th link leads to.
func (d *device) nat(c *network.Config, i int, flows network.Flows) error {
	if i >= 0 {
		l := &c.Links[i]
		if len(l.Rules) > 0 {
			return fmt.Errorf("network.links.%d.rules: they are about the client, which a NAT hides; remove them", i)
		}
		l.Between[slices.Index(l.Between[:], network.ClientName)] = natName
	}
	if d.Table > 0 {
		d.not("its table of %d connections is not played beside its ports", d.Table)
	}
	c.NATs = append(slices.Clone(c.NATs), network.NAT{
		Name: natName, Ports: d.Ports, PortsPer: d.PortsPer, Reuse: min(d.PortReuse, d.IdleTimeout),
		Idle: flows.Idle, Unknown: flows.Unknown, AtExpiry: flows.AtExpiry,
	})
	return nil
}
