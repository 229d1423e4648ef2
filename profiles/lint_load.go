package profiles

import (
	"fmt"
	"math"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/generator"
)

// checkPending compares what the load asks of a capped pool with what it has.
func checkPending(s *subject, o *outcome) {
	each, path, part := s.cap()
	if each == 0 {
		o.checked = true // without a cap nobody waits
		return
	}
	if s.lacksLoad(o) {
		return
	}
	held, _ := s.held()
	has, rate := times(each, s.shards()), s.rate()*part
	room := max(s.profile.Load.MaxInFlight-has, 0) // for more than that the generator keeps back
	if need := needed(rate, held); whole(need) > has {
		o.found(Finding{
			Path: path,
			Says: "By Little's law rate x time per request is how many connections are busy; the pool must have as many.",
			Numbers: [2]string{
				fmt.Sprintf("%s x %v = %d connections", perSecond(rate), held, whole(need)),
				capText(path, each, s.shards()),
			},
			Seen: fmt.Sprintf("no more than %s succeed; %s", perSecond(float64(has)/held.Seconds()), s.refusal(room)),
			Set:  fmt.Sprintf("%s=%d", path, whole(need*5/4/float64(s.shards()))),
		})
		return
	}
	excess := min(whole(part*s.excess(float64(has)/held.Seconds()/part)), room)
	if places := times(max(s.pool.PendingMax, 0), s.shards()); s.pool.PendingMax >= 0 && excess > places {
		o.found(Finding{
			Path: "pool.pending_max",
			Says: "What a burst asks beyond the pool's connections must find room in its queue.",
			Numbers: [2]string{
				fmt.Sprintf("%d waiting at the end of a peak of %s", excess, perSecond(s.peak()*part)),
				capText("pool.pending_max", s.pool.PendingMax, s.shards()),
			},
			Seen: "acquire failures (queue_full) late in each burst, without a socket having been touched: `Pending acquire queue has reached its maximum size`, `no free connections available to host`, `reset reason: overflow`",
			Set:  fmt.Sprintf("pool.pending_max=%d; or %s=%d for a burst that does not queue", (excess+s.shards()-1)/s.shards(), path, whole(needed(s.peak()*part, held)/float64(s.shards()))),
		})
		excess = places
	}
	wait := time.Duration(float64(excess) * float64(held) / float64(has)).Round(time.Millisecond)
	if limit := s.pool.PendingTimeout; limit > 0 && wait > limit {
		o.found(Finding{
			Path:    "pool.pending_timeout",
			Says:    "The last in the queue must be served before its time to wait is up.",
			Numbers: [2]string{fmt.Sprintf("longest wait of a burst %v", wait), fmt.Sprintf("pool.pending_timeout %v", limit)},
			Seen:    "acquire failures (timeout) at exactly that time: `Pool#acquire(Duration) has been pending for more than the configured timeout`, `ConnectionRequestTimeoutException`, `PoolTimeout`",
			Set:     fmt.Sprintf("pool.pending_timeout=%v; or more connections", wait*5/4),
		})
	}
}

func capText(path string, each, shards int) string { return capOf(path, each, "pool.shards", shards) }

// capOf is a limit that each of several has, in words.
func capOf(path string, each int, several string, n int) string {
	if n > 1 {
		return fmt.Sprintf("%s %d x %s %d = %d", path, each, several, n, times(each, n))
	}
	return fmt.Sprintf("%s %d", path, each)
}

// refusal says how requests fail that a pool too small cannot serve, when so
// many can wait.
func (s *subject) refusal(room int) string {
	limit := s.pool.PendingTimeout
	switch {
	case room == 0:
		return "what is more is not sent (counts.dropped, or it waits in load.buffer)"
	case s.pool.PendingMax >= 0 && times(s.pool.PendingMax, s.shards()) < room:
		return "the others fail to acquire (queue_full), at once: `Pending acquire queue has reached its maximum size`"
	case limit > 0 && (s.profile.Load.Timeout == 0 || limit < s.profile.Load.Timeout):
		return fmt.Sprintf("the others fail to acquire (timeout) after %v", limit)
	}
	return "the queue grows until requests run into load.timeout, or are dropped at load.max_in_flight"
}

// excess is how many requests wait at the end of a peak if so many are served
// per second.
func (s *subject) excess(served float64) float64 {
	l, over := s.profile.Load, s.peak()-served
	if over <= 0 {
		return 0
	}
	switch a := l.Arrivals; a.Process {
	case generator.Burst:
		return over * a.On.Seconds()
	case generator.Ramp: // a triangle above what is served, after a warm-up at the start's rate
		warm := max(float64(l.Rate)-served, 0) * l.WarmUp.Seconds()
		rising := math.Abs(float64(a.To-l.Rate)) / l.Duration.Seconds()
		if rising == 0 {
			return warm
		}
		return warm + over*over/2/rising
	case generator.Sine: // what of the swing is above what is served
		below, swing := served-float64(l.Rate), float64(a.Amplitude)
		from := math.Asin(max(below/swing, -1))
		return a.Period.Seconds() / (2 * math.Pi) * (2*swing*math.Cos(from) - below*(math.Pi-2*from))
	}
	return 0
}

// timeWait is how long a port stays taken after a close on Linux.
const timeWait = 60 * time.Second

// checkPorts estimates how many ports the client's own closes keep taken.
func checkPorts(s *subject, o *outcome) {
	if o.lacks(!s.loaded(), "load.rate") {
		return
	}
	if s.endsEach() || s.asksClose() {
		return // the server closes first, and keeps the TIME_WAIT
	}
	opened, path, set := s.opened(o)
	opened *= s.share()
	taken := whole(opened * timeWait.Seconds())
	if taken <= s.ports {
		return
	}
	o.found(Finding{
		Path: path,
		Says: "Who closes first keeps the port for a minute: new connections per second x 60 s must stay below the ports there are for one destination.",
		Numbers: [2]string{
			fmt.Sprintf("%s new connections x 60s = %d ports", perSecond(opened), taken),
			s.portsSay,
		},
		Seen: fmt.Sprintf("from about %v on, connect failures (port_exhausted): `cannot assign requested address`, EADDRNOTAVAIL; sockets in TIME_WAIT on the client up to the port range", time.Duration(float64(s.ports)/opened*float64(time.Second)).Round(time.Second)),
		Set:  set,
	})
}

// opened is how many connections per second the client opens because it closed
// others, at most; which field has it close them, and what to set instead.
func (s *subject) opened(o *outcome) (perSecond float64, path, set string) {
	rate, p := s.rate(), s.pool
	consider := func(n float64, field, change string) {
		if n > perSecond {
			perSecond, path, set = n, field, change
		}
	}
	busy, known := 1.0, false
	if held, ok := s.held(); ok {
		busy, known = max(s.busy(held), 1), true
	}
	if p.MaxRequests > 0 {
		consider(rate/float64(p.MaxRequests), "pool.max_requests", fmt.Sprintf("pool.max_requests=%d, or more", max(2*p.MaxRequests, whole(2*rate*timeWait.Seconds()/float64(s.ports)))))
	}
	if p.MaxLifetime > 0 && p.Expiry != 0 {
		enough := time.Duration(2 * busy * float64(timeWait) / float64(s.ports)).Round(time.Millisecond)
		consider(min(busy/p.MaxLifetime.Seconds(), rate), "pool.max_lifetime", fmt.Sprintf("pool.max_lifetime=%v, or more", max(enough, 2*p.MaxLifetime)))
	}
	most, field, part := s.idleCap()
	kept, keepAll := float64(times(most, s.shards())), fmt.Sprintf("%s=%d", field, whole(busy*part/float64(s.shards())))
	if most == 0 {
		consider(rate, field, keepAll)
	} else if most > 0 && !o.lacks(!known, s.server.path("delay")) && busy*part > kept {
		consider(rate*(1-kept/(busy*part)), field, keepAll) // of the busy ones those beyond the cap are closed as they come back
	}
	if limit := s.client().idleLimit(s.nearest()); !limit.unbounded && limit.d > 0 {
		longer := func(gap time.Duration) string { return fmt.Sprintf("pool.idle_timeout=%v", gap+timerSlack+gap/10) }
		if a := s.profile.Load.Arrivals; a.Process == generator.Burst && a.Off > limit.d {
			consider(busy/(a.On+a.Off).Seconds(), "pool.idle_timeout", longer(max(a.Off, a.OffMax)))
		}
		gap := time.Duration(float64(time.Second) / rate)
		if p.LeaseOrder == pool.FIFO {
			gap = time.Duration(float64(gap) * busy)
		}
		if gap > limit.d {
			consider(rate, "pool.idle_timeout", longer(gap))
		}
	}
	return perSecond, path, set
}

// idleCap is how many idle connections each shard keeps, -1 for any number, the
// field that says so, and the part of the load that those are for.
func (s *subject) idleCap() (most int, path string, part float64) {
	most, path, part = s.pool.MaxIdle, "pool.max_idle", s.share()
	if all := s.pool.MaxIdleAll; all >= 0 && (most < 0 || float64(all) < float64(most)/part) {
		return all, "pool.max_idle_all", 1
	}
	return most, path, part
}

// checkChurn compares the idle cap with how many connections are busy at once.
func checkChurn(s *subject, o *outcome) {
	most, path, part := s.idleCap()
	if most < 0 || s.pool.MaxRequests == 1 || s.endsEach() || s.asksClose() {
		o.checked = true // none is closed for being one too many
		return
	}
	if s.lacksLoad(o) {
		return
	}
	held, _ := s.held()
	asked, need := whole(needed(s.peak()*part, held)), whole(s.busy(held)*part)
	if has := times(most, s.shards()); need > has {
		closed := fmt.Sprintf("whenever fewer are busy, all but %d are closed as they come back", has)
		if has == 0 {
			closed = "every connection is closed after one request"
		}
		needs := fmt.Sprintf("%s x %v = %d connections", perSecond(s.peak()*part), held, asked)
		if need < asked {
			needs += fmt.Sprintf(", of which there can be %d", need)
		}
		o.found(Finding{
			Path:    path,
			Says:    "A pool keeps as many idle connections as are busy at once (Little's law), or it closes them after use and opens them again.",
			Numbers: [2]string{needs, capText(path, most, s.shards())},
			Seen:    closed + ": connections opened far above connections needed, a connect in many requests, TIME_WAIT on the client; urllib3: `Connection pool is full, discarding connection`",
			Set:     fmt.Sprintf("%s=%d", path, (need+s.shards()-1)/s.shards()),
		})
	}
}
