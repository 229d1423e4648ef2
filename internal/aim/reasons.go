package aim

import (
	"fmt"
	"math"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/results"
)

// The reasons why an incident is not expected to show. They are values of
// results.Forecast.Reason.
const (
	ReasonNoTimer  = "no_timer"   // the server has no idle timer, or none is known
	ReasonNoHint   = "no_hint"    // the server announces nothing
	ReasonOwnTimer = "own_timer"  // the pool closes idle connections before the server does
	ReasonLifetime = "lifetime"   // connections do not get as old as the server's timer
	ReasonNotKept  = "not_kept"   // the pool or the server keeps no connection
	ReasonNotices  = "notices"    // the client notices the close in time
	ReasonLIFO     = "lifo"       // the pool uses few of its connections, and those often
	ReasonCap      = "cap"        // the pool has too few connections
	ReasonResent   = "resent"     // the pool sends again what was lost
	ReasonFew      = "few_hits"   // too few requests meet the close within the budget
	ReasonBudget   = "budget"     // one wait for the server's timer takes longer than the user allows
	ReasonForecast = "forecast"   // it is never made, because it would harm what else runs here
	ReasonCapacity = "large_pool" // the pool is too large for the load
)

// enough is results.Enough.
const enough = float64(results.Enough)

// reason says why few or no failures are expected, and what it takes to have more.
type reason struct{ name, why, takes string }

// explain finds out which rule of the pool keeps the incident away: the one without which
// it would show. If there is none, the budget is too small.
func (a *aiming) explain() reason {
	if a.behind {
		return a.fewHits() // the balancer's rules are not known
	}
	for _, f := range []func() (reason, func(*pool.Policy)){a.notKept, a.ownTimer, a.lifetime, a.lifo, a.cap, a.resends} {
		r, without := f()
		if without == nil {
			continue
		}
		p := a.profile.Clone()
		without(&p.Pool)
		e, err := expect(p, a.server, a.figure, tried)
		if err != nil {
			continue
		}
		// A pool with several such rules has the first of them for a reason, even if the
		// others hide what is met.
		shown, before := e.mean, a.estimate.mean
		if r.name != ReasonResent && a.figure.path != noticed.path {
			shown, before = e.meanOf(met), a.estimate.meanOf(met)
		}
		if shown >= max(enough, 3*before) {
			return r
		}
	}
	return a.fewHits()
}

func (a *aiming) notKept() (reason, func(*pool.Policy)) {
	p := a.profile.Pool
	if p.MaxIdle != 0 && p.MaxIdleAll != 0 && p.MaxRequests != 1 {
		return reason{}, nil
	}
	return reason{ReasonNotKept, "the pool keeps no connection after a response, so none can be stale", "a pool that keeps connections: pool.max_idle, pool.max_requests"},
		func(p *pool.Policy) { p.MaxIdle, p.MaxIdleAll, p.MaxRequests = pool.NoCap, pool.NoCap, pool.NoCap }
}

func (a *aiming) ownTimer() (reason, func(*pool.Policy)) {
	p, s := a.profile.Pool, a.server
	own, by := p.IdleTimeout, "pool.idle_timeout"
	if s.Hint > 0 {
		if hinted, kept := p.IdleAfter(s.Hint); !kept || hinted != own {
			own, by = hinted, "the server's hint less pool.hint_margin"
			if !kept {
				own = 0
			}
		}
	}
	if own == 0 && by == "pool.idle_timeout" {
		return reason{}, nil
	}
	return reason{
			ReasonOwnTimer,
			fmt.Sprintf("the pool's own timer is shorter (%s %v): it closes idle connections before the server, which closes after %v at the earliest", by, own, round(s.Idle.Min)),
			"nothing: this pool is safe against this server. To see the race anyway, add --set pool.idle_timeout=0 --set pool.server_hint=ignore",
		}, func(p *pool.Policy) {
			p.IdleTimeout, p.ServerHint, p.HintMargin, p.HintCap = 0, pool.HintIgnore, 0, 0
		}
}

func (a *aiming) lifetime() (reason, func(*pool.Policy)) {
	own := a.profile.Pool.MaxLifetime
	if own == 0 {
		return reason{}, nil
	}
	return reason{
			ReasonLifetime, fmt.Sprintf("the pool closes connections after pool.max_lifetime %v, before the server's timer runs out (%v)", own, round(a.server.Idle.Min)),
			"nothing: this pool is safe against this server. To see the race anyway, add --set pool.max_lifetime=0",
		}, func(p *pool.Policy) {
			p.MaxLifetime, p.LifetimeJitter = 0, 0
		}
}

func (a *aiming) lifo() (reason, func(*pool.Policy)) {
	if p := a.profile.Pool; p.LeaseOrder != pool.LIFO || p.Shards > 1 {
		return reason{}, nil
	}
	return reason{
			ReasonLIFO, "the pool leases the connection that was released last (lease_order: lifo): the same few are used again and again, and the others stay idle until the server closes them, which the client notices",
			"silences as long as the server's timer, or many clients with little traffic each (pool.shards)",
		}, func(p *pool.Policy) {
			p.LeaseOrder = pool.FIFO
		}
}

func (a *aiming) cap() (reason, func(*pool.Policy)) {
	p := a.profile.Pool
	if p.MaxConns == pool.NoCap && p.MaxConnsAll == pool.NoCap && p.MaxIdle == pool.NoCap && p.MaxIdleAll == pool.NoCap {
		return reason{}, nil
	}
	return reason{
			ReasonCap, fmt.Sprintf("the pool has too few connections (max_conns %s, max_idle %s) to meet the server's timer often enough", capText(p.MaxConns), capText(p.MaxIdle)),
			"more copies of the pool (--max-connections), a longer --budget-time, or a larger cap",
		}, func(p *pool.Policy) {
			p.MaxConns, p.MaxConnsAll, p.MaxIdle, p.MaxIdleAll = pool.NoCap, pool.NoCap, pool.NoCap, pool.NoCap
		}
}

func (a *aiming) resends() (reason, func(*pool.Policy)) {
	if len(a.profile.Pool.Resend) == 0 {
		return reason{}, nil
	}
	return reason{
			ReasonResent, "the pool sends again what the server's close has met, so that its caller sees no failure",
			"a request that the pool does not send again (--set target.method=POST --allow-unsafe), or --set pool.resend=[]",
		}, func(p *pool.Policy) {
			p.Resend = nil
		}
}

// fewHits says how rarely a reuse meets the close, and what would do.
func (a *aiming) fewHits() reason {
	p, s := a.profile, a.server.Idle
	trip := roundTrip(p, a.server)
	chance := a.bestAge(p).chance
	// A few more than enough, because fewer than the mean may come.
	more := 2 * enough / max(a.estimate.mean, 1e-4)
	n := float64(max(p.Pool.Shards, 1))
	if a.behind {
		return reason{ReasonFew, fmt.Sprintf("the server's closes are spread over %v (%s), and the balancer's request is lost only if it leaves within their round trip, %v as measured, before one: %s of the requests that are aimed",
			round(s.Width()), s.text(), round(trip), percent(chance)), fmt.Sprintf("a longer --budget-time (%s), or a longer way between the balancer and the server", long(time.Duration(more*float64(a.order.Budget.Time))))}
	}
	takes := fmt.Sprintf("%.0f connections side by side (--max-connections %.0f --max-requests %.0f), or %s in all (--budget-time %v)",
		math.Ceil(n*more), math.Ceil(n*more), math.Ceil(more*p.Load.MeanRate()*p.Sending().Seconds()),
		long(time.Duration(more*float64(a.order.Budget.Time))), time.Duration(more*float64(a.order.Budget.Time)).Round(time.Second))
	if delay := a.linkDelay(); a.order.Here && !a.behind {
		takes += fmt.Sprintf(", or --link-delay %v", round(max(time.Duration(float64(max(delay, trip/2))*more), time.Millisecond)).Round(time.Millisecond))
	}
	why := fmt.Sprintf("the server's closes are spread over %v (%s), and a request is lost only if it leaves within %v before one: %s of the requests that are aimed",
		round(s.Width()), s.text(), round(trip), percent(chance))
	if a.estimate.meanOf(func(c Counts) int { return c.Noticed }) > 10*a.estimate.mean && p.Pool.Liveness != pool.None {
		why += "; the client notices the other closes in time"
	}
	return reason{ReasonFew, why, takes}
}

func capText(n int) string {
	if n == pool.NoCap {
		return "none"
	}
	return fmt.Sprint(n)
}

func percent(share float64) string {
	if share < 0.001 {
		return fmt.Sprintf("%.2g %%", 100*share)
	}
	return fmt.Sprintf("%.1f %%", 100*share)
}

// long is a time of minutes or hours, for people.
func long(d time.Duration) string {
	if d > 2*time.Hour {
		return fmt.Sprintf("%.0f hours", d.Hours())
	}
	if d > 5*time.Minute {
		return fmt.Sprintf("%.0f minutes", d.Minutes())
	}
	return d.Round(time.Second).String()
}
