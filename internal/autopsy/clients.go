package autopsy

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/kabench/kabench/internal/evidence"
)

// way is a client and a server that it uses.
type way struct {
	client netip.Addr
	server netip.AddrPort
}

// clients says what the connections of each client to a server show about its pool.
func (c *collector) clients() []Client {
	of := map[way][]*evidence.Connection{}
	for i := range c.list {
		if one := &c.list[i]; !one.twin && !one.Other && one.pooled() {
			w := way{one.Client.Addr(), one.Server}
			of[w] = append(of[w], &one.Connection)
		}
	}
	var list []Client
	for w, own := range of {
		one := Client{Address: w.client.String(), Server: w.server.String(), Connections: len(own)}
		one.idle(own)
		one.order(own)
		if n := c.again[w]; n.failed > 0 {
			one.Failed, one.Resent, one.ByChance = n.failed, n.followed, n.chance
		}
		list = append(list, one)
	}
	slices.SortFunc(list, func(a, b Client) int {
		return cmp.Or(cmp.Compare(b.Connections, a.Connections), cmp.Compare(a.Address, b.Address), cmp.Compare(a.Server, b.Server))
	})
	return list[:min(len(list), maxClients)]
}

const maxClients = 100

// idle finds the client's own idle timeout: the time after which it closes idle
// connections itself, if these times agree.
func (c *Client) idle(own []*evidence.Connection) {
	var spans []float64
	moments := map[time.Duration]bool{}
	for _, one := range own {
		c.LongestIdle = max(c.LongestIdle, one.LongestIdle.Seconds())
		n := len(one.Exchanges)
		if one.Close.By != evidence.ByClient || n == 0 || len(one.Unanswered) > 0 || one.Exchanges[n-1].Closing || one.Unasked != 0 {
			continue
		}
		if idle := one.Close.At - one.Exchanges[n-1].Done; idle > 10*time.Millisecond {
			spans = append(spans, idle.Seconds())
			moments[one.Close.At/(100*time.Millisecond)] = true
		}
	}
	c.Closed = len(spans)
	if len(spans) < 5 || len(moments) < 3 {
		return // a client that ends closes all its connections at once
	}
	slices.Sort(spans)
	median := spans[len(spans)/2]
	low, high := spans[len(spans)/4], spans[len(spans)-1-len(spans)/4]
	if high-low > max(0.1*median, 0.1) {
		return // the client closes for other reasons, such as its end
	}
	c.IdleTimeout = &Range{len(spans), low, median, high}
}

// use is a request on a connection, and since when the connection was idle.
type use struct {
	at, done, before time.Duration
}

// minChoices is how many requests must have had a choice before the order is guessed.
const minChoices = 20

// order guesses in which order the client takes idle connections: at each request it
// compares the connection with the others that were idle then.
func (c *Client) order(own []*evidence.Connection) {
	var uses []use
	type stay struct{ from, to time.Duration }
	var idle []stay
	for _, one := range own {
		if one.Requests > len(one.Exchanges) {
			return // exchanges are left out, so that idle connections would look busy
		}
		for i, e := range one.Exchanges {
			if e.Sent == evidence.NotSeen || e.Done < e.Sent {
				continue
			}
			next := one.Until
			if one.Close.At != evidence.NotSeen {
				next = one.Close.At
			}
			if i+1 < len(one.Exchanges) {
				next = one.Exchanges[i+1].Sent
			} else if len(one.Unanswered) > 0 && one.Unanswered[0].Begun != evidence.NotSeen {
				next = one.Unanswered[0].Begun
			}
			idle = append(idle, stay{e.Done, next})
			if i > 0 {
				uses = append(uses, use{e.Sent, e.Done, one.Exchanges[i-1].Done})
			}
		}
	}
	if len(uses) > 20_000 {
		uses = uses[:20_000]
	}
	slices.SortFunc(idle, func(a, b stay) int { return cmp.Compare(a.from, b.from) })
	longest := time.Duration(0)
	for _, s := range idle {
		longest = max(longest, s.to-s.from)
	}
	newest, oldest := 0, 0
	for _, u := range uses {
		isNewest, isOldest, others := true, true, 0
		end, _ := slices.BinarySearchFunc(idle, u.at, func(s stay, at time.Duration) int { return cmp.Compare(s.from, at) })
		for i := end - 1; i >= 0 && others < 200 && idle[i].from >= u.at-longest; i-- {
			if s := idle[i]; s.to > u.at && s.from != u.before {
				others++
				isNewest = isNewest && s.from < u.before
				isOldest = isOldest && s.from > u.before
			}
		}
		if others == 0 {
			continue
		}
		c.Choices++
		if isNewest {
			newest++
		}
		if isOldest {
			oldest++
		}
	}
	if c.Choices < minChoices {
		return
	}
	c.LeaseOrder = "other"
	for name, n := range map[string]int{"lifo": newest, "fifo": oldest} {
		if share := float64(n) / float64(c.Choices); share >= 0.7 {
			c.LeaseOrder, c.Agree = name, share
		}
	}
}
