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

// farewell is how long after an alert the FIN of the same end follows at most.
const farewell = 10 * time.Millisecond

// tail is the newest piece of the server, if it is as long as an alert and nothing else needs
// it: no request waits for it.
type tail struct {
	mark
	cut  bool          // it was taken for a part of the response
	done time.Duration // the end of the response without it
}

// takeBare takes bytes of one side whose headers alone were seen.
func (t *talk) takeBare(side int, p piece) {
	if side == client {
		t.tail = tail{}
		t.askOrContinue(p)
		return
	}
	short := p.length >= leastAlert && p.length <= mostAlert
	last := tail{mark: mark{seen: true, order: p.order, at: p.at, seq: p.seq + uint32(p.length), ack: p.ack, acks: p.acks, number: p.number, guess: true}}
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
	}
	if t.tail = (tail{}); short && t.responds {
		last.cut, last.done = true, t.current.Done
		t.tail = last
	}
	t.moreResponse(p)
}

// farewell takes the server's last piece for an alert if its FIN follows at once.
func (l *life) farewell() {
	t, fin := &l.talk, &l.flows[server].fin
	if !t.bare || !t.tail.seen || !fin.seen || fin.guess || fin.seq != t.tail.seq+1 || fin.at-t.tail.at > farewell {
		return
	}
	if t.alerts[server] = t.tail.mark; t.tail.cut && t.responds {
		t.current.Done = t.tail.done
	}
	t.tail = tail{}
}

// carries reports whether a request without a response may be one. Short ones may be none,
// except where short ones were answered before.
func (t *talk) carries(q *request) bool {
	size := q.to - q.from
	return !t.bare || size > mostAlert || t.least != 0 && size >= t.least
}

// noteSize remembers the shortest request that was answered.
func (t *talk) noteSize(q *request) {
	if size := q.to - q.from; t.bare && (t.least == 0 || size < t.least) {
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
