package serve

import (
	"net"
	"net/url"
)

// PageURL returns the address of the page that is served at addr. If addr is every
// address of the machine, the result is the one on the loopback.
func PageURL(addr net.Addr, secure bool) string {
	scheme := "http"
	if secure {
		scheme = "https"
	}
	return (&url.URL{Scheme: scheme, Host: reachable(addr), Path: "/"}).String()
}

// reachable returns addr as a client on this machine dials it.
func reachable(addr net.Addr) string {
	tcp := addr.(*net.TCPAddr)
	if !tcp.IP.IsUnspecified() {
		return tcp.String()
	}
	return (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: tcp.Port}).String()
}
