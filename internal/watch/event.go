package watch

import (
	"net/netip"

	"github.com/kabench/kabench/internal/evidence"
)

// Event counts what the kernel reports of a socket, if its connection is the service's: the
// kernel reports those of all processes. Who closed first follows from all the events of a
// socket: see internal/watch/closes, whose result Ended takes.
func (w *Watch) Event(e *Event) {
	w.pass(e.At)
	if _, ours := w.belongs(e.Flow); !ours {
		return
	}
	switch e.Kind {
	case ResetSent:
		w.Sum.reset("sent", e.Reason)
	case ResetReceived:
		w.Sum.reset("received", e.Reason)
	case Retransmitted:
		w.Sum.Retransmits++
	}
}

// Ended is a connection as the kernel's events show it, when it is over or the watch ends.
type Ended struct {
	evidence.Connection
	Flow     Flow
	Cookie   uint64 // 0: not known
	Accepted bool
	Over     bool // false: it was still there when the watch ended
}

// Ended takes what the kernel's events say about a connection.
func (w *Watch) Ended(e *Ended) {
	w.pass(e.Until)
	if l := w.lifeOfSocket(e); l != nil {
		l.reported(e)
		return
	}
	if !e.Over || w.counted(e.Flow, e.Since) {
		return // no look has shown it, or it was reported
	}
	one := *e
	w.unsure(func() bool {
		accepted, ok := w.belongs(one.Flow)
		if !ok || accepted != one.Accepted {
			return false
		}
		if l := w.begin(one.Flow, accepted, max(one.Since, 0)); l != nil {
			l.cookie, l.over = one.Cookie, one.Until
			w.server(l)
			l.reported(&one)
			w.finish(l)
		}
		return true
	})
}

// reported notes what the kernel's events say about a life.
func (l *life) reported(e *Ended) {
	l.opened = e.Opened
	l.resets, l.retries = e.Resets, max(l.retries, e.Resent)
	if c := &e.Close; c.How != evidence.Open && (c.Basis == evidence.Seen || l.end.basis != evidence.Seen) {
		by := theirs
		if c.By == l.side(ours) {
			by = ours
		}
		l.end = ending{c.Basis, by, c.How, c.At, 0, c.Why}
	}
}

// lifeOfSocket finds the life of the same socket.
func (w *Watch) lifeOfSocket(e *Ended) *life {
	same := func(l *life) bool {
		if l.cookie != 0 && e.Cookie != 0 {
			return l.cookie == e.Cookie
		}
		return overlap(l, &e.Connection)
	}
	if l := w.open[e.Flow]; l != nil && same(l) {
		return l
	}
	if l := w.at[e.Flow]; l != nil && same(l) {
		return l
	}
	return nil
}

// client is the end that opened the connection.
func (l *life) client() netip.AddrPort {
	if l.accepted {
		return l.flow.Remote
	}
	return l.flow.Local
}
