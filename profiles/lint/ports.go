package lint

import (
	"fmt"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/generator"
	"github.com/kabench/kabench/results"
)

// timeWait is how long Linux keeps a port after a close.
const timeWait = 60 * time.Second

// opening is how many connections per second the client opens because one of its
// settings closed others.
type opening struct {
	most   float64 // if all requests arrive at the same moment
	steady float64 // if they arrive one by one; not above most
	path   string  // of the setting
	set    string
	bounds bounds
}

// budget is how many ports there are for new connections, and for how long one of them
// stays taken after its connection has ended.
type budget struct {
	ports int
	hold  time.Duration
}

// taken is how many ports are in use if connections are opened at that rate.
func (b budget) taken(perSecond float64) int { return roundUp(perSecond * b.hold.Seconds()) }

// worst is the opening that takes most of the ports. A cause that uses them up in any
// traffic comes before one that does so only in bursts.
func (b budget) worst(all []opening) (worst opening) {
	for _, w := range all {
		surely, before := b.taken(w.steady) > b.ports, b.taken(worst.steady) > b.ports
		if surely && (!before || w.steady > worst.steady) || !surely && !before && w.most > worst.most {
			worst = w
		}
	}
	return worst
}

// account says how many ports w takes, and when there are none left.
func (b budget) account(w opening) (taken, when string) {
	from := func(perSecond float64) time.Duration {
		return time.Duration(float64(b.ports) / perSecond * float64(time.Second)).Round(time.Second)
	}
	hold := fmt.Sprintf("%gs", b.hold.Seconds())
	taken = fmt.Sprintf("%s new connections x %s = %d ports", perSecond(w.most), hold, b.taken(w.most))
	when = fmt.Sprintf("from about %v on", from(w.most))
	switch surely := b.taken(w.steady) > b.ports; {
	case w.steady < w.most && surely:
		when = fmt.Sprintf("from about %v on in steady traffic, from %v on at the earliest", from(w.steady), from(w.most))
	case w.steady < w.most:
		when = fmt.Sprintf("not in steady traffic; if many requests come at the same moment, from %v on at the earliest", from(w.most))
	}
	if w.steady < w.most {
		taken = fmt.Sprintf("at most %s; in steady traffic up to about %s x %s = %d ports", taken, perSecond(w.steady), hold, b.taken(w.steady))
	}
	return taken, when
}

// checkPorts estimates how many ports the client's own closes keep in use.
func checkPorts(s *subject, o *outcome) {
	if o.lacks(!s.loaded(), "load.rate") {
		return
	}
	if s.endsEach() || s.asksClose() {
		return // the server closes first, and has the TIME_WAIT socket
	}
	b := budget{s.ports, timeWait}
	worst := b.worst(s.opened(o, b))
	if b.taken(worst.most) <= b.ports {
		return
	}
	taken, when := b.account(worst)
	o.found(Finding{
		Path:    worst.path,
		Says:    "The side that closes a connection first keeps its port for a minute. New connections per second x 60 s must stay below the number of local ports for one destination.",
		Numbers: [2]string{taken, s.portsSay},
		Seen: when + ", connect failures (port_exhausted): " + s.logged(results.PhaseConnect, false, "`cannot assign requested address`, EADDRNOTAVAIL", results.CausePortExhausted) +
			"; TIME_WAIT sockets on the client fill the port range",
		Set: worst.set,
	}, worst.bounds)
}

// opened returns the settings that make the client close connections and open new ones to
// the busiest destination. What they propose keeps within half of the budget.
func (s *subject) opened(o *outcome, b budget) []opening {
	rate, p := s.rate(), s.pool
	var all []opening
	consider := func(n float64, path, set string, b bounds) { all = append(all, opening{n, n, path, set, b}) }
	busy, known := 1.0, false
	if held, ok := s.held(); ok {
		busy, known = max(s.busy(held), 1), true
	}
	if p.MaxRequests != pool.NoCap {
		enough := max(2*p.MaxRequests, roundUp(2*rate*b.hold.Seconds()/float64(b.ports)))
		consider(rate/float64(p.MaxRequests), "pool.max_requests", fmt.Sprintf("pool.max_requests=%d, or more", enough), atLeast(enough))
	}
	if p.MaxLifetime > 0 && p.Expiry != 0 {
		enough := max(time.Duration(2*busy*float64(b.hold)/float64(b.ports)).Round(time.Millisecond), 2*p.MaxLifetime)
		consider(min(busy/p.MaxLifetime.Seconds(), rate), "pool.max_lifetime", fmt.Sprintf("pool.max_lifetime=%v, or more", enough), atLeast(enough))
	}
	most, field, part := s.idleCap()
	if most == 0 || most > 0 && !o.lacks(!known, s.server.path("delay")) && busy*part > float64(multiply(most, s.shards())) {
		keep := roundUp(busy * part / float64(s.shards()))
		together, steady := s.churn(busy)
		all = append(all, opening{together, steady, field, fmt.Sprintf("%s=%d", field, keep), atLeast(keep)})
	}
	if limit := s.client().idleLimit(s.nearest()); !limit.unbounded && limit.d > 0 {
		longer := func(gap time.Duration) (string, bounds) {
			d := gap + timerSlack + gap/10
			return fmt.Sprintf("pool.idle_timeout=%v", d), atLeast(d)
		}
		if a := s.profile.Load.Arrivals; a.Process == generator.Burst && a.Off > limit.d {
			set, b := longer(max(a.Off, a.OffMax))
			consider(busy/(a.On+a.Off).Seconds(), "pool.idle_timeout", set, b)
		}
		gap := time.Duration(float64(time.Second) / rate)
		if p.LeaseOrder == pool.FIFO {
			gap = time.Duration(float64(gap) * busy)
		}
		if gap > limit.d {
			set, b := longer(gap)
			consider(rate, "pool.idle_timeout", set, b)
		}
	}
	for i := range all {
		all[i].most, all[i].steady = all[i].most*s.share(), all[i].steady*s.share()
	}
	return all
}

// churn is how many connections per second are opened because the idle cap is below
// the number of busy connections, so that the pool closes connections that are given
// back.
//
// most is for requests that all arrive at the same moment: each connection beyond the
// cap is closed. In steady traffic, an arriving request takes an idle connection and
// an ending one gives one back. The number of idle connections changes by one at a
// time, between 0 and the cap. If both directions are equally likely (Poisson), each
// of the cap+1 numbers is equally likely, and a request that finds none opens a
// connection: rate/(cap+1). This holds for a cap far below the number of busy
// connections; near it, or with even arrivals, fewer are opened. A burst is steady
// inside, and its end closes the connections beyond the cap.
func (s *subject) churn(busy float64) (most, steady float64) {
	idle, _, part := s.idleCap()
	kept, rate := float64(multiply(idle, s.shards())), s.rate()
	most = rate * max(1-kept/(busy*part), 0)
	if idle == 0 {
		return rate, rate
	}
	steady = rate / float64(idle+1)
	if a := s.profile.Load.Arrivals; a.Process == generator.Burst {
		steady += (busy*part - kept) / (a.On + a.Off).Seconds()
	}
	return most, min(steady, most)
}

// idleCap returns how many idle connections each shard keeps, or pool.NoCap; the field
// that sets it; and the part of the load that the cap applies to.
func (s *subject) idleCap() (most int, path string, part float64) {
	most, path, part = s.pool.MaxIdle, "pool.max_idle", s.share()
	if all := s.pool.MaxIdleAll; all != pool.NoCap && (most == pool.NoCap || float64(all) < float64(most)/part) {
		return all, "pool.max_idle_all", 1
	}
	return most, path, part
}

// checkChurn compares the idle cap with how many connections are busy at once.
func checkChurn(s *subject, o *outcome) {
	most, path, part := s.idleCap()
	if most == pool.NoCap || s.pool.MaxRequests == 1 || s.endsEach() || s.asksClose() {
		o.checked = true // the cap closes no connection
		return
	}
	if s.lacksLoad(o) {
		return
	}
	held, _ := s.held()
	asked, need := roundUp(needed(s.peak()*part, held)), roundUp(s.busy(held)*part)
	if has := multiply(most, s.shards()); need > has {
		closed := "every connection is closed after one request"
		if has > 0 {
			together, steady := s.churn(s.busy(held))
			closed = fmt.Sprintf("a connection that is given back when %d are idle is closed: in steady traffic up to about %.2g %% of the requests open a new one, at most %.2g %% if they come at the same moment",
				has, 100*steady/s.rate(), 100*together/s.rate())
		}
		needs := fmt.Sprintf("%s x %v = %d connections", perSecond(s.peak()*part), held, asked)
		if need < asked {
			needs += fmt.Sprintf(", limited to %d", need)
		}
		o.found(Finding{
			Path:    path,
			Says:    "The pool must keep as many idle connections as are busy at once (Little's law). Otherwise it closes connections after use and opens new ones.",
			Numbers: [2]string{needs, capText(path, most, s.shards())},
			Seen:    closed + "; each of these requests waits for a connect, and TIME_WAIT sockets stay on the client" + s.discards(),
			Set:     fmt.Sprintf("%s=%d", path, (need+s.shards()-1)/s.shards()),
		}, atLeast((need+s.shards()-1)/s.shards()))
	}
}

// discards returns what urllib3, and clients built on it, log about a connection that
// is closed because of the idle cap. Other clients log nothing.
func (s *subject) discards() string {
	switch clientFamily(s.profile) {
	case "urllib3", "requests", "boto3", "":
		return "; in the log of urllib3 `Connection pool is full, discarding connection`"
	}
	return ""
}
