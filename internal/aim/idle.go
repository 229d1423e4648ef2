package aim

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/profiles/lint"
)

// idleTimer makes requests meet the server's idle timer: they are sent on connections
// that have been idle for about as long as the server keeps them.
func (a *aiming) idleTimer() error {
	if a.figure.of == nil {
		a.figure = failures
	}
	if a.server.Idle.Seen == 0 {
		a.nothingToMeet()
		return nil
	}
	if err := a.search(1 + a.more); err != nil {
		return err
	}
	if err := a.chooseSilences(); err != nil {
		return err
	}
	if err := a.resent(); err != nil {
		return err
	}
	if err := a.settle(); err != nil {
		return err
	}
	a.remedyIdle()
	a.expectRace()
	return nil
}

func (a *aiming) idleTimerTLS() error {
	if !strings.HasPrefix(a.profile.Target.URL, "https:") {
		return fmt.Errorf("%s is about TLS, and %s does not speak it; give an https URL, or reproduce idle-race", a.profile.Name, a.profile.Target.URL)
	}
	return a.idleTimer()
}

// nothingToMeet ends an order for which the server has no timer.
func (a *aiming) nothingToMeet() {
	a.shape(a.profile, shape{rate: 10, on: 100 * time.Millisecond, off: time.Second, cycles: 1})
	a.reason = reason{
		name: ReasonNoTimer, why: "no idle timer of the server is known, so no request can be aimed at its close",
		takes: "a measurement that sees the server close idle connections: kabench probe with a longer --limit, and --server FILE",
	}
	facts := a.order.Server.Facts
	switch {
	case a.server.MaxRequests == 1:
		a.reason = reason{ReasonNotKept, "the server ends each connection after one response, so none can be stale", "a server that keeps connections"}
	case facts.Silent:
		a.reason.why = fmt.Sprintf("a machine on the way forgets idle connections after %v without closing them, so there is no close to meet", facts.IdleTimeout)
		a.reason.takes = "another incident: kabench reproduce silent-drop shows what its clients see"
	case a.server.LongerThan > 0:
		a.reason.why = fmt.Sprintf("the server closed no idle connection within %v", a.server.LongerThan)
	}
	a.expectRace()
	a.remedyIdle()
}

// settle makes the final forecast, and finds out why it is small if it is.
func (a *aiming) settle() error {
	p, e, err := a.try(func(*profiles.Profile) {}, simulated)
	if err != nil {
		return err
	}
	a.profile, a.estimate = p, e
	if e.mean < enough {
		a.reason = a.explain()
	}
	return nil
}

// resent changes the figure if the pool sends again what the server's close has met. Its
// caller then sees no failure, and the incident is what was sent again.
func (a *aiming) resent() error {
	if a.figure.path != failures.path {
		return nil
	}
	p, e, err := a.try(func(*profiles.Profile) {}, tried)
	if err != nil || e.mean >= enough || e.meanOf(resends.of) < max(enough, 2*e.mean) {
		return err
	}
	a.figure = resends
	a.profile = p
	a.profile.Says.Happened = "{resends.count} attempts met the server's close; the pool sent them again, so that its callers saw none of it"
	return nil
}

// expectRace sets what the incident's run must show.
func (a *aiming) expectRace() {
	p, s := a.profile, a.server.Idle
	p.Expect = map[string]string{
		a.figure.path:    a.atLeast(),
		"failures.fresh": "0",
	}
	if a.figure.path != failures.path || s.Seen == 0 || p.Pool.Liveness == pool.None {
		return
	}
	slack := max(50*time.Millisecond, s.Max/50)
	p.Expect["idle_at_failure.p50"] = fmt.Sprintf("%v..%v", round(max(s.Min-roundTrip(p, a.server)-slack, 0)), round(s.Max+slack))
}

// remedyIdle adds the remedy: the client closes first.
func (a *aiming) remedyIdle() {
	change, below := a.closeFirst()
	r := profiles.Remedy{
		Name: "idle_timeout below the server's", Set: change,
		Expect: map[string]string{"failures": "0"},
		Cost:   fmt.Sprintf("a connection that was idle for %v is closed, so a request after a longer silence needs a new one, and TIME_WAIT moves to the client", below),
	}
	if below == 0 {
		r.Name, r.Cost = "no connection is kept", "a handshake for each request"
	}
	if a.figure.path == resends.path {
		r.Expect["resends.count"] = "0"
	}
	a.profile.Remedies = append(a.profile.Remedies, r)
}

// closeFirst returns the change with which the client closes idle connections before the
// server does, and the idle timeout that it sets; 0: the server's timer is too short to
// keep a connection at all.
func (a *aiming) closeFirst() (profiles.Changes, time.Duration) {
	p := a.profile.Pool
	below := lint.Below(a.server.Idle.First, roundTrip(a.profile, a.server))
	if below <= 0 {
		return profiles.Changes{"pool.max_idle": "0"}, 0
	}
	change := profiles.Changes{"pool.idle_timeout": below.String()}
	switch looked := p.Expiry &^ pool.ExpireAtRelease; {
	case looked == 0:
		change["pool.expiry"] = "[lease]"
	case looked == pool.ExpireBySweep:
		change["pool.expiry"] = "[lease, sweep]"
	}
	if p.ServerHint == pool.HintReplace && a.server.Hint > 0 {
		change["pool.hint_cap"] = below.String()
	}
	return change, below
}

// hint meets the timer of a server that announces it to a client which does not listen.
func (a *aiming) hint() error {
	if a.server.Hint == 0 {
		a.figure = failures
		a.nothingToMeet()
		a.reason = reason{name: ReasonNoHint, why: "the server sends no Keep-Alive header, so there is no hint to follow or to ignore", takes: "a server that announces its timer; idle-race shows the race without one"}
		return nil
	}
	if err := a.idleTimer(); err != nil {
		return err
	}
	margin := a.server.Hint - lint.Below(min(a.server.Idle.First, a.server.Hint), roundTrip(a.profile, a.server))
	if margin >= a.server.Hint {
		return nil
	}
	a.profile.Remedies = []profiles.Remedy{{
		Name:   "the hint is honoured, with a margin",
		Set:    profiles.Changes{"pool.server_hint": "min", "pool.hint_margin": round(margin).String()},
		Expect: map[string]string{"failures": "0"},
		Cost:   fmt.Sprintf("connections are given up %v early", round(margin)),
	}}
	return nil
}

// behindBalancer meets the timer of the server behind a load balancer. What the balancer
// does with its own connections shows in its responses. Its pool is not known, so it is
// taken for one without limits; and kabench's link would not be where the race is.
func (a *aiming) behindBalancer() error {
	if a.order.Server.Measured != nil && a.order.Server.Measured.URL == a.order.URL {
		return errors.New("l7-lb-order: the race is between the load balancer and the server behind it, so the server's timer must be known: probe the server itself, and give its file with --server (--target is the load balancer)")
	}
	a.figure = figure{"error_answers.server", failures.of}
	if a.order.Agents > 1 {
		return errors.New("l7-lb-order: the pool between the load balancer and its server is met by bursts of one client; use one agent (--agents 1), or leave --agents out")
	}
	a.behind = true
	if !a.isSet("target.link") {
		a.profile.Target.Link = nil
	}
	if a.server.Idle.Seen == 0 {
		a.nothingToMeet()
		return nil
	}
	if err := a.search(0); err != nil {
		return err
	}
	if err := a.settle(); err != nil {
		return err
	}
	a.profile.Expect = map[string]string{a.figure.path: a.atLeast()}
	return nil
}

// model is the profile whose rules decide how often p meets the server's close.
func (a *aiming) model(p *profiles.Profile) *profiles.Profile {
	if !a.behind {
		return p
	}
	m := p.Clone()
	m.Pool = pool.Default()
	m.Target.Link = nil
	return m
}
