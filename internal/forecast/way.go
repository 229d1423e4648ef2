package forecast

import (
	"fmt"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/profiles/network"
	"github.com/kabench/kabench/profiles/script"
	"github.com/kabench/kabench/results"
)

// device is what forgets or ends idle connections on the way: a link with a memory, or a
// NAT or load balancer that a profile or the options describe.
type device struct {
	idle   time.Duration
	how    script.Expiry
	at     string        // the path of the field that has it
	relay  bool          // a link on the loopback: it sees no acknowledgements and no probes
	probes time.Duration // the client's TCP keep-alive; 0: none
}

// probesLost is how many TCP keep-alive probes may go unanswered (tcp_keepalive_probes).
const probesLost = 9

// wayOf finds the device; nil if there is none, or if it lets pass what it has forgotten.
// missing says what is not known of it. A load balancer or proxy at which the client's
// connections end takes the place of the server's timers.
func (f *facts) wayOf(p *profiles.Profile, o *Options) (way *device, missing []string) {
	var all []*device
	if l := p.Target.Link; l != nil && l.IdleTimeout > 0 {
		all = append(all, &device{idle: l.IdleTimeout, how: l.AtExpiry, at: "target.link.idle_timeout", relay: true})
	}
	if p.Network != nil {
		for i, l := range p.Network.Links {
			if l.Flows != nil {
				all = append(all, memory(*l.Flows, fmt.Sprintf("network.links.%d.flows", i))...)
			}
		}
		for i, b := range p.Network.Balancers {
			all = append(all, memory(b.Flows, fmt.Sprintf("network.balancers.%d", i))...)
		}
	}
	via := o.Via
	if via == nil && p.Target.Lab == nil && p.Via != (profiles.ServerFacts{}) {
		via = &p.Via
	}
	f.via = via
	switch {
	case via == nil:
	case via.IdleTimeout == 0 && !via.IdleForEver:
		missing = append(missing, "via.idle_timeout: it is not known when this device ends or forgets an idle connection; set it")
	case !via.EndsBehind():
		f.endsAt(*via)
	case via.IdleForEver: // it passes everything on, always
	case via.AtExpiry == script.ExpiryUnknown:
		missing = append(missing, "via.at_expiry: it is not known how this device ends or forgets an idle connection; set fin, rst, rst_next, drop or reroute")
	default:
		all = append(all, &device{idle: via.IdleTimeout, how: via.AtExpiry, at: "via"})
	}
	if len(all) > 1 {
		missing = append(missing, fmt.Sprintf("%s: a forecast has one device that forgets or ends connections, and %s is one; remove one", all[1].at, all[0].at))
	}
	if len(missing) > 0 || len(all) == 0 {
		return nil, missing
	}
	way = all[0]
	probes := (p.Target.TCP.KeepAlive + time.Second - 1).Truncate(time.Second) // as sockets have it
	if way.at == "via" {
		server := p.Server.KeepAlive
		if o.Server != nil {
			server = o.Server.Facts.KeepAlive
		}
		if server > 0 && server < way.idle {
			return nil, nil // the server's probes keep it awake
		}
	}
	if !way.relay {
		if probes > 0 && probes < way.idle {
			return nil, nil
		}
		way.probes = probes
	}
	if way.how.Silent() && p.Load.Timeout == 0 && p.Pool.ResponseTimeout == 0 {
		missing = append(missing, "load.timeout: on a connection that was forgotten there may be no answer, which needs a timeout; set load.timeout or pool.response_timeout")
	}
	return way, missing
}

// notPlayed lists, in sentences, what the device that via describes has and a forecast has not.
func notPlayed(via *profiles.ServerFacts) (list []string) {
	if via == nil {
		return nil
	}
	if via.Ports > 0 {
		list = append(list, fmt.Sprintf("The %d ports of the device on the way (via): every connection gets one", via.Ports))
	}
	if via.Table > 0 {
		list = append(list, fmt.Sprintf("The table of %d connections of the device on the way (via): it has room for every connection", via.Table))
	}
	if via.MaxLifetime > 0 {
		list = append(list, fmt.Sprintf("The end of a connection after %v at the device on the way (via)", via.MaxLifetime))
	}
	return list
}

// memory is the device that a memory of flows makes; none if it lets pass what it has
// forgotten.
func memory(f network.Flows, at string) []*device {
	d := &device{idle: f.Idle, at: at}
	switch {
	case f.Idle == 0:
		return nil
	case f.AtExpiry == network.ExpiryRST:
		d.how = script.Reset
	case f.Unknown == network.UnknownDrop:
		d.how = script.Drop
	case f.Unknown == network.UnknownRST:
		d.how = script.ResetNext
	default:
		return nil
	}
	return []*device{d}
}

// endsAt gives the server the timers of a load balancer or proxy at which the client's
// connections end.
func (f *facts) endsAt(via profiles.ServerFacts) {
	s := &f.script
	s.IdleTimeout, s.IdleLate, s.TimerVsData, s.AfterFIN = via.IdleTimeout, script.Delay{}, script.Either, 0
	s.MaxRequests, s.Unannounced, s.ReloadEvery, s.SayClose, s.UntilClose = via.MaxRequests, via.Unannounced, 0, false, false
	s.Hint, s.HintIfAsked = "", false
	if via.Hint > 0 {
		s.Hint = fmt.Sprintf("timeout=%d", int(via.Hint/time.Second))
	}
	if via.AtExpiry == script.Reset && s.Fault == script.FaultNone {
		s.Fault = script.ResetOnIdle
	}
	f.fronted = true
}

// onTheWay puts the device into f, whose server is known.
func (f *facts) onTheWay(way *device) {
	if f.way = way; way == nil {
		return
	}
	most := way.idle
	if way.probes > 0 {
		most = way.probes * (1 + probesLost)
	}
	f.idleMost = max(f.idleMost, most)
}

// seen is when the device saw the last packet of an exchange that the server has answered
// at finish: the client's acknowledgement, or the response.
func (d *device) seen(w *world, finish time.Duration) time.Duration {
	if d.relay {
		return finish
	}
	return finish + w.oneWay
}

// watch notes when the device ends or forgets c, which is idle. What the server does later
// does not reach the client any more.
func (d *device) watch(w *world, c *connection) {
	at := d.seen(w, c.finish) + d.idle
	if c.closes < at {
		return
	}
	if !d.how.Silent() {
		c.closes, c.rst, c.blind = at, d.how == script.Reset, -w.oneWay
		return
	}
	c.forgets, c.closes = at, never
	if d.probes > 0 { // too seldom: the first comes after the flow was forgotten
		met := c.released(w) + d.probes
		if d.how == script.Drop {
			met += probesLost * d.probes
		}
		c.closes, c.rst, c.blind = met, true, -w.oneWay
	}
}

// answer does with a request on a connection that the device has forgotten what it does
// with packets of such connections.
func (d *device) answer(w *world, x *request, c *connection) {
	if d.how == script.Drop {
		w.plan(ofLimits, event{at: w.deadline(x), kind: expired, x: x, turn: x.turn})
		c.forgets, c.closes = w.now, never
		c.end = ending{results.PhaseBeforeResponse, results.CauseTimeout, 0, false}
		return
	}
	back := w.oneWay
	if d.how == script.Reroute {
		back *= 2 // from another backend
	}
	c.closes, c.rst = w.now+back-w.oneWay, true
	c.end = ending{results.PhaseBeforeResponse, results.CauseRST, pool.AfterRST, false}
	w.plan(ofAnswers, event{at: w.now + back, kind: cut, x: x, c: c, turn: x.turn})
}

// interrupts reports whether the device forgets or ends the connection while the server is
// at work on a request that it has read at e.at, and plans what the client sees of it.
func (d *device) interrupts(w *world, e event, finish, deadline time.Duration) bool {
	if finish-e.at < d.idle {
		return false
	}
	if d.how.Silent() { // the response is of a flow that is not known
		e.c.forgets = e.at + d.idle
		w.plan(ofLimits, event{at: max(deadline, w.now), kind: expired, x: e.x, turn: e.turn})
		return true
	}
	e.c.closes, e.c.rst = e.at+d.idle, d.how == script.Reset
	e.c.end = ending{results.PhaseBeforeResponse, w.fin(), pool.AfterEOF, false}
	if e.c.rst {
		e.c.end.cause, e.c.end.after = results.CauseRST, pool.AfterRST
	}
	if at := e.c.closes + w.oneWay; at <= deadline {
		w.plan(ofAnswers, event{at: at, kind: cut, x: e.x, c: e.c, turn: e.turn})
	} else {
		w.plan(ofLimits, event{at: deadline, kind: expired, x: e.x, turn: e.turn})
	}
	return true
}
