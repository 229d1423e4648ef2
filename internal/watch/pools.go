package watch

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Pool has the sockets of a look, as a pool counts them.
type Pool struct {
	Idle, Leased int // established sockets without and with a request under way
	Stale        int // closed by the other end, and not yet by the service
	Opening      int
}

// pools compares the gauges of the service with its sockets.
type pools struct {
	newest map[string]Gauges
	at     time.Duration // of the newest gauges
	silent bool          // the last scrape had none
	when   time.Duration // when they were compared last
	open   agreement
	idle   agreement
	leased agreement
	waited float64 // the most that were pending
	stale  int     // the most stale sockets
}

// agreement counts how often a gauge and the sockets agree.
type agreement struct {
	compared int        // scrapes that had a look beside them
	apart    int        // of them, those that differed by more than one connection
	most     float64    // the largest difference
	then     [2]float64 // at that moment: the gauges' sum, and the sockets'
}

// compare takes what the gauges say, which is negative if they do not export it, and the sockets.
func (a *agreement) compare(says, has float64) {
	if says < 0 {
		return
	}
	a.compared++
	if d := max(says-has, has-says); d > 1 {
		a.apart++
		if d > a.most {
			a.most, a.then = d, [2]float64{says, has}
		}
	}
}

const maxPools = 100

// Gauges takes what the service's pool says.
func (w *Watch) Gauges(g *Gauges) {
	w.pass(g.At)
	p := &w.pools
	if p.newest == nil {
		p.newest = map[string]Gauges{}
	}
	p.at, p.silent = max(p.at, g.At), false
	if _, known := p.newest[g.Pool]; !known && len(p.newest) >= maxPools {
		maps.DeleteFunc(p.newest, func(_ string, old Gauges) bool { return old.At < p.at }) // pools that are gone
		if len(p.newest) >= maxPools {
			return
		}
	}
	p.newest[g.Pool] = *g
	p.waited = max(p.waited, g.Pending)
}

// NoGauges says that a scrape has failed, or has no gauge: what was said before does not hold now.
func (w *Watch) NoGauges() { w.pools.silent = true }

// Pools lists the newest gauges, by name.
func (w *Watch) Pools() (list []Gauges) {
	for _, name := range slices.Sorted(maps.Keys(w.pools.newest)) {
		list = append(list, w.pools.newest[name])
	}
	return list
}

// total adds the gauges of all pools of the newest scrape; -1: none exports it.
func (p *pools) total() (g Gauges) {
	g = Gauges{At: notSeen, Idle: -1, Leased: -1, Open: -1, Pending: -1, Max: -1}
	for _, one := range p.newest {
		if p.silent || one.At < p.at {
			continue // the pool is gone
		}
		g.At = one.At
		for _, pair := range []struct {
			sum *float64
			one float64
		}{{&g.Idle, one.Idle}, {&g.Leased, one.Leased}, {&g.Open, one.Open}, {&g.Pending, one.Pending}, {&g.Max, one.Max}} {
			if pair.one >= 0 {
				*pair.sum = max(*pair.sum, 0) + pair.one
			}
		}
	}
	return g
}

// beside is how far a scrape and a look may be apart to be compared.
const beside = 150 * time.Millisecond

// look compares the newest gauges with a look. A pool keeps stale sockets as idle ones.
func (p *pools) look(w *Watch, look *Look) {
	now := w.pool()
	p.stale = max(p.stale, now.Stale)
	g := p.total()
	if g.At == notSeen || g.At <= p.when || look.At-g.At > beside {
		return
	}
	p.when = g.At
	p.open.compare(g.Open, float64(now.Idle+now.Leased+now.Stale))
	p.idle.compare(g.Idle, float64(now.Idle+now.Stale))
	p.leased.compare(g.Leased, float64(now.Leased))
}

// pool counts the sockets that the service opened, as a pool does.
func (w *Watch) pool() (n Pool) {
	for _, l := range w.open {
		if l.accepted {
			continue
		}
		switch l.state {
		case "ESTABLISHED":
			if l.leased() {
				n.Leased++
			} else {
				n.Idle++
			}
		case "CLOSE_WAIT":
			n.Stale++
		case "SYN_SENT":
			n.Opening++
		}
	}
	return n
}

// PoolSays says in sentences how the gauges and the sockets agree.
func (w *Watch) PoolSays() (says []string) {
	p := &w.pools
	if a := p.open; a.compared > 0 {
		text := fmt.Sprintf("The pool's gauges and its sockets agreed within one connection at %d of %d scrapes.", a.compared-a.apart, a.compared)
		if a.apart > 0 {
			text += fmt.Sprintf(" At most they differed by %.0f: the gauges said %.0f, and there were %.0f sockets.", a.most, a.then[0], a.then[1])
			if a.apart*2 > a.compared {
				text += " So the gauges count other connections too, or the pool counts connections that are gone."
			}
		}
		says = append(says, text)
	}
	var each []string
	for _, one := range []struct {
		name string
		agreement
	}{{"idle", p.idle}, {"leased", p.leased}} {
		if one.compared > 0 {
			each = append(each, fmt.Sprintf("%s at %d of %d", one.name, one.compared-one.apart, one.compared))
		}
	}
	if len(each) > 0 {
		says = append(says, "One by one they agreed within one connection: "+strings.Join(each, ", ")+". A request that begins or ends between the scrape and the look makes a difference.")
	}
	if p.stale > 0 {
		says = append(says, fmt.Sprintf("At most %d sockets were closed by the server and kept by the service (CLOSE_WAIT): it does not notice the close of an idle connection until it uses it.", p.stale))
	}
	if p.waited > 0 {
		says = append(says, fmt.Sprintf("At most %.0f requests waited for a connection (pending).", p.waited))
	}
	return says
}

// Names are the names of the pools, for those who guess the client from them.
func (w *Watch) Names() string { return strings.Join(slices.Sorted(maps.Keys(w.pools.newest)), " ") }
