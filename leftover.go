package kabench

import (
	"net/netip"

	"github.com/kabench/kabench/internal/host"
)

// listening is a server of ours on a port that the system chose.
type listening interface {
	Addr() string
	Close() error
}

// manyStarts is how often unused tries: with every hundredth port left over by
// an earlier server, none is found once in 10^20 times.
const manyStarts = 10

// unused starts a server on a port of which no socket is left. The system may
// give a port that a server had a moment ago, while its clients' sockets are in
// TIME_WAIT; in the figures they would be the run's. Where sockets cannot be
// listed there are no such figures either.
func unused[S listening](start func() (S, error)) (S, error) {
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
