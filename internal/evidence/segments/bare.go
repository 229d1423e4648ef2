package segments

import (
	"fmt"
	"time"

	"github.com/kabench/kabench/internal/evidence"
)

// Where only headers were seen, a change of direction is all that tells a request from a
// response. Three things pass then that are neither: a TLS alert, with which an end says
// goodbye; a control frame of HTTP/2; and the last words of other protocols. All are short.

// The lengths of an encrypted alert, with its header: 23 bytes with ChaCha20 in TLS 1.2, 24 in
// TLS 1.3, 31 with AES-GCM in TLS 1.2, 53 with AES-CBC and SHA-1. A frame of HTTP/2 that
// carries no request has 31 to 39 bytes in TLS.
const (
	leastAlert = 23
	mostAlert  = 53
)

// farewell is how long after an alert, or another goodbye, the first FIN or RST follows at
// most.
const farewell = 10 * time.Millisecond

// tail are the newest pieces of the server, if they are as short as alerts.
type tail struct {
	mark
	cut  bool          // they were taken for a part of a response
	nth  int           // that response's number on the connection
	done time.Duration // the end of that response without them
}

// brief is an exchange of two short messages, which may be the goodbyes of both ends.
type brief struct {
	exchange evidence.Exchange
	begun    time.Duration
	size     uint32
}

// maxBrief is how many of them are held back until it is known whether the connection goes on.
const maxBrief = 4

// takeBare takes bytes of one side whose headers alone were seen.
func (t *talk) takeBare(side int, p piece) {
	short := p.length >= leastAlert && p.length <= mostAlert
	last := tail{mark: mark{seen: true, order: p.order, at: p.at, seq: p.seq + uint32(p.length), ack: p.ack, acks: p.acks, number: p.number, guess: true}}
	if side == client {
		if p.length > mostAlert {
			t.tail = tail{}
		}
		if n := len(t.briefs); n > 0 && (p.length > mostAlert || p.at-t.briefs[n-1].exchange.Done > farewell) {
			t.takeBriefs()
		}
		t.got = 0
		if t.bye = (mark{}); short {
			t.bye = last.mark
		}
		t.askOrContinue(p)
		return
	}
	t.got += p.length
	if !short {
		t.bye = mark{}
	}
	switch {
	case len(t.pending) > 0 && !t.responds && p.acks && !after(p.ack, t.pending[0].from):
		// It left before the request had come, so it is no response to it.
		if t.tail = (tail{}); short {
			t.tail = last
		}
		return
	case len(t.pending) == 0 && !t.responds && !t.missed && short:
		t.tail = last
		return
	case short && t.responds:
		last.cut, last.nth, last.done = true, t.count+len(t.briefs)+1, t.current.Done
		if old := &t.tail; old.cut && old.nth == last.nth && p.at-old.at <= farewell {
			last.done = old.done
		}
		t.tail = last
	case t.tail.seen && len(t.pending) > 0 && t.pending[0].to-t.pending[0].from <= mostAlert:
		// A short response to a short request: the goodbye before it may still be one.
	default:
		t.tail = tail{}
	}
	t.moreResponse(p)
}

// holdBack holds the current exchange back if both its messages are short.
func (t *talk) holdBack(at time.Duration) bool {
	if !t.bare || len(t.pending) == 0 {
		return false
	}
	q := &t.pending[0]
	if q.to-q.from > mostAlert || t.got > 2*mostAlert {
		return false
	}
	if len(t.briefs) == maxBrief {
		t.takeBriefs()
	}
	t.current.Done = at
	t.briefs = append(t.briefs, brief{t.current, t.begun, q.to - q.from})
	return true
}

// takeBriefs counts the exchanges that were held back.
func (t *talk) takeBriefs() {
	for _, b := range t.briefs {
		if t.doneAt != evidence.NotSeen && b.begun != evidence.NotSeen {
			t.longest = max(t.longest, b.begun-t.doneAt)
		}
		t.keep(b.exchange)
		t.doneAt = b.exchange.Done
		t.noteSize(b.size)
	}
	t.briefs = t.briefs[:0]
}

// leave returns when the first FIN or RST was seen, or NotSeen.
func (l *life) leave() time.Duration {
	at := evidence.NotSeen
	for _, m := range []*mark{&l.flows[client].fin, &l.flows[server].fin, &l.rst} {
		if m.seen && (at == evidence.NotSeen || m.at < at) {
			at = m.at
		}
	}
	return at
}

// farewell takes short messages right before and after the first FIN or RST for goodbyes: no
// exchanges, and no part of a response.
func (l *life) farewell() {
	t := &l.talk
	if !t.bare {
		return
	}
	end := l.leave()
	if end != evidence.NotSeen {
		n := len(t.briefs)
		for n > 0 && t.briefs[n-1].begun >= end-farewell {
			n--
		}
		t.briefs = t.briefs[:n]
	}
	t.takeBriefs()
	if mine, theirs := &l.flows[server].fin, &l.flows[client].fin; t.bye.seen && (t.least == 0 || t.least > mostAlert) {
		// The client's close_notify, which the server answered by a FIN before the client's own.
		if theirs.seen && !theirs.guess && theirs.seq == t.bye.seq+1 && theirs.at-t.bye.at <= farewell && mine.seen && mine.order < theirs.order && mine.order > t.bye.order {
			t.alerts[client] = t.bye
		}
	}
	if end == evidence.NotSeen || !t.tail.seen || end-t.tail.at > farewell {
		return
	}
	if l.saidGoodbye() {
		t.alerts[server] = t.tail.mark
	}
	switch n := len(t.exchanges); {
	case !t.tail.cut:
	case t.responds && t.tail.nth == t.count+1:
		t.current.Done = t.tail.done
	case t.tail.nth == t.count && n > 0:
		t.exchanges[n-1].Done, t.doneAt = t.tail.done, t.tail.done
	}
	t.tail = tail{}
}

// saidGoodbye reports whether the tail is the server's close_notify: its FIN follows, or, after
// a silence, that of the client, which has read it.
func (l *life) saidGoodbye() bool {
	tail, mine, theirs := &l.talk.tail, &l.flows[server].fin, &l.flows[client].fin
	if mine.seen && !mine.guess && mine.seq == tail.seq+1 && mine.at-tail.at <= farewell {
		return true
	}
	silence := !tail.cut || tail.at-tail.done > farewell
	return silence && theirs.seen && theirs.acks && theirs.order > tail.order && !after(tail.seq, theirs.ack)
}

// carries reports whether a request without a response may be one. Short ones may be none,
// except where short ones were answered before.
func (t *talk) carries(q *request) bool {
	size := q.to - q.from
	return !t.bare || size > mostAlert || t.least != 0 && size >= t.least
}

// noteSize remembers the shortest request that was answered.
func (t *talk) noteSize(size uint32) {
	if t.bare && (t.least == 0 || size < t.least) {
		t.least = size
	}
}

// guessed adds to a request without a response that it was not read.
func (t *talk) guessed(u *evidence.Unanswered, q *request) {
	if t.bare {
		u.Basis = min(u.Basis, evidence.Inferred)
		u.Why = fmt.Sprintf("%d bytes of the client, whose payload was not seen, count as a request; %s", q.to-q.from, u.Why)
	}
}
