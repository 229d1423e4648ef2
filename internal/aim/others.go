package aim

import (
	"fmt"
	"math"
	"reflect"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/generator"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/profiles/script"
)

// maxBurst is the highest rate that is aimed at somebody's server: more would be a load
// test, and kabench itself may be late.
const maxBurst = 2000

// slowLink is the delay of kabench's link before a target on this machine if the incident
// overloads the pool: responses then take so long that a modest rate does it.
const slowLink = 50 * time.Millisecond

// slow makes the link to the target slower, unless the user has chosen its delay.
func (a *aiming) slow() {
	if a.order.Here && a.order.LinkDelay == nil && !a.isSet("target.link") {
		a.profile.Target.Link = &script.Link{Delay: slowLink}
	}
}

// queueFull sends bursts that fill the pool's connections and its queue.
func (a *aiming) queueFull() error {
	a.figure = refused
	a.slow()
	p := a.profile.Pool
	if p.MaxConns == pool.NoCap || p.PendingMax == pool.NoCap {
		a.noQueue("its cap or its queue has no limit")
		return nil
	}
	// As many as the pool takes, those that it serves meanwhile, and some more.
	return a.overload(p.MaxConns+p.PendingMax+2*wanted, profiles.Changes{"pool.pending_max": fmt.Sprint(4 * (p.MaxConns + p.PendingMax + 2*wanted))},
		"a longer queue", "what was refused waits; a lasting overload fills any queue")
}

// pendingTimeout sends bursts that wait in the pool's queue for longer than it allows.
func (a *aiming) pendingTimeout() error {
	a.figure = timedOut
	a.slow()
	p := a.profile.Pool
	if p.MaxConns == pool.NoCap || p.PendingTimeout == 0 {
		a.noQueue("its cap or the time in its queue has no limit")
		return nil
	}
	carried := float64(p.MaxConns) / a.serviceTime(a.profile).Seconds() * p.PendingTimeout.Seconds()
	n := p.MaxConns + int(min(carried, 1e9)) + 2*wanted
	if p.PendingMax != pool.NoCap && p.PendingMax < n-p.MaxConns {
		a.reason = reason{ReasonCapacity,
			fmt.Sprintf("the queue holds %d requests, and the pool carries them within pool.pending_timeout %v, so the queue is full before a request has waited for so long", p.PendingMax, p.PendingTimeout),
			"a slower response, a longer queue (--set pool.pending_max=...) or a shorter --set pool.pending_timeout=...; pending-queue-full shows the queue"}
		a.shape(a.profile, shape{rate: 10, on: 100 * time.Millisecond, off: time.Second, cycles: 1})
		a.queueRemedies(profiles.Changes{"pool.pending_timeout": "45s"}, "a longer timeout", "the wait itself")
		return nil
	}
	return a.overload(n, profiles.Changes{"pool.pending_timeout": "45s"}, "a longer timeout", "the wait itself")
}

func (a *aiming) noQueue(why string) {
	a.reason = reason{ReasonCapacity, "the pool never refuses a request: " + why, "a pool with both limits: --set pool.max_conns=... --set pool.pending_max=... --set pool.pending_timeout=..."}
	a.shape(a.profile, shape{rate: 10, on: 100 * time.Millisecond, off: time.Second, cycles: 1})
	a.queueRemedies(profiles.Changes{"pool.max_conns": "64"}, "a cap", "")
}

// overload sends a burst of n requests and what the pool serves meanwhile, by Little's
// law. The second burst shows that the first was no accident of opening connections.
func (a *aiming) overload(n int, longer profiles.Changes, name, cost string) error {
	p := a.profile
	holds := a.serviceTime(p)
	carries := float64(p.Pool.MaxConns) / max(holds.Seconds(), 1e-6)
	rate := math.Ceil(max(2*carries, 100)/10) * 10
	on := time.Duration(float64(n) / (rate - carries) * float64(time.Second))
	s := shape{rate: rate, on: max(on.Round(10*time.Millisecond), 20*time.Millisecond), off: time.Second, cycles: 1}
	limit := ""
	switch total := rate * s.on.Seconds() * 2; {
	case rate > maxBurst:
		limit = fmt.Sprintf("the pool carries %.0f requests/s (%d connections, each held for %v), and kabench sends at most %d/s", carries, p.Pool.MaxConns, round(holds), maxBurst)
		s = shape{rate: maxBurst, on: 500 * time.Millisecond, off: time.Second, cycles: 1}
	case total > float64(a.order.Budget.Requests):
		limit = fmt.Sprintf("it takes %.0f requests, and --max-requests is %d", total, a.order.Budget.Requests)
		s.on = time.Duration(float64(a.order.Budget.Requests) / 2 / rate * float64(time.Second))
	}
	a.shape(p, s)
	p.Load.MaxInFlight = max(1000, 4*n)
	var err error
	if a.profile, a.estimate, err = a.try(func(*profiles.Profile) {}, simulated); err != nil {
		return err
	}
	if a.estimate.mean < enough {
		a.reason = reason{ReasonCapacity, limit, "a slower path of the server, a smaller --set pool.max_conns=..., or --link-delay if the target is on this machine"}
		if limit == "" {
			a.reason.why = "the pool serves all of these requests in time"
		}
	}
	a.queueRemedies(longer, name, cost)
	return nil
}

// queueRemedies sets the expectations and the remedies of an overloaded pool.
func (a *aiming) queueRemedies(longer profiles.Changes, name, cost string) {
	p := a.profile
	p.Expect = map[string]string{a.figure.path: a.atLeast(), "failures": "== " + a.figure.path}
	byLittle := int(math.Ceil(1.6 * float64(p.Load.Rate) * a.serviceTime(p).Seconds()))
	p.Remedies = []profiles.Remedy{
		{
			Name: "a cap by Little's law", Set: profiles.Changes{"pool.max_conns": fmt.Sprint(max(byLittle, p.Pool.MaxConns+1))}, Expect: map[string]string{"failures": "0"},
			Cost: fmt.Sprintf("%v × %v = %.0f connections are in use in a burst; {pool.peak_leased} were, and the server bears them", p.Load.Rate, round(a.serviceTime(p)), float64(p.Load.Rate)*a.serviceTime(p).Seconds()),
		},
		{Name: name, Set: longer, Expect: map[string]string{"failures": "0"}, Cost: cost},
	}
	p.Says.Happened = fmt.Sprintf("%d connections were in use and the queue held all that it may, so the pool gave requests up, and not the server", p.Pool.MaxConns)
}

// handshakes opens a connection for each request, and compares with kept connections.
func (a *aiming) handshakes() error {
	a.figure = opened
	p := a.profile
	p.Load.Rate, p.Load.Arrivals, p.Load.Duration, p.Load.WarmUp = 20, generator.Arrivals{}, 3*time.Second, 0
	p.Load.MaxInFlight = 200
	var err error
	if a.profile, a.estimate, err = a.try(func(*profiles.Profile) {}, simulated); err != nil {
		return err
	}
	p = a.profile
	p.Expect = map[string]string{"failures": "0", "reuse.reused": "0", a.figure.path: "== counts.started"}
	p.Remedies = []profiles.Remedy{{
		Name: "reuse", Set: profiles.Changes{"pool.max_idle": "-1"},
		Expect: map[string]string{"failures": "0", "reuse.reused": ">= 1"},
		Cost:   "an idle connection, which either side may close; the median is {response.p50} instead of {incident.response.p50}",
	}}
	p.Question = "What does a new connection for each request cost on this server?"
	p.Says = profiles.Says{Happened: "each request opened a connection and took {response.p50} in the median, {connect.p50} of that to connect", Set: "pool.max_idle above 0, so that a connection serves more than one request"}
	if p.Target.Link != nil {
		p.Says.Happened += " (kabench's own link delays what is sent on a connection, and no connect; on a real way each connect takes one round trip more)"
	}
	return nil
}

// timeWait lets the server close all connections first, and then the client.
func (a *aiming) timeWait() error {
	a.figure = noticed
	s := a.server
	if s.Idle.Seen == 0 {
		a.nothingToMeet()
		return nil
	}
	p := a.profile
	n := min(a.order.Budget.Connections, 2*wanted)
	// So long after the timer that no request meets a FIN.
	silence := s.Idle.Max + s.Idle.Width()/4 + 2*roundTrip(p, s) + 500*time.Millisecond
	a.shape(p, shape{shards: n, rate: 100, on: time.Duration(float64(n) / 100 * float64(time.Second)), off: silence.Round(10 * time.Millisecond), cycles: 1})
	var err error
	if a.profile, a.estimate, err = a.try(func(*profiles.Profile) {}, simulated); err != nil {
		return err
	}
	p = a.profile
	if a.estimate.mean < enough {
		a.reason = a.explain()
	}
	p.Expect = map[string]string{"failures": "0", a.figure.path: a.atLeast(), "sockets.time_wait_peak": fmt.Sprintf("<= %d", n/10)}
	a.remedyIdle()
	r := &p.Remedies[0]
	if r.Set["pool.idle_timeout"] != "" { // it must not wait for the next lease, which comes too late
		r.Set["pool.expiry"] = "[lease, timer]"
	}
	r.Expect = map[string]string{"failures": "0", "connections.closed_by_peer": "0", "connections.evictions.expired": a.atLeast()}
	r.Cost = "as many sockets in TIME_WAIT, but now the client's, each with one of its ports for 60 s"
	p.Says = profiles.Says{
		Happened: "the server closed {connections.closed_by_peer} connections first and keeps their sockets in TIME_WAIT; the client kept {sockets.time_wait_peak}",
		Set:      "lifetimes and reuse so that new connections/s × 60 s stays far below the client's ephemeral ports; a shorter idle_timeout moves TIME_WAIT, it does not remove it",
	}
	return nil
}

// retry meets the server's timer with a pool that sends again what was lost.
func (a *aiming) retry() error {
	a.figure, a.more = resends, 1
	p := a.profile
	whose := "the pool"
	if a.order.Pool != "" && !a.isSet("pool.resend") {
		whose = "by the incident's own rule (pool.resend), which is not that of " + a.order.Pool + ", the pool"
		switch {
		case len(p.Pool.Resend) == 0:
			whose = "by the incident's own rule (pool.resend), because " + a.order.Pool + " re-sends nothing, the pool"
		case reflect.DeepEqual(p.Pool.Resend, a.order.Incident.Pool.Resend):
			whose = "the pool"
		}
	}
	if !a.isSet("pool.resend") {
		p.Pool.Resend = a.order.Incident.Pool.Resend // always, on a kept connection
	}
	if a.order.AllowUnsafe && !a.isSet("target.method") {
		p.Target.Method, p.Target.Body = a.order.Incident.Target.Method, a.order.Incident.Target.Body
	}
	if err := a.idleTimer(); err != nil {
		return err
	}
	p = a.profile
	p.Expect = map[string]string{a.figure.path: a.atLeast(), "failures": "0"}
	p.Says = profiles.Says{
		Happened: whose + " sent {resends.exchanges} requests again that died on a kept connection, and its callers saw nothing; {resends.maybe_twice} of them are not idempotent and may have been carried out twice",
		Set:      "pool.resend to what is idempotent; a POST that died on a kept connection may have been carried out",
	}
	never := profiles.Remedy{
		Name: "never", Set: profiles.Changes{"pool.resend": "[]"},
		Expect: map[string]string{"failures": a.atLeast(), "resends.count": "0"},
		Cost:   "{failures} requests fail, and none is carried out twice",
	}
	p.Remedies = append([]profiles.Remedy{never}, p.Remedies...)
	if safe(p.Target.Method) {
		return nil
	}
	p.Remedies[0] = profiles.Remedy{
		Name: p.Target.Method + ", idempotent only", Set: profiles.Changes{"pool.resend": "[{on: reused, after: [unsent, eof, rst], methods: idempotent, max: 0, path: pool}]"},
		Expect: map[string]string{"failures": a.atLeast(), "resends.maybe_twice": "0"},
		Cost:   "{failures} requests fail that somebody has to look after; none was carried out twice",
	}
	return nil
}

// keepsPort is how long a closed connection keeps its port on Linux.
const keepsPort = 60 * time.Second

// ports is a forecast, and never a run: to use up the ports of a host would harm all that
// runs on it.
func (a *aiming) ports() error {
	a.figure = figure{"failures.connect.port_exhausted", func(Counts) int { return 0 }}
	p := a.profile
	if !a.isSet("load.rate") {
		p.Load.Rate = 400
	}
	p.Load.Duration, p.Pool.MaxIdle = keepsPort, 0
	ports := a.order.Ports
	if ports == 0 {
		ports = usualPorts
	}
	rate, most := float64(p.Load.Rate), float64(ports)/keepsPort.Seconds()
	a.reason = reason{
		name: ReasonForecast,
		why: fmt.Sprintf("towards one address and port of a server there are %d local ports, and each connection that the client closes first keeps its port for %v: %.0f new connections/s can go on for ever",
			ports, keepsPort, most),
		takes: "a private network: 'kabench reproduce port-exhaustion' without --target shows it with 300 ports",
	}
	if rate > most {
		a.reason.why += fmt.Sprintf(". A client that opens a connection for each of %v has no port left after %.0f s", p.Load.Rate, float64(ports)/rate)
	} else {
		a.reason.why += fmt.Sprintf(". A client that opens a connection for each of %v uses at most %.0f of them", p.Load.Rate, rate*keepsPort.Seconds())
	}
	p.Expect = map[string]string{a.figure.path: ">= 1"}
	p.Remedies = []profiles.Remedy{{
		Name: "keep connections alive", Set: profiles.Changes{"pool.max_idle": "-1"}, Expect: map[string]string{"failures": "0"},
		Cost: "idle connections that either side may close",
	}}
	return nil
}

// usualPorts is the number of ephemeral ports of Linux by default.
const usualPorts = 60999 - 32768 + 1
