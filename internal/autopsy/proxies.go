package autopsy

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/kabench/kabench/internal/evidence"
)

// leg is a server as one of its clients reaches it.
type leg struct {
	client netip.Addr
	server netip.AddrPort
}

func legOf(one *seen) leg { return leg{one.Client.Addr(), one.Server} }

// passedOn finds requests that a proxy passed on: both legs of the proxy are in the
// capture, and the same request failed on both. Such a failure is listed once, on the
// leg before the proxy.
func (c *collector) passedOn(list []Failure) []Failure {
	of := map[leg][]int{}
	from := map[netip.Addr][]leg{} // legs by their client
	for i := range list {
		l := legOf(&c.list[list[i].leg])
		if of[l] == nil {
			from[l.client] = append(from[l.client], l)
		}
		of[l] = append(of[l], i)
	}
	gone := map[int]bool{}
	pairs := 0
	for before, fronts := range of {
		for _, behind := range from[before.server.Addr()] {
			if before.server == behind.server || pairs == maxPairs {
				continue
			}
			if pairs++; c.proxied(before, behind) {
				match(list, fronts, of[behind], gone)
			}
		}
	}
	kept := list[:0]
	for i := range list {
		if !gone[i] {
			kept = append(kept, list[i])
		}
	}
	return kept
}

// maxPairs bounds the pairs of legs that are compared: each is a walk through all
// connections.
const maxPairs = 200

// passing is how long after the end of a request its proxy may still pass it on.
const passing = 100 * time.Millisecond

// match finds for each failure before a proxy the one behind it.
func match(list []Failure, fronts, backs []int, gone map[int]bool) {
	for _, i := range fronts {
		f := &list[i]
		for _, j := range backs {
			b := &list[j]
			if gone[i] || gone[j] || f.Begun == evidence.NotSeen || b.place != f.place || b.Line != f.Line || b.Begun < f.Begun || b.Begun > max(f.Close.At, f.Begun)+passing {
				continue
			}
			gone[j] = true
			f.Behind, f.WhyBehind = b.Server, b.Why
			if f.Met == evidence.Arrived && (b.Met == evidence.Late || b.Met == evidence.Crossed) {
				f.Met, f.Basis = evidence.Crossed, min(f.Basis, b.Basis) // it had arrived only at the proxy
			}
			break
		}
	}
}

// proxied reports whether the server of the leg before is a proxy that passes requests
// on to the leg behind: nearly all exchanges there lie within one before.
func (c *collector) proxied(before, behind leg) bool {
	outer, inner := c.exchangesOf(before), c.exchangesOf(behind)
	if len(outer) == 0 || len(inner) == 0 {
		return false
	}
	slices.SortFunc(outer, func(a, b evidence.Exchange) int { return cmp.Compare(a.Sent, b.Sent) })
	last := make([]time.Duration, len(outer)) // the latest response to the requests so far
	for i, e := range outer {
		last[i] = e.First
		if i > 0 {
			last[i] = max(last[i-1], e.First)
		}
	}
	within := 0
	for _, e := range inner {
		n, _ := slices.BinarySearchFunc(outer, e.Sent+1, func(o evidence.Exchange, at time.Duration) int { return cmp.Compare(o.Sent, at) })
		if n > 0 && last[n-1] >= e.First {
			within++
		}
	}
	return within*20 >= len(inner)*19
}

// exchangesOf returns the exchanges of a leg that were seen whole.
func (c *collector) exchangesOf(l leg) (list []evidence.Exchange) {
	for i := range c.list {
		if one := &c.list[i]; !one.twin && legOf(one) == l {
			for _, e := range one.Exchanges {
				if e.Sent != evidence.NotSeen && e.First != evidence.NotSeen {
					list = append(list, e)
				}
			}
		}
	}
	return list
}
