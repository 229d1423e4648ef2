package forecast

import (
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/profiles/script"
	"github.com/kabench/kabench/results"
)

// server is the lab's server, as far as it can be forecast: see facts.go.
type server struct {
	opened  uint64 // connections
	served  uint64 // requests
	busy    int    // threads
	waiting []event
}

// accepted begins the life of a connection.
func (s *server) accepted(w *world, c *connection) { c.epoch = w.reloads(w.now) }

// reloads is how often the server has been reloaded by then.
func (w *world) reloads(at time.Duration) uint64 {
	if w.script.ReloadEvery <= 0 {
		return 0
	}
	return uint64(at / w.script.ReloadEvery)
}

// receive has the server get a request that leaves now. If the server has closed the
// connection by the time it arrives, the client sees the end instead of a response.
func (s *server) receive(w *world, x *request, c *connection) {
	arrives := w.now + w.oneWay
	if c.closes <= arrives {
		c.end = w.idleEnd
		w.plan(ofAnswers, event{at: max(w.now, c.closes+w.oneWay), kind: cut, x: x, c: c, turn: x.turn})
		return
	}
	c.closes = never
	if w.script.Threads > 0 {
		w.plan(ofServer, event{at: arrives, kind: arrived, x: x, c: c, turn: x.turn})
		if at := w.deadline(x); at != never {
			w.plan(ofLimits, event{at: at, kind: expired, x: x, turn: x.turn})
		}
		return
	}
	s.serve(w, event{at: arrives, x: x, c: c, turn: x.turn}, w.deadline(x))
}

// arrived gives a request that has come a thread, or lets it wait for one. An event
// without a request is the end of another one's use of a thread.
func (s *server) arrived(w *world, e event) {
	if e.x == nil {
		s.busy--
		if len(s.waiting) > 0 {
			next := s.waiting[0]
			s.waiting = s.waiting[1:]
			next.at = e.at
			s.begins(w, next)
		}
		return
	}
	if s.busy >= w.script.Threads {
		s.waiting = append(s.waiting, e)
		return
	}
	s.begins(w, e)
}

func (s *server) begins(w *world, e event) {
	s.busy++
	finish := s.serve(w, e, never)
	w.plan(ofServer, event{at: finish, kind: arrived})
}

// serve answers a request that is read at e.at, or does what the script has it do wrong,
// and returns when it is done. Beyond the client's deadline the response is never seen.
func (s *server) serve(w *world, e event, deadline time.Duration) (finish time.Duration) {
	s.served++
	c := e.c
	finish = e.at + w.answer(w.rng)
	sees := event{at: finish + w.oneWay, kind: answered, x: e.x, c: c, turn: e.turn}
	c.finish = finish
	fault := w.script.Fault
	if fault != script.FaultNone {
		if !w.script.FaultOn.Strikes(c.uses+1, s.served) {
			fault = script.FaultNone
		} else if end, ends := faults[fault]; ends {
			c.end, c.closes, sees.kind = end, finish, cut
		}
	}
	if sees.at > deadline {
		sees = event{at: deadline, kind: expired, x: e.x, turn: e.turn}
		w.plan(ofLimits, sees)
	} else if fault != script.Silent {
		w.plan(ofAnswers, sees)
	}
	return finish
}

// faults are the faults that end an exchange, and how the client sees them.
var faults = map[script.Fault]ending{
	script.CloseBeforeResponse: {results.PhaseBeforeResponse, results.CauseFIN, pool.AfterEOF, false},
	script.ResetBeforeResponse: {results.PhaseBeforeResponse, results.CauseRST, pool.AfterRST, false},
	script.CloseInHeaders:      {results.PhaseResponseHeaders, results.CauseFIN, pool.AfterHeaders, false},
	script.ResetInHeaders:      {results.PhaseResponseHeaders, results.CauseRST, pool.AfterHeaders, false},
	script.CloseDuringResponse: {results.PhaseDuringResponse, results.CauseTruncated, pool.AfterBody, false},
	script.ResetDuringResponse: {results.PhaseDuringResponse, results.CauseRST, pool.AfterBody, false},
}

// responded decides, after a response, whether the connection stays: the reason for which
// the client must not keep it, the hint that it got, and when the server will close it.
func (s *server) responded(w *world, c *connection) (reason pool.Reason, hint time.Duration) {
	cfg := &w.script
	full := cfg.MaxRequests > 0 && c.uses >= cfg.MaxRequests
	switch {
	case full && cfg.Unannounced:
		c.closes = c.finish
		return pool.Keep, w.hint
	case full || cfg.SayClose || cfg.UntilClose || w.reloads(c.finish) > c.epoch:
		c.closes = c.finish
		return pool.ServerSaidClose, pool.NoHint
	}
	c.closes = never
	if w.idle != nil {
		c.closes = c.finish + w.idle(w.rng)
	}
	if every := cfg.ReloadEvery; every > 0 && cfg.Reload == script.CloseIdle {
		c.closes = min(c.closes, time.Duration(c.epoch+1)*every)
	}
	return pool.Keep, w.hint
}
