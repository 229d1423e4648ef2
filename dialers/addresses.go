package dialers

import "net/netip"

// addresses are those that names stand for, looked up once each: what a pool
// with a sub-pool per address does when it is made.
type addresses struct{ known map[Origin]*rotation }

// rotation is the addresses of one name, taken in turn.
type rotation struct {
	addrs []netip.AddrPort
	next  int
}

// learn keeps what o's name stands for, unless that is known.
func (a *addresses) learn(o Origin, addrs []netip.AddrPort) {
	if a.known == nil {
		a.known = map[Origin]*rotation{}
	}
	if a.known[o] == nil {
		a.known[o] = &rotation{addrs: addrs}
	}
}

// next is o at the next of its addresses, if they are known.
func (a *addresses) next(o Origin) (Origin, bool) {
	r := a.known[o]
	if r == nil {
		return Origin{}, false
	}
	addr := r.addrs[r.next%len(r.addrs)]
	r.next++
	return Origin{Host: addr.Addr().String(), Port: o.Port, TLS: o.TLS, name: o.serverName()}, true
}
