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
		if one := &c.list[i]; one.place == a && shaken(one) {
			first[identityOf(one)] = one
		}
	}
	var found []time.Duration
	for i := range c.list {
		one := &c.list[i]
		if one.place != b || !shaken(one) {
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

// shaken reports whether the whole handshake was seen.
func shaken(one *seen) bool {
	return one.SYNs == 1 && one.Ready != evidence.NotSeen && one.RoundTrip >= 0
}

// sameTime is how far two views of one connection may begin apart, clocks corrected.
const sameTime = 2 * time.Second

// maxViews is how many earlier views of the same number one is compared with: as many
// places see a connection, and chance brings few more.
const maxViews = 64

// twins marks the further views of connections that were seen at several places, or on
// both sides of an address translation. The view nearest to the client remains: there
// stands what the client saw.
func (c *collector) twins(clocks []time.Duration, near []evidence.Side) {
	begun := func(one *seen) time.Duration { return one.Since - clocks[one.place] }
	views := map[identity][]int{}
	for i := range c.list {
		if c.list[i].log == nil {
			views[identityOf(&c.list[i])] = append(views[identityOf(&c.list[i])], i)
		}
	}
	for _, list := range views {
		if len(list) < 2 {
			continue
		}
		slices.SortStableFunc(list, func(a, b int) int { return c.rank(a, near) - c.rank(b, near) })
		for n, i := range list {
			for _, j := range list[max(0, n-maxViews):n] {
				a, b := &c.list[j], &c.list[i]
				if a.twin || (a.Start != b.Start || a.SYNs == 0) && a.place == b.place || (begun(a)-begun(b)).Abs() > sameTime {
					continue
				}
				if a.Client != b.Client && a.Server != b.Server {
					continue // the same first number is chance
				}
				b.twin = true
				a.seenAgain(b, near[b.place])
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
func (a *seen) seenAgain(b *seen, near evidence.Side) {
	if len(a.Unanswered) == 1 && len(b.Unanswered) == 1 {
		u, other := &a.Unanswered[0], &b.Unanswered[0]
		if u.Basis < other.Basis && other.Met != evidence.Waiting {
			u.Basis, u.Met, u.Why = other.Basis, other.Met, other.Why
		}
	}
	if near != evidence.ByServer || a.place == b.place {
		return
	}
	for i := range a.Resets {
		r := &a.Resets[i]
		if r.From != evidence.ByServer || slices.ContainsFunc(b.Resets, func(o evidence.Reset) bool { return o.From == r.From }) {
			continue
		}
		r.Origin, r.Basis, r.Why = evidence.ByMiddle, evidence.Seen, "it was seen at the client, and did not leave the server"
		if i == 0 && a.Close.How == evidence.RST {
			a.Close.By, a.Close.Basis, a.Close.Why = r.Origin, r.Basis, r.Why
			for n := range a.Unanswered {
				a.Unanswered[n].Why += "; " + r.Why
			}
		}
	}
}

// strayed marks views of connections that arrived at a server which had never seen their
// SYN: a balancer had sent them to another one before.
func (c *collector) strayed(clocks []time.Duration) {
	opened := map[netip.AddrPort][]int{}
	for i := range c.list {
		if one := &c.list[i]; one.SYNs > 0 && !one.twin && one.log == nil {
			opened[one.Client] = append(opened[one.Client], i)
		}
	}
	for i := range c.list {
		b := &c.list[i]
		if b.SYNs > 0 || b.twin || b.Requests > 0 || b.log != nil {
			continue
		}
		for _, j := range opened[b.Client] {
			a := &c.list[j]
			at := b.Since - clocks[b.place]
			if a.place == b.place || a.Server == b.Server || at < a.Since-clocks[a.place] || at > a.Until-clocks[a.place]+sameTime {
				continue
			}
			b.twin = true
			a.strayedTo = b.Server
			if len(a.Resets) > 0 && len(b.Resets) > 0 && b.Resets[0].From == evidence.ByServer {
				r := &a.Resets[0]
				r.Origin, r.Basis, r.Why = evidence.ByServer, evidence.Seen, "it left "+b.Server.String()
				if a.Close.How == evidence.RST {
					a.Close.By, a.Close.Basis, a.Close.Why = r.Origin, r.Basis, r.Why
				}
			}
		}
	}
}
