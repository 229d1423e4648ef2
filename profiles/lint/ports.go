package lint

import (
	"fmt"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/generator"
	"github.com/kabench/kabench/results"
)

// timeWait is how long a port stays taken after a close on Linux.
const timeWait = 60 * time.Second

// opening is how many connections per second the client opens because one of
// its settings closed others.
type opening struct {
	most   float64 // when requests come at the same moment
	steady float64 // when they come one by one, most at the most
	path   string  // of the setting
	set    string
	bounds bounds
}

// portsTaken is how many ports are taken by so many new connections per second.
func portsTaken(perSecond float64) int { return whole(perSecond * timeWait.Seconds()) }

// checkPorts estimates how many ports the client's own closes keep taken.
func checkPorts(s *subject, o *outcome) {
	if o.lacks(!s.loaded(), "load.rate") {
		return
	}
	if s.endsEach() || s.asksClose() {
		return // the server closes first, and keeps the TIME_WAIT
	}
	worst := opening{}
	for _, w := range s.opened(o) {
		w.most, w.steady = w.most*s.share(), w.steady*s.share()
		// What takes the ports in any traffic comes before what does in bursts.
		if surely, before := portsTaken(w.steady) > s.ports, portsTaken(worst.steady) > s.ports; surely && (!before || w.steady > worst.steady) || !surely && !before && w.most > worst.most {
			worst = w
		}
	}
	if portsTaken(worst.most) <= s.ports {
		return
	}
	from := func(perSecond float64) time.Duration {
		return time.Duration(float64(s.ports) / perSecond * float64(time.Second)).Round(time.Second)
	}
	taken := fmt.Sprintf("%s new connections x 60s = %d ports", perSecond(worst.most), portsTaken(worst.most))
	when := fmt.Sprintf("from about %v on", from(worst.most))
	switch surely := portsTaken(worst.steady) > s.ports; {
	case worst.steady < worst.most && surely:
		when = fmt.Sprintf("from about %v on in steady traffic, from %v on at the earliest", from(worst.steady), from(worst.most))
	case worst.steady < worst.most:
		when = fmt.Sprintf("not in steady traffic; if requests come at the same moment, as from callers in step, from %v on at the earliest", from(worst.most))
	}
	if worst.steady < worst.most {
		taken = fmt.Sprintf("at most %s; in steady traffic up to about %s x 60s = %d ports", taken, perSecond(worst.steady), portsTaken(worst.steady))
	}
	o.found(Finding{
		Path:    worst.path,
		Says:    "Who closes first keeps the port for a minute: new connections per second x 60 s must stay below the ports there are for one destination.",
		Numbers: [2]string{taken, s.portsSay},
		Seen: when + ", connect failures (port_exhausted): " + s.logged(results.PhaseConnect, false, "`cannot assign requested address`, EADDRNOTAVAIL", results.CausePortExhausted) +
			"; sockets in TIME_WAIT on the client up to the port range",
		Set: worst.set,
	}, worst.bounds)
}

// opened are the settings that have the client close connections and open others.
func (s *subject) opened(o *outcome) []opening {
	rate, p := s.rate(), s.pool
	var all []opening
	consider := func(n float64, path, set string, b bounds) { all = append(all, opening{n, n, path, set, b}) }
	busy, known := 1.0, false
	if held, ok := s.held(); ok {
		busy, known = max(s.busy(held), 1), true
	}
	if p.MaxRequests != pool.NoCap {
		enough := max(2*p.MaxRequests, whole(2*rate*timeWait.Seconds()/float64(s.ports)))
		consider(rate/float64(p.MaxRequests), "pool.max_requests", fmt.Sprintf("pool.max_requests=%d, or more", enough), atLeast(enough))
	}
	if p.MaxLifetime > 0 && p.Expiry != 0 {
		enough := max(time.Duration(2*busy*float64(timeWait)/float64(s.ports)).Round(time.Millisecond), 2*p.MaxLifetime)
		consider(min(busy/p.MaxLifetime.Seconds(), rate), "pool.max_lifetime", fmt.Sprintf("pool.max_lifetime=%v, or more", enough), atLeast(enough))
	}
	most, field, part := s.idleCap()
	if most == 0 || most > 0 && !o.lacks(!known, s.server.path("delay")) && busy*part > float64(times(most, s.shards())) {
		keep := whole(busy * part / float64(s.shards()))
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
	return all
}

// churn is how many connections per second are opened because the idle cap, below
// what is busy, has others closed as they come back.
//
// At most those beyond the cap are, of all that are busy: when all requests come
// at the same moment. In steady traffic a request that comes takes an idle
// connection, and one that ends gives one back: the number of idle ones goes up
// and down by one, between 0 and the cap. Where both are as likely (Poisson), each
// of the cap+1 numbers is, and the request that finds none opens one: rate/(cap+1).
// That is so for a cap far below what is busy; nearer to it, and with even
// arrivals, fewer are opened. A burst is steady within, and its end closes what is
// beyond the cap.
func (s *subject) churn(busy float64) (most, steady float64) {
	idle, _, part := s.idleCap()
	kept, rate := float64(times(idle, s.shards())), s.rate()
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

// idleCap is how many idle connections each shard keeps, or pool.NoCap, the field
// that says so, and the part of the load that those are for.
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
		o.checked = true // none is closed for being one too many
		return
	}
	if s.lacksLoad(o) {
		return
	}
	held, _ := s.held()
	asked, need := whole(needed(s.peak()*part, held)), whole(s.busy(held)*part)
	if has := times(most, s.shards()); need > has {
		closed := "every connection is closed after one request"
		if has > 0 {
			together, steady := s.churn(s.busy(held))
			closed = fmt.Sprintf("a connection that comes back to %d idle ones is closed: in steady traffic up to about %.2g %% of the requests open a new one, at most %.2g %% if they come at the same moment",
				has, 100*steady/s.rate(), 100*together/s.rate())
		}
		needs := fmt.Sprintf("%s x %v = %d connections", perSecond(s.peak()*part), held, asked)
		if need < asked {
			needs += fmt.Sprintf(", of which there can be %d", need)
		}
		o.found(Finding{
			Path:    path,
			Says:    "A pool keeps as many idle connections as are busy at once (Little's law), or it closes them after use and opens them again.",
			Numbers: [2]string{needs, capText(path, most, s.shards())},
			Seen:    closed + "; a connect in each of those, TIME_WAIT on the client" + s.discards(),
			Set:     fmt.Sprintf("%s=%d", path, (need+s.shards()-1)/s.shards()),
		}, atLeast((need+s.shards()-1)/s.shards()))
	}
}

// discards is what urllib3 and what is made of it log of a connection closed for
// the idle cap; other clients log nothing.
func (s *subject) discards() string {
	switch clientFamily(s.profile) {
	case "urllib3", "requests", "boto3", "":
		return "; in the log of urllib3 `Connection pool is full, discarding connection`"
	}
	return ""
}
