package target

import (
	"net/netip"

	"github.com/kabench/kabench/internal/host"
)

// listening is a server of ours on a port that the system chose.
type listening interface {
	Addr() string
	Close() error
}

// manyStarts is how often onCleanPort tries. If one port in a hundred has sockets of an
// earlier server, all tries fail once in 10^20 runs.
const manyStarts = 10

// onCleanPort starts a server on a port that no other socket still uses. The system may
// choose a port that another server had a moment ago, while sockets of its clients
// are in TIME_WAIT; they would be counted as this run's. Where sockets cannot be
// listed, a run does not count them either.
func onCleanPort[S listening](start func() (S, error)) (S, error) {
	for again := manyStarts; ; again-- {
		server, err := start()
		if err != nil || again == 0 || !leftOver(server.Addr()) {
			return server, err
		}
		server.Close() // nobody knows of it yet
	}
}

// leftOver reports whether there are sockets from or to addr, listeners aside.
func leftOver(addr string) bool {
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return false
	}
	watcher, err := host.NewSocketWatcher(host.Watch{Remotes: []netip.AddrPort{at}})
	if err != nil {
		return false
	}
	defer watcher.Close()
	seen, err := watcher.Count()
	return err == nil && seen.Client.Total()+seen.Server.Total() > 0
}
