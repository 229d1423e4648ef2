package fleet

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/kabench/kabench/internal/fleet/broker"
	"github.com/kabench/kabench/profiles"
)

// Allowed is what an agent's command line lets it send to.
type Allowed struct {
	hosts []allowedHost
	// Any is for agents that the controller has started itself, on its own machine.
	Any bool
}

type allowedHost struct {
	host string // lower case; "*.example.com": every name below it
	port string // "": every port
}

// ParseAllowed reads the values of --allow-target: HOST, HOST:PORT or *.HOST.
func ParseAllowed(list []string) (Allowed, error) {
	var a Allowed
	for _, text := range list {
		host, port := text, ""
		named := false
		if h, p, err := net.SplitHostPort(text); err == nil {
			host, port, named = h, p, true
		}
		host = plainHost(host)
		rest := strings.TrimPrefix(host, "*.")
		if rest == "" || strings.ContainsAny(rest, "*/@ ") || named && !isPort(port) {
			return a, fmt.Errorf("--allow-target %s: want HOST, HOST:PORT or *.HOST, without a scheme and a path", text)
		}
		a.hosts = append(a.hosts, allowedHost{host, port})
	}
	return a, nil
}

func isPort(text string) bool {
	_, err := netip.ParseAddrPort("127.0.0.1:" + text)
	return err == nil
}

func plainHost(host string) string {
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap().String()
	}
	return host
}

// Strings lists what is allowed, as the command line has it.
func (a Allowed) Strings() []string {
	list := []string{}
	for _, h := range a.hosts {
		if h.port == "" {
			list = append(list, h.host)
		} else {
			list = append(list, net.JoinHostPort(h.host, h.port))
		}
	}
	return list
}

// Check returns an error that names the first host of a profile that is not allowed.
func (a Allowed) Check(p *profiles.Profile) error {
	if a.Any {
		return nil
	}
	if p.Network != nil || p.Target.Lab != nil || len(p.Target.Proxies) > 0 || p.Target.Link != nil {
		return fmt.Errorf("the profile has a server, a link or a network of kabench's own, and an agent only sends to what --allow-target names")
	}
	requests, err := profiles.Requests(p)
	if err != nil {
		return err
	}
	for _, r := range requests {
		u, err := url.Parse(r.URL)
		if err != nil {
			return fmt.Errorf("a target's URL cannot be read")
		}
		port := u.Port()
		if port == "" {
			port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
		}
		if !a.has(plainHost(u.Hostname()), port) {
			where := net.JoinHostPort(u.Hostname(), port)
			return fmt.Errorf("it may not send to %s; start it with --allow-target %s if it may", where, where)
		}
	}
	return nil
}

// mayRun refuses a profile that has the agent start a program, unless those who give orders have
// shown credentials. On a broker without them that is every user of the machine.
func (a *Agent) mayRun(p *profiles.Profile) error {
	if p.Driver == nil || p.Driver.Command == "" || a.Allowed.Any || a.Credentials != nil || broker.Named(a.URL) {
		return nil
	}
	return fmt.Errorf("the profile's driver is a program of its own (driver.command), and every user of this machine can give orders at a broker without credentials; start the agent with --credentials, or name a driver that 'kabench driver list' shows")
}

func (a Allowed) has(host, port string) bool {
	return slices.ContainsFunc(a.hosts, func(h allowedHost) bool {
		if h.port != "" && h.port != port {
			return false
		}
		below, wild := strings.CutPrefix(h.host, "*")
		return h.host == host || wild && strings.HasSuffix(host, below) && len(host) > len(below)
	})
}
