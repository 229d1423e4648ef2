package closes

import (
	"fmt"
	"strings"

	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/watch"
)

// near is the end of the service, far the other one.
func (l *Life) near() evidence.Side {
	if l.Accepted {
		return evidence.ByServer
	}
	return evidence.ByClient
}

func (l *Life) far() evidence.Side { return l.near().Other() }

// known reports whether it is known who closed first.
func (l *Life) known() bool { return l.Close.How != evidence.Open }

// step takes a change of the state.
func (l *Life) step(e *watch.Event) {
	l.State = e.To
	switch e.To {
	case synSent:
		l.Opened, l.SYNs = e.At, 1
	case synReceived:
		l.Opened = e.At // the peer's SYN came before; the kernel makes the socket when the handshake is over
	case established:
		if l.Ready = e.At; l.Opened == evidence.NotSeen && l.Accepted {
			l.Opened = e.At
		}
		if e.From == synSent && l.SYNs == 1 {
			l.RoundTrip = e.At - l.Opened
		}
	case finWait1:
		if !l.known() {
			l.first(e, l.near(), "the service's end sent its FIN while it had taken none")
		}
	case closeWait:
		if !l.known() {
			l.first(e, l.far(), "the peer's FIN came while the service's end had sent none")
		}
	case closing:
		l.before(finWait1)
		l.Close.Basis, l.BothWait = evidence.Inferred, true
		l.Close.Why = "both ends closed at the same time: the peer's FIN did not acknowledge the service's"
	case closed:
		l.left, l.ended = e.From, e.At
		l.before(e.From)
	default: // FIN_WAIT2, LAST_ACK
		l.before(e.From)
	}
}

func (l *Life) first(e *watch.Event, by evidence.Side, why string) {
	l.Close = evidence.Close{Basis: evidence.Seen, By: by, How: evidence.FIN, At: e.At, FIN: evidence.NotSeen, Why: why}
}

// before says who closed a connection that was seen first when it left this state.
func (l *Life) before(state string) {
	if l.known() {
		return
	}
	end := evidence.Close{Basis: evidence.Inferred, How: evidence.FIN, At: evidence.NotSeen, FIN: evidence.NotSeen}
	switch state {
	case finWait1, finWait2, closing:
		end.By = l.near()
		end.Why = fmt.Sprintf("the socket was in %s when it was seen first: the service had sent a FIN, and taken none", state)
	case closeWait, lastAck:
		end.By = l.far()
		end.Why = fmt.Sprintf("the socket was in %s when it was seen first: the peer's FIN had come, and the service had sent none before", state)
	default:
		return
	}
	l.Close = end
}

func (l *Life) resend(e *watch.Event) {
	if l.State == synSent {
		l.SYNs++
	}
	if l.Resends++; l.resendAt == evidence.NotSeen {
		l.resendAt = e.At
	}
	if l.Accepted {
		l.ResentBack++
	} else if l.Ready != evidence.NotSeen || l.Older {
		l.Resent++
	}
}

// reset takes a RST.
func (l *Life) reset(e *watch.Event) {
	r := evidence.Reset{At: e.At}
	if e.Kind == watch.ResetSent {
		r.From, r.Origin, r.Basis = l.near(), l.near(), evidence.Seen
		r.Why = "the kernel of the service sent it" + because(e.Reason)
	} else {
		r.From, r.Origin, r.Basis = l.far(), l.far(), evidence.Inferred
		r.Why = "it carries the peer's addresses; a machine on the way can have made it"
	}
	if len(l.Resets) < maxResets {
		l.Resets = append(l.Resets, r)
	}
	switch {
	case l.known():
	case l.State != closed:
		l.byReset(&r)
	case e.Kind == watch.ResetSent && e.Socket != 0:
		// The kernel closes the socket and sends the RST afterwards.
		r.At = l.ended
		l.byReset(&r)
	}
}

func (l *Life) byReset(r *evidence.Reset) {
	l.Close = evidence.Close{
		Basis: evidence.Seen, By: r.From, How: evidence.RST, At: r.At, FIN: evidence.NotSeen,
		Why: "a RST is the first sign of a close; " + r.Why,
	}
}

// reasons are the kernel's reasons in other words.
var reasons = map[string]string{
	"NO_SOCKET":                "there was no connection with these ends",
	"TCP_ABORT_ON_DATA":        "data came after the socket was closed",
	"TCP_ABORT_ON_CLOSE":       "the service closed it with data unread",
	"TCP_ABORT_ON_LINGER":      "the service closed it with SO_LINGER 0",
	"TCP_ABORT_ON_MEMORY":      "the kernel had no memory for it",
	"TCP_STATE":                "it was ended in this state",
	"TCP_KEEPALIVE_TIMEOUT":    "the peer did not acknowledge TCP's keep-alive probes",
	"TCP_DISCONNECT_WITH_DATA": "the service disconnected it with data unsent",
	"TCP_TIMEWAIT_SOCKET":      "it was in TIME_WAIT",
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	if words, ok := reasons[reason]; ok {
		return fmt.Sprintf(": %s (%s)", words, reason)
	}
	return ": " + strings.ToLower(strings.ReplaceAll(reason, "_", " ")) + " (" + reason + ")"
}

// judge completes the connection when nothing more can follow.
func (l *Life) judge() {
	if !l.known() && l.State == closed {
		l.gaveUp()
	}
	if len(l.Resets) == 0 {
		switch l.left {
		case finWait2, closing:
			l.TimeWait = l.near()
		case lastAck:
			l.TimeWait = l.far()
		}
	}
	if l.Unsure && l.Close.Basis == evidence.Seen {
		l.Close.Basis = evidence.Inferred
		l.Close.Why += "; events were lost while it was open"
	}
}

// gaveUp says why a socket was closed without a FIN or a RST.
func (l *Life) gaveUp() {
	end := &l.Close
	switch {
	case l.Resends > 0:
		end.Basis, end.How, end.At = evidence.Seen, evidence.Silent, l.resendAt
		end.Why = fmt.Sprintf("the service's end sent segments again %d times, and gave up without a FIN or a RST", l.Resends)
	case l.left == synSent:
		end.Why = "the service gave up before the connection was established"
	default:
		end.Why = fmt.Sprintf("the kernel closed the socket in %s without a FIN or a RST: an error or a timeout ended it", l.left)
	}
}
