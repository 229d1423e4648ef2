package live

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// loopback is the host at which the page is served unless the user names another.
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

// visitors decides which Host headers belong to the server's own address. Another site
// can point its name at this machine (DNS rebinding); its pages could then read what is
// served here. Their requests have that name in the Host header. An IP address cannot be
// pointed elsewhere, so the server's own addresses are accepted.
type visitors struct {
	named string     // the host that the user named
	bound netip.Addr // where the server listens; unspecified: everywhere
	port  string
}

func (v visitors) welcome(header string) bool {
	host, port, err := net.SplitHostPort(header)
	if err != nil {
		host, port = header, "80"
	}
	if port != v.port {
		return false
	}
	host = strings.TrimSuffix(strings.Trim(host, "[]"), ".")
	if addr, err := netip.ParseAddr(host); err == nil {
		addr = addr.Unmap()
		return v.bound.IsUnspecified() || addr == v.bound || addr.IsLoopback() && v.bound.IsLoopback()
	}
	switch {
	case strings.EqualFold(host, "localhost"):
		return v.bound.IsLoopback() || v.bound.IsUnspecified()
	case strings.EqualFold(host, v.named):
		return true
	}
	self, err := os.Hostname()
	return err == nil && !v.bound.IsLoopback() && strings.EqualFold(host, self)
}
