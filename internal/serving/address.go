package serving

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// loopback is where things are served unless the user names another host.
const loopback = "127.0.0.1"

// address splits the address that a user gave. ":8080" and "8080" are on the loopback;
// port 0 is any free port.
func address(given string) (host, port string, err error) {
	full := given
	if !strings.Contains(given, ":") {
		full = ":" + given
	}
	host, port, err = net.SplitHostPort(full)
	if err == nil {
		if _, bad := strconv.ParseUint(port, 10, 16); bad != nil {
			err = errors.New("the port is not between 0 and 65535")
		}
	}
	if err != nil {
		return "", "", fmt.Errorf("%q is not an address to serve on: %w; write :8080 for this machine only, :0 for any free port, or 0.0.0.0:8080 for other machines too", given, err)
	}
	if host == "" {
		host = loopback
	}
	return host, port, nil
}

// Place is an address that is served at.
type Place struct {
	net.Listener
	host string     // as the user named it
	at   netip.Addr // unspecified: everywhere
	port string
}

// Listen listens at an address such as ":8080" or "0.0.0.0:8080". Without a host it is only
// on the loopback; with port 0 it is on any free port. An error says what to do.
func Listen(given string) (*Place, error) {
	host, port, err := address(given)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, fmt.Errorf("nothing can be served at %s: %w; give another port, or :0 for any free one", given, err)
	}
	at := listener.Addr().(*net.TCPAddr).AddrPort()
	return &Place{listener, host, at.Addr().Unmap(), strconv.Itoa(int(at.Port()))}, nil
}

// URL is the address of the root, for this machine.
func (p *Place) URL() string {
	shown := p.host
	if addr, err := netip.ParseAddr(shown); err == nil && addr.IsUnspecified() {
		shown = "localhost"
	}
	return "http://" + net.JoinHostPort(shown, p.port) + "/"
}

// Alone reports whether only this machine can reach the place.
func (p *Place) Alone() bool { return p.at.IsLoopback() }

// Welcome reports whether a Host header belongs to the place. Another site can point its
// name at this machine (DNS rebinding); its pages could then read what is served here. Their
// requests have that name in the Host header. An IP address cannot be pointed elsewhere, so
// the place's own addresses are accepted.
func (p *Place) Welcome(header string) bool {
	host, port, err := net.SplitHostPort(header)
	if err != nil {
		host, port = header, "80"
	}
	if port != p.port {
		return false
	}
	host = strings.TrimSuffix(strings.Trim(host, "[]"), ".")
	if addr, err := netip.ParseAddr(host); err == nil {
		addr = addr.Unmap()
		return p.at.IsUnspecified() || addr == p.at || addr.IsLoopback() && p.at.IsLoopback()
	}
	switch {
	case strings.EqualFold(host, "localhost"):
		return p.at.IsLoopback() || p.at.IsUnspecified()
	case strings.EqualFold(host, p.host):
		return true
	}
	self, err := os.Hostname()
	return err == nil && !p.at.IsLoopback() && strings.EqualFold(host, self)
}
