package autopsy

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/kabench/kabench/internal/evidence"
)

// leg is the way to a server: from all its clients, or from one of them.
type leg struct {
	client netip.Addr // the zero Addr: all
	server netip.AddrPort
}

func (l leg) compare(m leg) int {
	return cmp.Or(l.server.Compare(m.server), l.client.Compare(m.client))
}

// maxLegs bounds the servers with failures that can be proxies, and those behind them.
const maxLegs = 300

// passedOn finds requests that a proxy passed on: both legs of the proxy are in the
// captures, and the same request failed on both. Such a failure is listed once, on the
// leg before the proxy.
func (c *collector) passedOn(list []Failure) []Failure {
	fronts, backs := map[leg][]int{}, map[leg][]int{}
	for i := range list {
		one := &c.list[list[i].leg]
		before, behind := leg{server: one.Server}, leg{one.Client.Addr(), one.Server}
		fronts[before], backs[behind] = append(fronts[before], i), append(backs[behind], i)
	}
	gone := map[int]bool{}
	if len(fronts) > maxLegs || len(backs) > maxLegs {
		return list
	}
	exchanges := c.exchangesOf(fronts, backs)
	for _, before := range slices.SortedFunc(maps.Keys(fronts), leg.compare) {
		for _, behind := range slices.SortedFunc(maps.Keys(backs), leg.compare) {
			if before.server != behind.server && proxied(before, behind, exchanges[before], exchanges[behind]) {
				match(list, fronts[before], backs[behind], gone)
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

// passing is how long after the end of a request its proxy may still pass it on.
const passing = 100 * time.Millisecond

// match finds for each failure before a proxy the one behind it.
func match(list []Failure, fronts, backs []int, gone map[int]bool) {
	for _, i := range fronts {
		f := &list[i]
		for _, j := range backs {
			b := &list[j]
			if gone[i] || gone[j] || !f.passedAs(b) {
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

// passedAs reports whether a proxy passed f on as b. A trace that both requests have
// decides; else it is the request line and the time.
func (f *Failure) passedAs(b *Failure) bool {
	traced := f.Origin.Trace != 0 && b.Origin.Trace != 0
	if traced && f.Origin.Trace != b.Origin.Trace {
		return false
	}
	if b.place != f.place {
		return traced // their clocks may differ
	}
	return f.Begun != evidence.NotSeen && (traced || b.Line == f.Line) && b.Begun >= f.Begun && b.Begun <= max(f.Close.At, f.Begun)+passing
}

// proxied reports whether the server of the leg before is a proxy that passes requests
// on to the leg behind: requests there have the traces of requests before, or nearly all
// of them lie within requests before.
func proxied(before, behind leg, outer, inner []placed) bool {
	if inner = marked(inner); len(outer) == 0 || len(inner) == 0 {
		return false
	}
	if found, of := traced(outer, inner); found > 0 {
		return found*2 > of
	}
	if before.server.Addr() != behind.client && !inner[0].Origin.Passed {
		return false
	}
	return nested(outer, inner)
}

// marked returns the exchanges whose requests say that a proxy passed them on, if there
// are any: the others are the proxy's own, such as its health checks.
func marked(list []placed) []placed {
	own := slices.DeleteFunc(slices.Clone(list), func(e placed) bool { return !e.Origin.Passed && e.Origin.Trace == 0 })
	if len(own) == 0 {
		return list
	}
	return own
}

// traced counts the requests behind with a trace, and those whose trace a request before
// has too, around it in time.
func traced(outer, inner []placed) (found, of int) {
	by := map[uint64]placed{}
	for _, e := range outer {
		by[e.Origin.Trace] = e
	}
	for _, e := range inner {
		if e.Origin.Trace == 0 {
			continue
		}
		of++
		o, ok := by[e.Origin.Trace]
		if ok && (o.place != e.place || o.Sent <= e.Sent && e.First <= o.First) {
			found++
		}
	}
	return found, of
}

// nested reports whether nearly all exchanges of inner lie within one of outer, which is
// in the order of time.
func nested(outer, inner []placed) bool {
	last := make([]time.Duration, len(outer)) // the latest response to the requests so far
	for i, e := range outer {
		last[i] = e.First
		if i > 0 {
			last[i] = max(last[i-1], e.First)
		}
	}
	within := 0
	for _, e := range inner {
		n, _ := slices.BinarySearchFunc(outer, e.Sent+1, func(o placed, at time.Duration) int { return cmp.Compare(o.Sent, at) })
		if n > 0 && last[n-1] >= e.First {
			within++
		}
	}
	return within*20 >= len(inner)*19
}

// placed is an exchange and the place that saw it.
type placed struct {
	evidence.Exchange
	place int
}

// exchangesOf returns the exchanges of legs that were seen whole, in the order of time.
func (c *collector) exchangesOf(fronts, backs map[leg][]int) map[leg][]placed {
	of := map[leg][]placed{}
	for i := range c.list {
		one := &c.list[i]
		before, behind := leg{server: one.Server}, leg{one.Client.Addr(), one.Server}
		if one.twin || fronts[before] == nil && backs[behind] == nil {
			continue
		}
		for _, e := range one.Exchanges {
			if e.Sent != evidence.NotSeen && e.First != evidence.NotSeen {
				of[before] = append(of[before], placed{e, one.place})
				of[behind] = append(of[behind], placed{e, one.place})
			}
		}
	}
	for _, list := range of {
		slices.SortFunc(list, func(a, b placed) int { return cmp.Compare(a.Sent, b.Sent) })
	}
	return of
}
