package witness

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/kabench/kabench/dialers/external"
	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/evidence/segments"
	"github.com/kabench/kabench/results"
)

// Witness is what package external asks.
var (
	_ external.Witness = (*Witness)(nil)
	_ external.Watcher = (*Witness)(nil)
	_ external.Counter = (*Witness)(nil)
)

// Saw implements external.Witness: what was seen of the exchange numbered seq until now. It
// is as Between without a window.
func (w *Witness) Saw(seq uint64, epoch time.Time) external.Sight {
	return w.Between(seq, epoch, results.Never, results.Never)
}

// Between returns what was seen until now of the exchange numbered seq, which the client
// was given at from and was done with at to, as offsets from epoch; Never: not known. All
// packets that the client's kernel had handled before the call are taken into account.
//
// A request whose id was not seen is looked for by elimination, within the window if
// there is one: see [Witness.Hear] for TLS. If there is none either, and a window, then a
// connection whose opening failed within it is the only attempt: see [Witness.Dials]. So is
// an idle connection that the server reset then: the client's write met the RST.
//
// Seen is false if that cannot be said: packets were lost and none of the request is among
// the others, or it is one of several that cannot be told apart and ended differently.
func (w *Witness) Between(seq uint64, epoch time.Time, from, to time.Duration) external.Sight {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drain()
	win := w.window(epoch, from, to)
	id := idOf(seq)
	sight := external.Sight{Seen: true}
	for _, a := range w.asked.of[segments.TraceOf(id)] {
		if a.Begun >= win.from { // else it is an earlier run's, whose numbers begin alike
			sight.Attempts = append(sight.Attempts, w.attempt(a, epoch))
		}
	}
	if len(sight.Attempts) == 0 {
		sight.Attempts = w.halves(segments.TraceOf(id), epoch)
	}
	if len(sight.Attempts) == 0 {
		sight.Attempts = w.sealed(seq, id, epoch, win)
	}
	if len(sight.Attempts) == 0 && from != results.Never {
		sight.Attempts = w.failedDial(epoch, from, win)
	}
	if len(sight.Attempts) == 0 && from != results.Never {
		sight.Attempts = w.foundReset(epoch, win)
	}
	if len(sight.Attempts) == 0 && w.asked.Gone+w.lost > 0 {
		return external.Sight{} // it may be among what was lost, or is no longer kept
	}
	if slices.ContainsFunc(sight.Attempts, func(a external.Attempt) bool { return a.Phase == results.PhaseSchedule }) {
		return external.Sight{} // several may be it, and they differ
	}
	sortAttempts(sight.Attempts)
	return sight
}

func sortAttempts(all []external.Attempt) {
	slices.SortStableFunc(all, func(a, b external.Attempt) int { return cmp.Compare(start(a), start(b)) })
}

func start(a external.Attempt) time.Duration {
	if a.Began != results.Never {
		return a.Began
	}
	return a.Opened
}

// window is a time on the clock of packets.
type window struct{ from, to time.Duration }

// window turns offsets from epoch into a window.
func (w *Witness) window(epoch time.Time, from, to time.Duration) window {
	const room = 10 * time.Microsecond // the two clocks are set beside each other only so well
	shift := epoch.Sub(w.clock.Base)
	win := window{from: -1 << 62, to: 1 << 62}
	if from != results.Never {
		win.from = from + shift - room
	}
	if to != results.Never {
		win.to = to + shift + room
	}
	return win
}

func (v window) holds(at time.Duration) bool { return v.from <= at && at <= v.to }

// blank is an attempt before anything is known about it.
func blank() external.Attempt {
	return external.Attempt{
		Opened: results.Never, Ready: results.Never, Secured: results.Never, Began: results.Never, Sent: results.Never, First: results.Never, Done: results.Never,
		Basis: evidence.Unknown,
	}
}

// attempt returns the facts about an attempt until now.
func (w *Witness) attempt(a *attempt, epoch time.Time) external.Attempt {
	at := w.offsets(epoch)
	c := a.conn
	v := a.verdict
	if v == nil && a.settled() {
		v = &verdict{phase: results.PhaseDone, basis: evidence.Seen, why: "the whole response was seen", end: a.Done}
	}
	if v == nil {
		s := w.look(c)
		if s == nil {
			return blank()
		}
		fresh := *a // the index keeps what has happened, not what follows if the connection ended now
		fresh.update(s)
		a = &fresh
		v = w.judge(a, s)
		if v.phase != results.PhaseDone {
			w.keepFailure(c)
		}
	}
	out := blank()
	out.Conn, out.Local, out.Use = c.n, c.client.String(), a.Nth
	out.Opened, out.Ready, out.Secured = at(c.opened), at(c.ready), at(c.secured)
	out.Began, out.Sent, out.First, out.Done = at(a.Begun), at(a.Sent), at(a.First), at(v.end)
	out.Status = a.Status
	out.Phase, out.Cause, out.Basis, out.Why = v.phase, v.cause, v.basis, v.why
	out.Idle, out.Age = a.idleAge()
	if w.doubtful(c) {
		out.Basis = min(out.Basis, evidence.Inferred)
		out.Why += fmt.Sprintf("; %d packets were lost, some perhaps of this connection", w.lost)
	}
	return out
}

// doubtful reports whether packets of a connection may have been lost.
func (w *Witness) doubtful(c *conn) bool {
	return w.lostAt != evidence.NotSeen && w.lostAt >= c.since
}

// fresh is how long before its first request a connection may have been opened to count
// as opened for it.
const fresh = time.Millisecond

// idleAge returns how long the connection had been idle, and open, when the request began;
// 0 for a connection that was opened for it.
func (a *attempt) idleAge() (idle, age time.Duration) {
	c := a.conn
	ready := c.ready
	if c.secured != evidence.NotSeen {
		ready = c.secured
	}
	idle = max(a.idle, 0)
	if ready != evidence.NotSeen && a.Begun > ready {
		age = a.Begun - ready
	}
	if a.Nth == 1 && idle < fresh {
		return 0, 0
	}
	return idle, age
}

// halves returns attempts whose request was not sent as far as the end of its head.
func (w *Witness) halves(trace uint64, epoch time.Time) (all []external.Attempt) {
	for _, c := range w.lives.Half(trace) {
		if one := w.conns.open[ends{c.Client, c.Server}]; one != nil && len(one.pending) > 0 {
			all = append(all, w.attempt(one.pending[len(one.pending)-1], epoch))
		}
	}
	return all
}
