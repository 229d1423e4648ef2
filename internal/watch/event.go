package watch

import (
	"fmt"
	"net/netip"

	"github.com/kabench/kabench/internal/evidence"
)

// Event takes what the kernel reports of a socket.
func (w *Watch) Event(e *Event) {
	w.events = true
	w.pass(e.At)
	l := w.open[e.Flow]
	if l == nil || e.Kind == StateChanged && (e.From == "SYN_RECV" || e.To == "SYN_SENT") {
		if l = w.begun(e, l); l == nil {
			return
		}
	}
	switch e.Kind {
	case StateChanged:
		w.changed(l, e)
	case ResetSent:
		w.Sum.reset("sent", e.Reason)
		l.reset(ours, e)
	case ResetReceived:
		w.Sum.reset("received", e.Reason)
		l.reset(theirs, e)
	case Retransmitted:
		w.Sum.Retransmits++
		l.retries++
	}
}

// begun begins a life by an event; nil: the connection is not the service's, or is over.
func (w *Watch) begun(e *Event, before *life) *life {
	if e.Kind != StateChanged {
		if n, ok := w.at[e.Flow]; ok && w.ended[n] != nil { // a RST after the end
			return w.ended[n]
		}
		return nil
	}
	if e.To != "SYN_SENT" && e.From != "SYN_RECV" && e.To != "ESTABLISHED" {
		return nil // an earlier connection
	}
	accepted, ok := w.belongs(e.Flow)
	if !ok {
		return before
	}
	if before != nil {
		if e.From == "SYN_RECV" && before.looked != notSeen && !before.closed() {
			return before // a look was faster than the event
		}
		before.close(w.vanished(before, 0))
		w.finish(before)
	}
	l := w.begin(e.Flow, accepted || e.From == "SYN_RECV", e.At)
	if l != nil {
		l.opened = e.At
		w.server(l)
	}
	return l
}

// changed takes a change of state.
func (w *Watch) changed(l *life, e *Event) {
	l.state = e.To
	switch {
	case e.To == "CLOSE_WAIT":
		l.close(ending{evidence.Seen, theirs, evidence.FIN, e.At, 0, "the kernel reported the other end's FIN first (CLOSE_WAIT)"})
	case e.To == "FIN_WAIT1":
		l.close(ending{evidence.Seen, ours, evidence.FIN, e.At, 0, "the kernel reported this end's FIN first (FIN_WAIT1)"})
	case e.To == "CLOSE":
		if e.From == "ESTABLISHED" || e.From == "SYN_SENT" || e.From == "SYN_RECV" {
			l.close(l.aborted(e))
		}
		if l.over == notSeen {
			l.over = e.At
		}
	}
}

// reset notes a RST. It closes the connection if nothing has before.
func (l *life) reset(end int, e *Event) {
	why := "the kernel reported a RST that came in"
	if end == ours {
		why = "the kernel reported a RST that this end sent"
	}
	if e.Reason != "" {
		why += ", because of " + e.Reason
	}
	if len(l.resets) < 8 {
		r := evidence.Reset{At: e.At, From: l.side(end), Origin: evidence.Nobody, Why: "the kernel does not say which machine made it"}
		if end == ours {
			r.Origin, r.Basis, r.Why = l.side(ours), evidence.Seen, why
		}
		l.resets = append(l.resets, r)
	}
	l.close(ending{evidence.Seen, end, evidence.RST, e.At, 0, why})
}

// aborted says how a connection ended that had no FIN.
func (l *life) aborted(e *Event) ending {
	switch {
	case e.From == "ESTABLISHED" && l.retries >= 3:
		return ending{evidence.Seen, ours, evidence.Silent, e.At, 0, fmt.Sprintf("data was sent again %d times, and no ACK came back", l.retries)}
	case e.From == "ESTABLISHED":
		return ending{evidence.Inferred, theirs, evidence.RST, e.At, 0, "the kernel closed the socket without a FIN"}
	}
	return ending{evidence.Inferred, theirs, evidence.RST, e.At, 0, "the connection was never established"}
}

// client is the end that opened the connection.
func (l *life) client() netip.AddrPort {
	if l.accepted {
		return l.flow.Remote
	}
	return l.flow.Local
}
