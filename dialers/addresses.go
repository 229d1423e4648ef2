package dialers

import (
	"context"
	"net/netip"
	"sync"
)

// addresses are those that names stand for, looked up once each: what a pool
// with a sub-pool per address does when it is made.
type addresses struct {
	mu    sync.Mutex
	known map[Origin]*rotation
}

// rotation is the addresses of one name, taken in turn.
type rotation struct {
	addrs []netip.AddrPort
	next  int
}

// resolve is o at the next of its addresses.
func (a *addresses) resolve(ctx context.Context, d *Dialer, o Origin) (Origin, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.known[o]
	if r == nil {
		addrs, err := d.resolve(ctx, o)
		if err != nil {
			return Origin{}, err
		}
		if a.known == nil {
			a.known = map[Origin]*rotation{}
		}
		r = &rotation{addrs: addrs}
		a.known[o] = r
	}
	addr := r.addrs[r.next%len(r.addrs)]
	r.next++
	return Origin{Host: addr.Addr().String(), Port: o.Port, TLS: o.TLS, name: o.serverName()}, nil
}
