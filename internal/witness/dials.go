package witness

import (
	"cmp"
	"slices"
	"time"

	"github.com/kabench/kabench/dialers/external"
	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/evidence/segments"
	"github.com/kabench/kabench/results"
)

// Dial is a connection that could not be opened. Times are offsets from an epoch,
// results.Never if there was none.
type Dial struct {
	Conn   uint64
	Local  string
	Opened time.Duration // the first SYN
	SYNs   int
	Ended  time.Duration // the RST, FIN or alert
	Phase  results.Phase // connect or tls; write_headers if it was reset as soon as it was open, and it is not TLS
	Cause  results.Cause // CauseNone: nothing has ended it, or the client did
	Why    string
}

// Dials returns the connections that were begun between from and to, as offsets from
// epoch, and carried no request because their opening failed or has not ended. A request
// that never appeared on the wire may have waited for one of them: which, packets do not
// show.
func (w *Witness) Dials(epoch time.Time, from, to time.Duration) []Dial {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drain()
	return w.dials(epoch, w.window(epoch, from, to))
}

func (w *Witness) dials(epoch time.Time, win window) (all []Dial) {
	for i := len(w.conns.all) - 1; i >= 0; i-- {
		c := w.conns.all[i]
		if c.since < win.from {
			break
		}
		if c.since > win.to || c.served > 0 || len(c.pending) > 0 || len(c.recent) > 0 {
			continue
		}
		if d, ok := w.dial(c, epoch, win); ok {
			all = append([]Dial{d}, all...)
		}
	}
	return all
}

// dial judges a connection without requests; false: it was opened, and not reset within
// the window.
func (w *Witness) dial(c *conn, epoch time.Time, win window) (Dial, bool) {
	s := w.look(c)
	if s == nil || s.SYNs == 0 || s.Connection.Requests+len(s.Unanswered) > 0 {
		return Dial{}, false
	}
	at := w.offsets(epoch)
	d := Dial{Conn: c.n, Local: c.client.String(), Opened: at(s.Opened), SYNs: s.SYNs, Ended: at(s.Close.At), Phase: results.PhaseConnect, Why: s.Close.Why}
	switch {
	case refused(s):
		d.Cause, d.Ended, d.Why = results.CauseRefused, at(s.Rejected), "a RST answered the SYN"
	case !s.Answers:
		d.Why = "nothing answered the SYN"
	case s.TLS && s.Secured == evidence.NotSeen:
		d.Phase = results.PhaseTLS
		if s.Close.By != evidence.ByServer && s.Close.By != evidence.ByMiddle {
			break
		}
		d.Cause = cause(&segments.Request{First: evidence.NotSeen}, s, d.Phase)
		if s.Close.How == evidence.Notify {
			d.Cause = results.CauseAlert
		} else if s.Close.How == evidence.FIN {
			d.Cause = results.CauseFIN
		}
	case s.Handshake == evidence.NotSeen && s.Rejected != evidence.NotSeen:
		d.Cause = results.CauseRST
	case !s.TLS && s.Close.How == evidence.RST && s.Close.By != evidence.ByClient && win.holds(s.Close.At):
		// The client's write met the RST, so that nothing left.
		d.Phase, d.Cause = results.PhaseWriteHeaders, results.CauseRST
		if w.conns.sealed || len(w.stories) > 0 {
			d.Phase = results.PhaseTLS
		}
	default:
		return Dial{}, false
	}
	return d, true
}

// failedDial is the attempt of a request that was not seen, if the opening of a connection
// failed in its time.
func (w *Witness) failedDial(epoch time.Time, from time.Duration, win window) []external.Attempt {
	dials := w.dials(epoch, win)
	dials = slices.DeleteFunc(dials, func(d Dial) bool { return d.Cause == results.CauseNone && d.SYNs < 2 }) // it may still succeed
	if len(dials) == 0 {
		return nil
	}
	d := slices.MinFunc(dials, func(a, b Dial) int {
		return cmp.Compare((a.Opened - from).Abs(), (b.Opened - from).Abs())
	})
	a := blank()
	a.Conn, a.Local, a.Use, a.Opened, a.Done = d.Conn, d.Local, 1, d.Opened, d.Ended
	a.Phase, a.Cause, a.Basis = d.Phase, d.Cause, evidence.Inferred
	a.Why = d.Why + "; that the request waited for this connection follows from the time alone"
	return []external.Attempt{a}
}

// foundReset is the attempt of a request that was never on the wire, if a RST came on an
// idle connection in its time, or just before: then the write fails, and nothing leaves.
// Of several such connections one is not told from another.
func (w *Witness) foundReset(epoch time.Time, win window) []external.Attempt {
	const before = 10 * time.Millisecond
	var found []*conn
	for _, c := range w.conns.open {
		if c.first == byReset && !c.blamed && c.shut >= win.from-before && c.shut <= win.to && c.ready != evidence.NotSeen && !w.busy(c) {
			found = append(found, c)
		}
	}
	if len(found) == 0 {
		return nil
	}
	a := blank()
	a.Phase, a.Cause, a.Basis, a.Use = results.PhaseWriteHeaders, results.CauseRST, evidence.Inferred, 2
	a.Why = "the server reset an idle connection in this time, and nothing of the request was on the wire"
	if c := found[0]; len(found) == 1 {
		c.blamed = true
		s := w.look(c)
		if s == nil {
			return nil
		}
		at := w.offsets(epoch)
		a.Conn, a.Local, a.Use, a.Opened, a.Ready, a.Secured, a.Done = c.n, c.client.String(), s.Connection.Requests+1, at(s.Opened), at(s.Handshake), at(s.Secured), at(c.shut)
		if c.done != evidence.NotSeen {
			a.Idle, a.Age = max(c.shut-c.done, 0), c.shut-s.Handshake
		}
	}
	return []external.Attempt{a}
}
