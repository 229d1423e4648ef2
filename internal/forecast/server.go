package forecast

import (
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/profiles/script"
	"github.com/kabench/kabench/results"
)

// server is the lab's server, as far as it can be forecast: see facts.go.
type server struct {
	opened uint64 // connections
	served uint64 // requests
	busy   queue  // when each thread that works will be free
}

// accepted begins the life of a connection.
func (s *server) accepted(w *world, c *connection) { c.epoch = w.reloads(w.now) }

// reloads is how often the server has been reloaded by then.
func (w *world) reloads(at time.Duration) uint64 {
	if w.script.ReloadEvery <= 0 {
		return 0
	}
	return uint64((w.began + at) / w.script.ReloadEvery)
}

// receive has the server get a request that leaves now. If the server has closed the
// connection by the time it arrives, the client sees the end instead of a response.
func (s *server) receive(w *world, x *request, c *connection) {
	arrives := w.now + w.oneWay
	if c.closes-c.blind <= arrives {
		c.rst = c.rst || arrives < c.closes && w.script.TimerVsData == script.TimerRST
		c.end = w.idleEnd(c)
		w.plan(ofAnswers, event{at: max(w.now, c.closes+w.oneWay), kind: cut, x: x, c: c, turn: x.turn})
		return
	}
	c.closes = never
	s.serve(w, event{at: s.thread(w, arrives), x: x, c: c, turn: x.turn}, w.deadline(x))
}

// thread returns when a request that arrives then gets a thread. Requests reach the server in
// the order in which they leave, so that each can be given its thread as it leaves.
func (s *server) thread(w *world, arrives time.Duration) time.Duration {
	if w.script.Threads == 0 {
		return arrives
	}
	for s.busy.first() <= arrives {
		s.busy.pop()
	}
	if s.busy.count() < w.script.Threads {
		return arrives
	}
	return s.busy.pop().at
}

// serve answers a request that is read at e.at, or does what the script has it do wrong.
// Beyond the client's deadline the response is never seen.
func (s *server) serve(w *world, e event, deadline time.Duration) {
	s.served++
	c := e.c
	finish := e.at + w.answer(w.delays)
	sees := event{at: finish + w.oneWay, kind: answered, x: e.x, c: c, turn: e.turn}
	c.finish = finish
	fault := w.script.Fault
	if fault != script.FaultNone {
		if !w.script.FaultOn.Strikes(c.uses+1, s.served) {
			fault = script.FaultNone
		} else if end, ends := w.faults[fault]; ends {
			c.end, c.closes, c.rst, sees.kind = end, finish, end.cause == results.CauseRST, cut
		}
	}
	if fault == script.Silent { // it waits for the client's end
		finish, sees.at = max(e.at, deadline+w.oneWay), never
	}
	if w.script.Threads > 0 {
		s.busy.push(event{at: finish})
	}
	if sees.at > deadline {
		sees = event{at: deadline, kind: expired, x: e.x, turn: e.turn}
		w.plan(ofLimits, sees)
	} else {
		w.plan(ofAnswers, sees)
	}
}

// endings are the faults that end an exchange, and how the client sees them.
var endings = map[script.Fault]ending{
	script.CloseBeforeResponse: {results.PhaseBeforeResponse, results.CauseFIN, pool.AfterEOF, false},
	script.ResetBeforeResponse: {results.PhaseBeforeResponse, results.CauseRST, pool.AfterRST, false},
	script.CloseInHeaders:      {results.PhaseResponseHeaders, results.CauseFIN, pool.AfterHeaders, false},
	script.ResetInHeaders:      {results.PhaseResponseHeaders, results.CauseRST, pool.AfterHeaders, false},
	script.CloseDuringResponse: {results.PhaseDuringResponse, results.CauseTruncated, pool.AfterBody, false},
	script.ResetDuringResponse: {results.PhaseDuringResponse, results.CauseRST, pool.AfterBody, false},
}

// endings are those of the faults, as this client sees them: over TLS the server says
// close_notify before its FIN, and without a length nobody knows that a body was truncated.
func (f *facts) endings() map[script.Fault]ending {
	list := map[script.Fault]ending{}
	for fault, end := range endings {
		switch {
		case end.cause == results.CauseTruncated && f.script.Chunked:
			end.cause = f.fin()
		case end.cause == results.CauseFIN:
			end.cause = f.fin()
		}
		list[fault] = end
	}
	return list
}

// fin is the cause where the server closes in order.
func (f *facts) fin() results.Cause {
	if f.tls {
		return results.CauseCloseNotify
	}
	return results.CauseFIN
}

// idleEnd is what a request meets that leaves now and comes after the server's close of c. If
// the client has got the RST, its kernel refuses to send.
func (w *world) idleEnd(c *connection) ending {
	switch {
	case c.rst && w.seesEnd(c):
		return ending{results.PhaseWriteHeaders, results.CauseRST, pool.AfterUnsent, true}
	case c.rst:
		return ending{results.PhaseBeforeResponse, results.CauseRST, pool.AfterRST, true}
	}
	return ending{results.PhaseBeforeResponse, w.fin(), pool.AfterEOF, true}
}

// responded decides, after a response, whether the connection stays: the reason for which
// the client must not keep it, the hint that it got, and when the server will close it.
func (s *server) responded(w *world, c *connection) (reason pool.Reason, hint time.Duration) {
	cfg := &w.script
	full := cfg.MaxRequests > 0 && c.uses >= cfg.MaxRequests
	c.rst, c.blind = false, 0
	switch {
	case full && cfg.Unannounced:
		c.closes = c.finish
		return pool.Keep, w.hint
	case full || cfg.SayClose || cfg.UntilClose || w.last || w.reloads(c.finish) > c.epoch:
		c.closes = c.finish
		return pool.ServerSaidClose, pool.NoHint
	}
	c.closes = never
	if w.idle != nil {
		c.closes, c.rst, c.blind = c.finish+w.idle(w.lates), w.resets, w.blind
	}
	if every := cfg.ReloadEvery; every > 0 && cfg.Reload == script.CloseIdle {
		if at := time.Duration(c.epoch+1)*every - w.began; at < c.closes {
			c.closes, c.rst, c.blind = at, false, 0
		}
	}
	return pool.Keep, w.hint
}
