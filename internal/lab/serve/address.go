package serve

import (
	"net"
	"net/url"
)

// PageURL is the address of the page that is served at addr. If that is every
// address of the machine, it is the one on the loopback.
func PageURL(addr net.Addr, secure bool) string {
	scheme := "http"
	if secure {
		scheme = "https"
	}
	return (&url.URL{Scheme: scheme, Host: reachable(addr), Path: "/"}).String()
}

// reachable is addr as a client on this machine would dial it.
func reachable(addr net.Addr) string {
	tcp := addr.(*net.TCPAddr)
	if !tcp.IP.IsUnspecified() {
		return tcp.String()
	}
	return (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: tcp.Port}).String()
}
