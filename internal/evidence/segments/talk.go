package segments

import (
	"time"

	"github.com/kabench/kabench/internal/evidence"
)

// protocol is what a connection carries.
type protocol uint8

const (
	unrecognised protocol = iota
	overHTTP
	overTLS
)

// request is one that has no whole response yet.
type request struct {
	id       int
	begun    time.Duration
	sent     time.Duration
	order    int // of the segment in which it began
	from, to uint32
	ack      uint32 // the server's number that its first segment acknowledged
	acks     bool
	number   int64
	line     string
	method   string
	asked    bool
	whole    bool
	origin   evidence.Origin
	headed   bool          // its whole head was seen
	since    time.Duration // when the response before it, or the handshake of TLS, was over; or NotSeen
}

const maxPending = 64 // requests of one connection without a response

// talk finds the exchanges of one connection in its bytes: by HTTP/1 parsing where the
// bytes were captured, by TLS records, and otherwise by changes of direction.
type talk struct {
	protocol    protocol
	pending     []request         // oldest first
	current     evidence.Exchange // the response to pending[0], if responding
	begun       time.Duration
	responds    bool
	requests    requests
	response    response
	records     [2]records
	alerts      [2]mark // the newest alert of each side, if no record followed
	handshake   bool
	strange     int // segments whose beginning is none of HTTP/1 and TLS
	tls13       bool
	helloAck    uint32        // what the server had of the client when its handshake began
	last        time.Duration // the last byte of either side that was no alert, or NotSeen
	early       *request      // of the newest response, if it began before the request was over
	leftAt      time.Duration // the client's FIN, if left
	left        bool
	unread      *request      // of the newest response, if it began after that
	orphan      bool          // the newest response has no request, whose bytes are missing
	orphanAck   uint32        // and its first segment acknowledged this number
	answeredAck uint32        // what the last response acknowledged
	ack         uint32        // of the server's newest piece
	missed      bool          // client bytes were missing since the last response
	whole       bool          // the connection was seen from its SYN on
	unasked     int           // the status of a response that no request asked for
	unsolicited bool          // current is such a response
	ready       time.Duration // TLS was established, or NotSeen

	exchanges []evidence.Exchange
	count     int
	doneAt    time.Duration // of the newest exchange
	longest   time.Duration // idle, survived
	each      func(evidence.Exchange, int)
	named     func(line string, begun time.Duration)
	watch     func(Request) // called with each request as it begins, has its head and is answered; or nil
	bad       bool          // bytes of current are no HTTP/1

	bare   bool // only headers were seen
	tail   tail
	bye    mark    // the client's newest piece, if it is as short as an alert
	briefs []brief // exchanges that may be none
	got    int     // bytes of the server since the client sent any
	least  uint32  // bytes of the shortest request that was answered, if only headers were seen; 0: none
}

func (t *talk) begin() {
	t.last, t.ready, t.doneAt = evidence.NotSeen, evidence.NotSeen, evidence.NotSeen
	t.response.parser.Reset("GET")
}

func (t *talk) swap() {
	t.records[client], t.records[server] = t.records[server], t.records[client]
	t.alerts[client], t.alerts[server] = t.alerts[server], t.alerts[client]
}

// fresh reports whether nothing was recognised yet.
func (t *talk) fresh() bool { return t.protocol == unrecognised && t.count == 0 }

// wrongSide reports whether a piece can only have been sent by the other end.
func (t *talk) wrongSide(side int, p piece) bool {
	return p.begin && (side == client && beginsResponse(p.payload) || side == server && beginsRequest(p.payload))
}

// take takes the next bytes in order of one side.
func (t *talk) take(side int, p piece) {
	if t.protocol == unrecognised && p.begin {
		t.recognise(side, p.payload)
	}
	if side == server {
		t.ack = p.ack
	}
	switch {
	case t.bare:
		t.takeBare(side, p)
	case t.protocol == overTLS:
		t.takeRecords(side, p)
		return
	case side == client:
		t.takeRequest(p)
	default:
		t.takeResponse(p)
	}
	t.last = p.at
}

func (t *talk) recognise(side int, b []byte) {
	switch {
	case side == client && beginsRequest(b), side == server && beginsResponse(b):
		t.protocol = overHTTP
	case beginsRecord(b):
		t.protocol = overTLS
	case len(b) >= enough:
		t.strange++
	}
}

// enough is how many bytes of a segment must have been captured to say that no request,
// no response and no TLS record begins there.
const enough = 8

// other reports whether the connection carries another protocol: bytes were captured,
// and none of them begins HTTP/1 or TLS. In the middle of a connection, a few of them may
// be parts of a body.
func (t *talk) other() bool {
	return t.protocol == unrecognised && (t.whole && t.strange > 0 || t.strange > 3)
}

// miss takes note of n bytes that were not observed. They had been sent at the time at
// or before; end is the number behind them.
func (t *talk) miss(side, n int, at time.Duration, end uint32) {
	switch side {
	case client:
		t.missClient(n, end)
	case server:
		t.missServer(n, at)
	}
	switch {
	case t.protocol == overTLS:
		t.records[side].miss(n)
	case side == client:
		t.missRequest(n)
	default:
		t.missResponse(n, at)
	}
}

// holdsRequest reports whether n bytes of the client that were not observed can hold a
// request. Under TLS, fewer bytes than a request has are a close_notify and a FIN; the
// bytes of a body belong to a request that was seen.
func (t *talk) holdsRequest(n int) bool {
	r := &t.requests
	switch {
	case t.protocol == overTLS:
		return n >= recordHeader+smallestRequest
	case r.part == inRequestBody && int64(n) <= r.left:
		return false
	}
	return len(t.pending) > 0 || !r.inBody() && !r.stray
}

// missClient takes bytes of the client that were not observed for a request. A response
// that acknowledges them is the response to them.
func (t *talk) missClient(n int, end uint32) {
	if !t.holdsRequest(n) {
		return
	}
	if t.responds && t.protocol == overTLS && after(end, t.ack) {
		t.answered(t.current.Done) // the next request ends it, as in ask
	}
	t.missed = t.missed || t.count == 0 || after(end, t.answeredAck)
}

// missServer takes bytes of the server that were not observed for the response to the
// request that waits.
func (t *talk) missServer(n int, at time.Duration) {
	switch {
	case t.protocol == overTLS && n == recordHeader+sealedAlert:
	case t.responds:
		t.current.Done = max(t.current.Done, min(at, t.current.Done+slowest))
	case len(t.pending) > 0:
		t.answer(evidence.NotSeen)
		t.current.Done = at
		if at-t.pending[0].sent > slowest {
			t.current.Done = t.pending[0].sent
		}
	default:
		t.missed = false
	}
}

// slowest is how long after a request the ACK of a response may come that was not
// observed itself. If it comes later, it says nothing about the response's time.
const slowest = time.Second

// ask begins a request.
func (t *talk) ask(p piece) {
	if t.responds && (t.protocol != overHTTP || !t.response.inOrder) {
		t.answered(t.current.Done) // where a response ends cannot be read, the next request ends it
	}
	if t.orphan && !after(p.seq+uint32(p.length), t.orphanAck) {
		t.claim(p)
		return
	}
	if len(t.pending) == maxPending {
		return
	}
	t.requests.id++
	t.pending = append(t.pending, request{
		id: t.requests.id, begun: p.at, sent: p.at, order: p.order, from: p.seq, to: p.seq,
		ack: p.ack, acks: p.acks, number: p.number, since: t.doneAt,
	})
	if t.doneAt == evidence.NotSeen {
		t.pending[len(t.pending)-1].since = t.ready
	}
	t.tell(len(t.pending) - 1)
}

// claim takes a request that was observed later than the response to it.
func (t *talk) claim(p piece) {
	t.requests.id++
	t.orphan = false
	if t.responds {
		t.current.Sent = p.at
	} else if n := len(t.exchanges); n > 0 {
		t.exchanges[n-1].Sent = p.at
	}
}

// continued adds n bytes to the newest request, if no response has ended it.
func (t *talk) continued(p piece, n int) *request {
	if len(t.pending) == 0 || t.pending[len(t.pending)-1].id != t.requests.id {
		return nil
	}
	r := &t.pending[len(t.pending)-1]
	r.sent = p.at
	r.to = p.seq + uint32(n)
	return r
}

// askOrContinue takes client bytes whose meaning cannot be read: after a response they
// are a new request.
func (t *talk) askOrContinue(p piece) {
	if len(t.pending) == 0 || t.responds {
		t.ask(p)
	}
	t.continued(p, p.length)
}

// answer begins a response. One that no request asked for is no exchange: servers say
// 408 when they close an idle connection.
func (t *talk) answer(at time.Duration) {
	t.responds = true
	t.current = evidence.Exchange{Sent: evidence.NotSeen, First: at, Done: at}
	t.bad = false
	t.begun = evidence.NotSeen
	t.unsolicited = len(t.pending) == 0 && !t.missed && (t.whole || t.count > 0)
	if len(t.pending) > 0 {
		q := &t.pending[0]
		t.current.Sent, t.current.Asked, t.current.Origin, t.begun = q.sent, q.asked, q.origin, q.begun
	}
	t.orphan = len(t.pending) == 0 && t.missed
	t.orphanAck = t.ack
}

// answered ends the response.
func (t *talk) answered(at time.Duration) {
	t.responds = false
	t.answeredAck = t.ack
	if t.unsolicited {
		t.unasked = t.current.Status
		return
	}
	if t.holdBack(at) {
		t.pending = append(t.pending[:0], t.pending[1:]...)
		t.missed = false
		return
	}
	t.current.Done = at
	t.tellAnswered()
	if t.doneAt != evidence.NotSeen && t.begun != evidence.NotSeen {
		t.longest = max(t.longest, t.begun-t.doneAt)
	}
	t.keep(t.current)
	t.doneAt = at
	late := t.left && t.current.First > t.leftAt
	if t.early, t.unread = nil, nil; len(t.pending) > 0 {
		if late {
			q := t.pending[0]
			t.unread = &q
		}
		if q := t.pending[0]; q.id == t.requests.id && t.requests.inBody() {
			t.early = &q
		}
		t.noteSize(t.pending[0].to - t.pending[0].from)
		t.pending = append(t.pending[:0], t.pending[1:]...)
	}
	t.missed = false
}

// How many of a connection's newest exchanges are kept, and how many if all connections
// together hold much.
const (
	keptNewest = 48
	keptHeavy  = 4
)

func (t *talk) keep(e evidence.Exchange) {
	t.count++
	if t.each != nil {
		t.each(e, t.count)
	}
	if len(t.exchanges) == evidence.KeptFirst+2*keptNewest {
		t.trim()
	}
	t.exchanges = append(t.exchanges, e)
}

// trim leaves out exchanges of the middle.
func (t *talk) trim() { t.trimTo(keptNewest) }

func (t *talk) trimTo(newest int) {
	if len(t.exchanges) > evidence.KeptFirst+newest {
		n := copy(t.exchanges[evidence.KeptFirst:], t.exchanges[len(t.exchanges)-newest:])
		t.exchanges = t.exchanges[:evidence.KeptFirst+n]
	}
}
