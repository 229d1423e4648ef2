package dialers

import (
	"net/netip"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/internal/transport"
)

// pools are the pools of a Client, and what finds the one for a request.
type pools struct {
	shards    []*shard
	turn      int // chooses the shard of the next request
	addresses addresses
}

// next is the shard for the next request.
func (p *pools) next() *shard {
	s := p.shards[p.turn%len(p.shards)]
	p.turn++
	return s
}

// shard is one of the pools of a Client.
type shard struct {
	core    *pool.Core
	origins map[Origin]int // the numbers of sub-pools
	names   []Origin       // by number

	closed   [transport.NumClosers]uint64 // connections, by who ended them first
	notified notified
	resumed  uint64 // TLS handshakes that took up an earlier session

	leaked []*connection // whose callers have left a response half-read, in that order
	leaks  uint64        // how many there have been
}

// number is the number of o's sub-pool, which is added if it is new.
func (s *shard) number(o Origin) int {
	n, known := s.origins[o]
	if !known {
		n = s.core.AddOrigin()
		s.origins[o] = n
		s.names = append(s.names, o)
	}
	return n
}

// notified counts TLS connections by whose close_notify was first.
type notified struct{ us, peer uint64 }

// addresses are those that names stand for. Each name is looked up once: so does
// a pool with a sub-pool per address when it is made.
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

// lookUp calls then with o at the next of its addresses: at once if they are
// known, else from the loop when the name has been looked up. deadline is when
// that is given up, if the client has a timeout.
func (a *addresses) lookUp(c *Client, o Origin, deadline time.Duration, then func(Origin, error)) {
	if known, ok := a.next(o); ok {
		then(known, nil)
		return
	}
	var end time.Time
	if c.timeout > 0 {
		end = c.epoch.Add(deadline)
	}
	ctx, cancel := c.loop.until(end)
	c.loop.Go(func() {
		defer cancel()
		addrs, err := c.dialer.resolve(ctx, o)
		c.loop.Post(func() {
			if err != nil {
				then(Origin{}, err)
				return
			}
			a.learn(o, addrs)
			known, _ := a.next(o)
			then(known, nil)
		})
	})
}
