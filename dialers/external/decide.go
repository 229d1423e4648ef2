package external

import (
	"fmt"
	"time"

	"github.com/kabench/kabench/internal/wording"
	"github.com/kabench/kabench/results"
)

// told is what the driver said about the end of an exchange, or that it said nothing.
type told struct {
	how      ending
	status   int           // 0: an error
	err      *Error        // nil: a response, or no answer
	said     words         // what err may stand for
	finished time.Duration // offset from the epoch
	wrong    time.Duration // by how much finished may be wrong
	late     bool          // the exchange's time limit had passed
}

// verdict is how an exchange ended.
type verdict struct {
	phase     results.Phase // for the figures
	cause     results.Cause
	seenPhase results.Phase // on the last connection
	seenCause results.Cause
	status    int
	last      *Attempt // the one that the exchange's stamps describe; nil: it was on no connection
	tries     []Attempt
	wire      *wording.Outcome // what was seen, if anybody looked and there was something
	differ    string           // how the driver's words and the wire differ; "": they do not
	unseen    string           // the response that the driver reports and nobody saw; "": none
}

// decide applies the rule of truth: what was seen decides. The driver's words decide what
// no wire can show, and all of it where nobody could look.
func decide(t told, s Sight) verdict {
	if !s.Seen {
		return believed(t)
	}
	var v verdict
	n := len(s.Attempts)
	if n > 0 {
		v.last, v.tries = &s.Attempts[n-1], s.Attempts[:n-1]
		v.seenPhase, v.seenCause, v.status = v.last.Phase, v.last.Cause, v.last.Status
		v.wire = &wording.Outcome{Phase: v.last.Phase, Cause: v.last.Cause}
	}
	switch {
	case t.how != byAnswer:
		v.gaveUp(t)
	case t.err == nil:
		v.responded(t)
	case n == 0:
		v.neverLeft(t)
	default:
		v.failed(t, s.Attempts)
	}
	return v
}

// believed is the verdict when nobody could look.
func believed(t told) verdict {
	v := verdict{phase: results.PhaseDone, status: t.status}
	switch {
	case t.how != byAnswer:
		v.phase, v.cause = results.PhaseBeforeResponse, causeOf(t)
	case t.err == nil:
	case len(t.said) > 0:
		v.phase, v.cause = t.said[0].Phase, t.said[0].Cause
	default:
		v.phase, v.cause = results.PhaseBeforeResponse, causeOf(t)
	}
	v.seenPhase, v.seenCause = v.phase, v.cause
	return v
}

// causeOf is the cause of an exchange about which only its time is known.
func causeOf(t told) results.Cause {
	switch {
	case t.how == byAbort:
		return results.CauseAborted
	case t.how == byDeath:
		return results.CauseOther
	case t.how == bySilence, t.late:
		return results.CauseTimeout
	}
	return results.CauseOther
}

// gaveUp is about an exchange whose end the driver did not report. If a
// whole response came, its caller still waited for it.
func (v *verdict) gaveUp(t told) {
	v.phase, v.cause = results.PhaseAcquire, causeOf(t)
	if v.last != nil {
		v.phase = min(v.last.Phase, results.PhaseDuringResponse)
	} else {
		v.seenPhase, v.seenCause = v.phase, v.cause
	}
}

// responded is about an exchange that ended with a response, as the driver says.
func (v *verdict) responded(t told) {
	says := fmt.Sprintf("the driver reports status %d", t.status)
	if v.last == nil {
		v.phase, v.cause = results.PhaseAcquire, results.CauseOther
		v.seenPhase, v.seenCause = v.phase, v.cause
		v.unseen = says + ", and no request was seen"
		return
	}
	a := v.last
	if a.Status != 0 && a.Status != t.status {
		v.unseen = fmt.Sprintf("%s, and %d was on the wire", says, a.Status)
	}
	v.phase, v.cause = a.Phase, a.Cause
	switch {
	case a.Phase == results.PhaseDone:
	case a.Cause == results.CauseNone && a.Status != 0:
		// Its end is not on the wire yet, as of a response that ends with the connection.
		v.phase = results.PhaseDone
	case a.Status == 0 && a.Cause == results.CauseNone:
		v.cause = results.CauseOther
		v.unseen = says + ", and no response was seen"
	default:
		v.differ = fmt.Sprintf("%s; on the wire the exchange ended in %v", says, *v.wire)
	}
	if v.phase == results.PhaseDone {
		v.seenPhase, v.seenCause = v.phase, results.CauseNone
		v.cause = results.CauseNone
	}
}

// neverLeft is about an error of an exchange that was on no connection.
func (v *verdict) neverLeft(t told) {
	o, before := t.said.before()
	switch {
	case before:
		v.phase, v.cause = o.Phase, o.Cause
	case t.said.onReset():
		// It was put on a connection that a RST had closed: nothing leaves then.
		v.phase, v.cause = results.PhaseWriteHeaders, results.CauseRST
	case t.late:
		v.phase, v.cause = results.PhaseAcquire, results.CauseTimeout
	default:
		v.phase, v.cause = results.PhaseAcquire, results.CauseOther
	}
	if len(t.said) > 0 && !before && !t.said.onReset() {
		v.differ = fmt.Sprintf("its words stand for %v; no request was on a connection", t.said[0])
		if t.said[0].Cause == results.CauseTimeout {
			v.cause = results.CauseTimeout
		}
	}
	v.seenPhase, v.seenCause = v.phase, v.cause
}

// failed is about an error of an exchange that was on a connection.
func (v *verdict) failed(t told, all []Attempt) {
	a := v.last
	over := a.Cause != results.CauseNone || a.Phase == results.PhaseDone
	if over && t.said.onlyBefore() && a.Phase != results.PhaseDone {
		// It should be sent again, and got no connection for that.
		v.tries, v.last, v.wire = all, nil, nil
		v.phase, v.cause = t.said[0].Phase, t.said[0].Cause
		v.seenPhase, v.seenCause, v.status = v.phase, v.cause, 0
		return
	}
	switch {
	case a.Phase == results.PhaseDone:
		v.refusedResponse(t)
	case a.Cause == results.CauseNone || a.Cause == results.CauseOther:
		// The client ended it: why, it says itself.
		v.phase, v.cause = a.Phase, causeOf(t)
		if len(t.said) > 0 {
			v.cause = t.said[0].Cause
		}
		v.compare(t, func(o wording.Outcome) bool { return o.Phase == a.Phase || sent(o.Phase) && sent(a.Phase) })
	default:
		v.phase, v.cause = a.Phase, a.Cause
		v.compare(t, func(wording.Outcome) bool { return t.said.say(a.Phase, a.Cause) })
	}
}

// refusedResponse is about an error of an exchange whose response was whole on the wire.
// If that was after the client had given up, the client did not wait for it. Else it did
// not like it.
func (v *verdict) refusedResponse(t told) {
	a := v.last
	if before := a.Done != results.Never && t.finished+t.wrong < a.Done; before {
		v.phase, v.cause = results.PhaseBeforeResponse, results.CauseTimeout
		if a.First != results.Never && t.finished-t.wrong > a.First {
			v.phase = results.PhaseDuringResponse
		}
		v.wire = &wording.Outcome{Phase: v.phase}
		if len(t.said) > 0 {
			v.cause = t.said[0].Cause
		}
		v.compare(t, func(o wording.Outcome) bool { return o.Phase == v.phase || sent(o.Phase) && sent(v.phase) })
		return
	}
	v.phase, v.cause = results.PhaseDuringResponse, causeOf(t)
	if len(t.said) > 0 && t.said[0].Phase > results.PhaseTLS && t.said[0].Phase < results.PhaseDone {
		v.phase, v.cause = t.said[0].Phase, t.said[0].Cause
	}
	v.compare(t, func(wording.Outcome) bool { return false })
}

// compare notes a difference unless one of the outcomes that the words may stand for is
// right.
func (v *verdict) compare(t told, right func(wording.Outcome) bool) {
	for _, o := range t.said {
		if right(o) {
			return
		}
	}
	if len(t.said) > 0 {
		v.differ = fmt.Sprintf("its words stand for %v; on the wire the exchange ended in %v", t.said[0], *v.wire)
	}
}
