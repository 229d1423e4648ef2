package target

import (
	"context"
	"net"
	"net/netip"
	"net/url"
	"slices"

	"github.com/kabench/kabench/profiles"
)

// Addresses are the addresses that p's requests go to, as far as they can be found out
// before p's target is open.
func Addresses(ctx context.Context, p *profiles.Profile) []netip.AddrPort {
	requests, err := profiles.Requests(p)
	if err != nil {
		return nil
	}
	var all []netip.AddrPort
	seen := map[string]bool{}
	for _, r := range requests {
		u, err := url.Parse(r.URL)
		if err != nil || seen[u.Scheme+u.Host] {
			continue
		}
		seen[u.Scheme+u.Host] = true
		if _, _, err := net.SplitHostPort(withPort(u)); err != nil {
			continue
		}
		for _, a := range addresses(ctx, withPort(u)) {
			if !slices.Contains(all, a) {
				all = append(all, a)
			}
		}
	}
	return all
}

func withPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// addresses returns the addresses of a host and port; none if they cannot be looked up.
func addresses(ctx context.Context, hostport string) []netip.AddrPort {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return nil
	}
	n, err := net.DefaultResolver.LookupPort(ctx, "tcp", port)
	if err != nil {
		return nil
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil
	}
	var all []netip.AddrPort
	for _, ip := range ips {
		all = append(all, netip.AddrPortFrom(ip.Unmap(), uint16(n)))
	}
	return all
}
