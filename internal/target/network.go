package target

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"

	"github.com/kabench/kabench/profiles/network"

	"github.com/kabench/kabench/internal/host"
	"github.com/kabench/kabench/internal/lab"
	"github.com/kabench/kabench/internal/lab/proxy"
	"github.com/kabench/kabench/internal/names"
	"github.com/kabench/kabench/internal/sandbox"
	"github.com/kabench/kabench/profiles"
)

// serveInNetwork makes p's network and serves the lab and its proxies on their
// hosts. It returns the address that the client is to use.
func (t *Target) serveInNetwork(p *profiles.Profile) (string, error) {
	path, err := p.Path()
	if err != nil {
		return "", err
	}
	if t.network, err = sandbox.Start(*p.Network); err != nil {
		return "", fmt.Errorf("network: %w", err)
	}
	for _, name := range path.Servers {
		err := t.on(name, path, func(addr string, _ *sandbox.Host) error {
			s, err := lab.Start(p.Target.Lab.On(name), addr)
			if err == nil {
				t.lab, t.hosts = append(t.lab, s), append(t.hosts, name)
			}
			return err
		})
		if err != nil {
			return "", err
		}
	}
	next := path.Upstream
	for i := len(path.Proxies) - 1; i >= 0; i-- {
		err := t.on(path.Proxies[i], path, func(addr string, h *sandbox.Host) error {
			var backends []string
			for _, name := range next {
				backends = append(backends, t.address(name, path))
			}
			started, err := proxy.StartFrom(h.DialWith, p.Target.Proxies[i].Proxy, addr, backends...)
			if err == nil {
				t.proxies = append([]*proxy.Proxy{started}, t.proxies...)
			}
			return err
		})
		if err != nil {
			return "", err
		}
		next = path.Proxies[i : i+1]
	}
	u := url.URL{Scheme: "http", Host: t.address(path.At, path), Path: "/"}
	if p.Network.DNS != nil {
		u.Host = path.At
		if err := t.serveNames(*p.Network.DNS, path); err != nil {
			return "", err
		}
	}
	if p.TLS() {
		u.Scheme = "https"
	}
	return u.String(), nil
}

// serveNames starts the network's DNS server, and has the client ask it.
func (t *Target) serveNames(cfg network.DNS, path profiles.Path) error {
	for _, to := range path.To {
		t.Remotes = append(t.Remotes, netip.AddrPortFrom(t.network.Addr(to), path.Port))
	}
	at := netip.AddrPortFrom(t.network.Addr(cfg.Host()), network.DNSPort)
	h := t.network.Host(cfg.Host())
	udp, err := h.ListenPacket(context.Background(), "udp4", at.String())
	if err != nil {
		return fmt.Errorf("host %s: %w", cfg.Host(), err)
	}
	tcp, err := h.Listen(context.Background(), "tcp4", at.String())
	if err != nil {
		udp.Close()
		return fmt.Errorf("host %s: %w", cfg.Host(), err)
	}
	t.names, err = names.Serve(cfg, t.network.Addr, udp, tcp)
	if err != nil {
		return fmt.Errorf("host %s: %w", cfg.Host(), err)
	}
	t.resolver = names.Resolver(at, cfg.Wait())
	return nil
}

// on starts something in a host, at the address at which others reach it.
func (t *Target) on(name string, path profiles.Path, start func(addr string, h *sandbox.Host) error) error {
	h := t.network.Host(name)
	if h == nil {
		return fmt.Errorf("network: there is no host %s", name)
	}
	if err := h.Do(func() error { return start(t.address(name, path), h) }); err != nil {
		return fmt.Errorf("host %s: %w", name, err)
	}
	return nil
}

// address returns the address of a host or balancer, with the port of the path.
func (t *Target) address(name string, path profiles.Path) string {
	return net.JoinHostPort(t.network.Addr(name).String(), strconv.Itoa(int(path.Port)))
}

// Counters returns functions that read the kernel's counters in the hosts of p's
// network, by the hosts' names.
func (t *Target) Counters(p *profiles.Profile) map[string]func() (map[string]uint64, error) {
	if t.network == nil {
		return nil
	}
	reads := map[string]func() (map[string]uint64, error){}
	names := []string{network.ClientName}
	for _, h := range p.Network.Hosts {
		names = append(names, h.Name)
	}
	for _, name := range names {
		h := t.network.Host(name)
		reads[name] = func() (c map[string]uint64, err error) {
			err = h.Do(func() error {
				c, err = host.ReadCounters()
				return err
			})
			return c, err
		}
	}
	return reads
}

// CountAccepted returns functions that count, by state, the sockets that the client's
// connections are accepted on: those of a proxy if there is one, or of the server, or
// of each server behind a balancer. Each sees its host's namespace, until t is closed.
func (t *Target) CountAccepted(p *profiles.Profile) (counts []func() (map[string]int, error), err error) {
	if t.network == nil {
		return nil, nil
	}
	path, err := p.Path()
	if err != nil {
		return nil, err
	}
	var hosts []string
	for _, to := range path.To {
		hosts = append(hosts, to)
		for _, b := range p.Network.Balancers {
			if b.Name == to {
				hosts = append(hosts[:len(hosts)-1], b.Backends...)
			}
		}
	}
	slices.Sort(hosts) // a name may lead to a balancer and to its backends
	hosts = slices.Compact(hosts)
	for _, name := range hosts {
		err := t.on(name, path, func(addr string, _ *sandbox.Host) error {
			at, err := netip.ParseAddrPort(addr)
			if err != nil {
				return err
			}
			w, err := host.NewSocketWatcher(host.Watch{Remotes: []netip.AddrPort{at}, Servers: []netip.AddrPort{at}})
			if err != nil {
				return err
			}
			t.watchers = append(t.watchers, w)
			counts = append(counts, func() (map[string]int, error) {
				c, err := w.Count()
				return c.Server.Map(), err
			})
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return counts, nil
}
