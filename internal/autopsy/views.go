package autopsy

import (
	"net/netip"
	"slices"
	"time"

	"github.com/kabench/kabench/internal/evidence"
)

// near says at which end a place is, as most of its connections show.
func (c *collector) near(place int) evidence.Side {
	var votes [4]int
	for i := range c.list {
		if c.list[i].place == place {
			votes[c.list[i].Near]++
		}
	}
	for _, side := range []evidence.Side{evidence.ByClient, evidence.ByServer} {
		if n := votes[side]; 10*n > 9*(votes[evidence.ByClient]+votes[evidence.ByServer]) && n > votes[evidence.Nobody]/2 {
			return side
		}
	}
	return evidence.Nobody
}

// identity is what two views of one connection share, even behind an address
// translation.
type identity struct {
	start uint32
	ends  [2]netip.AddrPort
}

func identityOf(c *seen) identity {
	if c.SYNs > 0 {
		return identity{start: c.Start}
	}
	return identity{ends: [2]netip.AddrPort{c.Client, c.Server}}
}

// clock compares the clocks of two places: how far that of b is ahead, from the
// handshakes that both saw.
func (c *collector) clock(a, b int) (ahead time.Duration, shakes int) {
	first := map[identity]*seen{}
	for i := range c.list {
		if one := &c.list[i]; one.place == a && one.SYNs == 1 && one.RoundTrip > 0 {
			first[identityOf(one)] = one
		}
	}
	var found []time.Duration
	for i := range c.list {
		one := &c.list[i]
		if one.place != b || one.SYNs != 1 || one.RoundTrip <= 0 {
			continue
		}
		if other := first[identityOf(one)]; other != nil && (other.Client == one.Client || other.Server == one.Server) {
			found = append(found, (one.Opened-other.Opened+one.Opened+one.RoundTrip-other.Opened-other.RoundTrip)/2)
		}
	}
	if len(found) == 0 {
		return 0, 0
	}
	slices.Sort(found)
	return found[len(found)/2], len(found)
}

// sameTime is how far two views of one connection may begin apart, clocks corrected.
const sameTime = 2 * time.Second

// twins marks the further views of connections that were seen at several places, or on
// both sides of an address translation. The view nearest to the client remains: there
// stands what the client saw.
func (c *collector) twins(clocks []time.Duration, near []evidence.Side) {
	begun := func(one *seen) time.Duration { return one.Since - clocks[one.place] }
	views := map[identity][]int{}
	for i := range c.list {
		views[identityOf(&c.list[i])] = append(views[identityOf(&c.list[i])], i)
	}
	for _, list := range views {
		if len(list) < 2 {
			continue
		}
		slices.SortStableFunc(list, func(a, b int) int { return c.rank(a, near) - c.rank(b, near) })
		for n, i := range list {
			for _, j := range list[:n] {
				a, b := &c.list[j], &c.list[i]
				if a.twin || (a.Start != b.Start || a.SYNs == 0) && a.place == b.place || (begun(a)-begun(b)).Abs() > sameTime {
					continue
				}
				if a.Client != b.Client && a.Server != b.Server {
					continue // the same first number is chance
				}
				b.twin = true
				a.seenAgain(b)
				break
			}
		}
	}
}

// rank orders views: the client's end first.
func (c *collector) rank(i int, near []evidence.Side) int {
	switch near[c.list[i].place] {
	case evidence.ByClient:
		return 0
	case evidence.Nobody:
		return 1
	}
	return 2
}

// seenAgain completes a view by another one of the same connection.
func (a *seen) seenAgain(b *seen) {
	if len(a.Unanswered) == 1 && len(b.Unanswered) == 1 && a.Unanswered[0].Basis < b.Unanswered[0].Basis {
		a.Unanswered[0].Basis, a.Unanswered[0].Met, a.Unanswered[0].Why = b.Unanswered[0].Basis, b.Unanswered[0].Met, b.Unanswered[0].Why
	}
}
