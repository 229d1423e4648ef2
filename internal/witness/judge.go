package witness

import (
	"time"

	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/evidence/segments"
	"github.com/kabench/kabench/results"
)

// verdict says where an attempt ended on the wire, and why.
type verdict struct {
	phase results.Phase
	cause results.Cause
	basis evidence.Basis
	why   string
	end   time.Duration // the last byte of the response, or the end of the attempt; NotSeen: it has not ended
}

// judge says where an attempt ended, from the facts about its connection. The words are
// those of a client that reads what its kernel tells it: the one of the peer's FIN and RST
// that came first is what a read meets, because a FIN is remembered; a write after both
// meets EPIPE.
func (w *Witness) judge(a *attempt, s *segments.Sight) *verdict {
	r := &a.Request
	if r.Answered && !r.Malformed {
		if v := answered(r, s); v != nil {
			return v
		}
	}
	u := unanswered(s, r.Nth)
	v := &verdict{phase: phase(r), basis: s.Close.Basis, why: s.Close.Why, end: s.Close.At}
	if u != nil {
		v.basis, v.why = u.Basis, u.Why
	}
	switch {
	case r.Malformed:
		v.phase, v.cause, v.basis, v.why = results.PhaseResponseHeaders, results.CauseMalformed, evidence.Seen, "the response is not HTTP/1"
		if r.HeadRead {
			v.phase = results.PhaseDuringResponse
		}
	case u != nil && u.Met == evidence.Forgotten:
		v.cause = results.CauseRST
	case s.Close.How == evidence.Silent:
		v.cause, v.end = results.CauseTimeout, evidence.NotSeen
	case s.Close.How == evidence.Open:
		v.basis, v.why, v.end = evidence.Seen, "the connection is open", evidence.NotSeen
	case s.Close.By == evidence.ByClient:
		v.basis = s.Close.Basis // the client gave it up: why, the wire does not show
	default:
		v.cause = cause(r, s, v.phase)
	}
	if v.end != evidence.NotSeen {
		v.end = max(v.end, r.Sent) // the close may have come before the request
	}
	if r.Sealed && r.First != evidence.NotSeen && v.cause != results.CauseNone {
		v.basis = min(v.basis, evidence.Inferred)
		v.why += "; the response is encrypted, so whether its head was whole is not known"
	}
	return v
}

// answered judges a request whose response is over; nil: it is judged like others.
func answered(r *segments.Request, s *segments.Sight) *verdict {
	done := &verdict{phase: results.PhaseDone, basis: evidence.Seen, why: "the whole response was seen", end: r.Done}
	switch {
	case !r.Whole && !r.Sealed && s.Rejected != evidence.NotSeen && s.Connection.Requests <= r.Nth:
		// A client that goes on writing meets the RST, and may not read the response.
		done.basis = evidence.Inferred
		done.why = "the server responded before the request was over, and a RST followed: the client may not have read the response"
	case r.Exact:
	case r.Sealed && s.Connection.Requests <= r.Nth && (s.Cut || s.Close.How == evidence.RST && s.Close.By != evidence.ByClient):
		return &verdict{
			phase: results.PhaseDuringResponse, cause: cutCause(s), basis: evidence.Inferred, end: s.Close.At,
			why: "the connection ended within the encrypted response",
		}
	case r.Sealed && s.Connection.Requests <= r.Nth:
		done.basis, done.why = evidence.Inferred, "an encrypted response came; that it is whole cannot be seen"
	case s.Connection.Requests > r.Nth:
		done.basis, done.why = evidence.Inferred, "the response is over because another request followed it; where it ends was not read"
	default:
		done.basis, done.why = evidence.Unknown, "parts of the response were not captured, so whether it is whole is not known"
	}
	return done
}

// cutCause is the cause of an end within a response.
func cutCause(s *segments.Sight) results.Cause {
	if s.Close.How == evidence.RST {
		return results.CauseRST
	}
	return results.CauseTruncated
}

func unanswered(s *segments.Sight, nth int) *evidence.Unanswered {
	for i := range s.Unanswered {
		if s.Unanswered[i].Nth == nth {
			return &s.Unanswered[i]
		}
	}
	return nil
}

// phase is how far a request and its response came.
func phase(r *segments.Request) results.Phase {
	switch {
	case r.HeadRead || r.Sealed && r.First != evidence.NotSeen:
		return results.PhaseDuringResponse
	case r.First != evidence.NotSeen:
		return results.PhaseResponseHeaders
	case r.Sealed:
		return results.PhaseBeforeResponse
	case !r.Head:
		return results.PhaseWriteHeaders
	case !r.Whole:
		return results.PhaseWriteBody
	}
	return results.PhaseBeforeResponse
}

// cause is what the server's close, or a RST made by another machine, means to a request.
func cause(r *segments.Request, s *segments.Sight, phase results.Phase) results.Cause {
	if s.Close.How == evidence.RST {
		return results.CauseRST
	}
	by := results.CauseFIN
	if s.Close.How == evidence.Notify {
		by = results.CauseCloseNotify
	}
	switch {
	case phase == results.PhaseDuringResponse && (r.Bounded || r.Sealed):
		return results.CauseTruncated
	case phase < results.PhaseBeforeResponse && s.Rejected != evidence.NotSeen:
		return results.CausePipe
	}
	return by
}
