package probe

import (
	"cmp"
	"slices"
	"time"
)

// Role is what a connection of a plan is for.
type Role uint8

const (
	// Used carries one or two requests and then waits for the server to close it.
	Used Role = iota
	// Late carries a request, and a second one about when the server closes idle
	// connections, as the Used ones have shown.
	Late
	// Many carries requests one after the other, to find the limit of requests of a
	// connection, and then waits like Used.
	Many
	// Fresh carries nothing.
	Fresh
	// Half carries half a request head.
	Half
	// UsedHalf carries a request and then half a request head.
	UsedHalf
)

// Opening is one connection of a plan.
type Opening struct {
	At       time.Duration // when it is opened, since the first response of the server
	Role     Role
	Asks     bool          // its requests say Connection: keep-alive
	Pause    time.Duration // from the connection to the first request
	Again    time.Duration // Used, from the response to a second request; 0: there is none. UsedHalf: to the half head
	Requests int           // how many at most
}

// Plan is what a probe does at one address: first a look, which is a connection with one
// request, and when the server has responded, the Openings, in the order in which they
// are opened.
type Plan struct {
	Openings []Opening
}

// Connections is how many connections the plan opens at most.
func (p Plan) Connections() int { return 1 + len(p.Openings) }

// Requests is how many requests the plan sends at most. A half head counts as one.
func (p Plan) Requests() int {
	n := 1
	for _, o := range p.Openings {
		n += o.Requests
	}
	return n
}

// The times between two openings of a role, and the times from the look to the first of
// them. No two connections are opened at the same fraction of a second: a server that
// looks at its timers once a second closes all those late by the same time.
const (
	usedEvery = 61 * time.Millisecond
	lateFrom  = 1313 * time.Millisecond
	lateEvery = 97 * time.Millisecond
)

// The numbers of connections in a plan of at least wholePlan requests. A smaller one has
// fewer of each.
const (
	wholePlan = 60
	manyUsed  = 20 // the look is one of them
	twice     = 4  // of those, how many carry a second request
	manyLate  = 12
	manyFresh = 3
	manyHalf  = 2 // on fresh connections, and as many on used ones
)

// MakePlan returns a plan that sends at most the given number of requests, which is at
// least 1. What is left over after the other connections have their requests goes to the
// one that looks for the limit of requests.
func MakePlan(requests int) Plan {
	share := func(of int) int { return min(of*requests/wholePlan, of) }
	var p Plan
	left := requests - 1
	add := func(o Opening) {
		if o.Requests <= left {
			left -= o.Requests
			p.Openings = append(p.Openings, o)
		}
	}
	used, again := max(share(manyUsed), min(requests, 3)), share(twice)
	for i := 1; i < used; i++ {
		o := Opening{At: time.Duration(i) * usedEvery, Role: Used, Asks: i%2 == 1, Requests: 1}
		if i <= again {
			// These tell a lifetime from an idle timeout: they are older when they fall idle.
			o.Pause, o.Again, o.Requests = time.Duration(i)*71*time.Millisecond, time.Duration(i)*301*time.Millisecond, 2
		}
		add(o)
	}
	for i := range share(manyLate) {
		add(Opening{At: lateFrom + time.Duration(i)*lateEvery, Role: Late, Asks: i%2 == 1, Requests: 2})
	}
	for i := range min(share(manyHalf)+1, manyHalf) {
		add(Opening{At: 211*time.Millisecond + time.Duration(i)*743*time.Millisecond, Role: Half, Requests: 1})
	}
	for i := range share(manyHalf) {
		add(Opening{At: 467*time.Millisecond + time.Duration(i)*439*time.Millisecond, Role: UsedHalf, Again: 150 * time.Millisecond, Requests: 2})
	}
	for i := range max(share(manyFresh), 1) {
		add(Opening{At: 53*time.Millisecond + time.Duration(i)*557*time.Millisecond, Role: Fresh})
	}
	if left > 0 {
		add(Opening{At: 311 * time.Millisecond, Role: Many, Asks: true, Requests: left})
	}
	slices.SortStableFunc(p.Openings, func(a, b Opening) int { return cmp.Compare(a.At, b.At) })
	return p
}
