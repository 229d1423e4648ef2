package segments

import (
	"net/netip"
	"slices"
	"time"

	"github.com/kabench/kabench/internal/evidence"
)

// Request is one request of a connection, as far as it and its response have come.
type Request struct {
	Nth    int           // of the requests of its connection, from 1
	Trace  uint64        // TraceOf its X-Request-Id; 0: that was not read
	Sealed bool          // it is encrypted: only that there is a request was seen
	Begun  time.Duration // the first byte, or NotSeen
	Sent   time.Duration // the last byte that was seen, or NotSeen
	Since  time.Duration // when the response before it, or the handshake of TLS, was over; NotSeen: neither was seen
	Head   bool          // its whole head was seen
	Whole  bool          // it was seen whole

	First     time.Duration // the first byte of the response, interim ones left out, or NotSeen
	Done      time.Duration // the last byte of the response that was seen, or NotSeen
	Status    int           // of the response; 0: not read
	HeadRead  bool          // the response's head was read whole
	Bounded   bool          // that head has a Content-Length
	Answered  bool          // the response is over
	Exact     bool          // the end of the response was found by its own framing; false with Answered: something else followed it
	Malformed bool          // the response is not HTTP/1
}

// TraceOf returns the number by which a request with this X-Request-Id is known; 0 for "".
func TraceOf(id string) uint64 { return numberOf([]byte(id)) }

// Sight is what was seen of a connection that may go on.
type Sight struct {
	evidence.Connection               // as if the observation ended now
	Requests            []Request     // those without a whole response, and the last one that was answered only because something else followed
	Handshake           time.Duration // the TCP handshake was over, or NotSeen
	Secured             time.Duration // the TLS handshake was over, or NotSeen
	Rejected            time.Duration // the first RST of the server or of a machine on the way, or NotSeen
	Answers             bool          // a segment of the server was seen that is no RST
	Cut                 bool          // over TLS: the server's last record has not come whole
}

// Look returns what is known now of the connection between two ends, whether or not it is
// over; false: it is not followed. It changes nothing.
func (v *Lives) Look(a, b netip.AddrPort) (*Sight, bool) {
	l := v.open[pairOf(&Segment{Src: a, Dst: b})]
	if l == nil {
		return nil, false
	}
	twin := *l
	twin.looked, twin.older, twin.newer = true, nil, nil
	t := &twin.talk
	t.each, t.named, t.watch = nil, nil, nil
	t.pending = slices.Clone(t.pending)
	t.exchanges = slices.Clone(t.exchanges[max(len(t.exchanges)-1, 0):])
	var over []Request
	t.watch = func(r Request) { over = append(over, r) }
	c := twin.finish(v.now)
	s := twin.sight(c, l.c.Ready)
	s.Requests = append(over, s.Requests...)
	return s, true
}

// Half returns the ends of the connections on which a request's head has begun and is not
// over, and whose beginning says that it is the request with this trace.
func (v *Lives) Half(trace uint64) (found []*evidence.Connection) {
	for _, l := range v.open {
		if r := &l.talk.requests; r.part == inRequestHead && readFields(r.head).origin.Trace == trace {
			found = append(found, &l.c)
		}
	}
	return found
}

// sight adds to a connection what only those who look early want to know.
func (l *life) sight(c evidence.Connection, handshake time.Duration) *Sight {
	t := &l.talk
	s := &Sight{Connection: c, Handshake: handshake, Secured: t.ready, Rejected: evidence.NotSeen, Answers: l.flows[server].ttl != 0 || l.flows[server].syn}
	s.Cut = t.protocol == overTLS && (t.records[server].left > 0 || t.records[server].have > 0)
	for i := range t.pending {
		s.Requests = append(s.Requests, t.request(i))
	}
	for _, r := range c.Resets {
		if r.From == evidence.ByServer {
			s.Rejected = r.At
			break
		}
	}
	return s
}

// responseOver reports whether the response that has begun is over, if nothing follows.
// A body that ends with the connection is over only when the server has closed.
func (l *life) responseOver() bool {
	r := &l.talk.response
	if !r.inside {
		return true
	}
	if l.looked && !l.first(server).seen {
		return false
	}
	return r.parser.End() == nil
}

// request is pending request i, for those who watch.
func (t *talk) request(i int) Request {
	q := &t.pending[i]
	r := Request{
		Nth: t.count + i + 1, Trace: q.origin.Trace, Sealed: t.protocol == overTLS, Begun: q.begun, Sent: q.sent, Since: q.since, Head: q.headed, Whole: q.whole,
		First: evidence.NotSeen, Done: evidence.NotSeen,
	}
	if i == 0 && t.responds {
		t.answering(&r)
	}
	return r
}

// answering adds the facts about the response.
func (t *talk) answering(r *Request) {
	parser := &t.response.parser
	r.First, r.Done, r.Status, r.Malformed = t.current.First, t.current.Done, t.current.Status, t.bad
	if t.response.inOrder && t.protocol == overHTTP {
		r.HeadRead = parser.HeadRead
		r.Bounded = parser.HeadRead && parser.Length >= 0
	}
}

// tell tells those who watch of pending request i.
func (t *talk) tell(i int) {
	if t.watch != nil {
		t.watch(t.request(i))
	}
}

// tellAnswered tells those who watch that the current response is over.
func (t *talk) tellAnswered() {
	if t.watch == nil {
		return
	}
	r := Request{Nth: t.count + 1, Sealed: t.protocol == overTLS, Begun: evidence.NotSeen, Sent: evidence.NotSeen, Since: evidence.NotSeen}
	if len(t.pending) > 0 {
		r = t.request(0)
	}
	t.answering(&r)
	r.Answered = true
	r.Exact = t.response.inOrder && t.protocol == overHTTP && t.response.parser.Done
	t.watch(r)
}
