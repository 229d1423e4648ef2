package dialers

import (
	"errors"
	"os"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/internal/http1"
	"github.com/kabench/kabench/internal/transport"
	"github.com/kabench/kabench/results"
)

// attempt is what an exchange forgets when it is attempted again.
type attempt struct {
	stage        stage
	own          *dialing // the dial begun for it
	conn         *connection
	out          outgoing
	in           incoming
	facts        Facts
	reading      reading
	late         bool            // response_timeout is over
	atLease      results.TCPInfo // if askedAtLease
	askedAtLease bool
}

// stage is what an attempt waits for.
type stage uint8

const (
	resolving  stage = iota // the addresses, where each has a sub-pool
	acquiring               // a connection
	exchanging              // the server: it has a connection
)

// reading is how the reading of a response ended while the request was still
// being written.
type reading uint8

const (
	stillReading reading = iota
	readFailed           // there will be no response; writing goes on, because its error may say why
	readComplete         // the response is whole; the connection can be kept once the request is written
)

// reset forgets the attempt. The request's bytes and the buffer of the response's
// parser stay.
func (a *attempt) reset() {
	a.stage, a.own, a.conn, a.facts, a.reading, a.late, a.askedAtLease = resolving, nil, nil, Facts{}, stillReading, false, false
	a.out.written, a.out.writing = 0, false
}

// outgoing is a request on its way to the server.
type outgoing struct {
	req              *Request
	bytes            []byte // of the request, as this exchange sends it
	written          int    // of bytes
	writing          bool   // request not fully written yet, no write error
	awaitingContinue bool   // body held back until 100 Continue
}

// begin makes o ready to be written.
func (o *outgoing) begin() { o.writing, o.awaitingContinue = true, o.req.expectsContinue }

// next is what to write next: the head, with the beginning of the body unless the
// request is to be split, and then the rest. It is empty when all that may be
// written has been.
func (o *outgoing) next() []byte {
	end := len(o.bytes)
	if o.awaitingContinue {
		end = o.req.head
	}
	first := min(end, max(o.req.head, transport.OneWrite))
	if o.req.split {
		first = o.req.head
	}
	if o.written < first {
		end = first
	}
	return o.bytes[o.written:end]
}

// advance notes that n bytes were written, and stamps e.
func (o *outgoing) advance(n int, e *results.Exchange, now time.Duration) {
	o.written += n
	e.BytesOut += int64(n)
	if o.headWritten() && e.WroteHeaders == results.Never {
		e.WroteHeaders = now
	}
	if o.whole() {
		e.Wrote = now
	}
}

func (o *outgoing) headWritten() bool { return o.written >= o.req.head }

func (o *outgoing) whole() bool { return o.written == len(o.bytes) }

// incoming is what comes from the server: a response, or several when the request
// is several, pipelined.
type incoming struct {
	http1.Response
	req      *Request
	expected int  // responses outstanding, including the current one
	surplus  bool // bytes came behind the last response
}

// errNoMoreResponses is a response that closes the connection before all of them
// have come.
var errNoMoreResponses = errors.New("the connection ends before the last response")

// begin makes in ready for what comes for req.
func (in *incoming) begin(req *Request) {
	in.req, in.expected, in.surplus = req, req.responses, false
	in.Reset(req.method)
}

// feed takes bytes, stamps e and notes in f what they are. continued reports
// whether a 100 Continue that the request asks for was among them. The error says
// what is malformed, or is errNoMoreResponses.
func (in *incoming) feed(b []byte, now time.Duration, e *results.Exchange, f *Facts) (continued bool, err error) {
	if e.FirstByte == results.Never {
		e.FirstByte = now
	}
	f.Bytes += int64(len(b))
	e.BytesIn += int64(len(b))
	before := in.InterimBytes
	used, err := in.Feed(b)
	for err == nil && in.Done && in.expected > 1 && !in.Close {
		in.noteHead(now, e, f)
		in.expected--
		in.Reset(in.req.method)
		b = b[used:]
		used, err = in.Feed(b)
	}
	if interim := in.InterimBytes - before; interim > 0 && in.req.expectsContinue {
		// 100 Continue is no part of the response, also when it comes too late for the
		// body.
		continued = true
		f.Bytes -= int64(interim)
		if e.FirstByte = now; f.Bytes == 0 {
			e.FirstByte = results.Never
		}
	}
	in.noteHead(now, e, f)
	if err == nil && in.Done {
		if in.expected > 1 {
			return continued, errNoMoreResponses
		}
		in.surplus = used < len(b)
	}
	return continued, err
}

// noteHead stamps e when the head of the first response has been read.
func (in *incoming) noteHead(now time.Duration, e *results.Exchange, f *Facts) {
	if !in.HeadRead || f.HeadRead {
		return
	}
	f.HeadRead, f.Length = true, in.Length
	e.GotHeaders, e.Status = now, in.Status
}

// endsWithStream reports whether the end of the stream, which has come, is the
// end of the last response.
func (in *incoming) endsWithStream() bool { return in.expected == 1 && in.End() == nil }

// keepAlive is what the response announced with `Keep-Alive: timeout=`, if the policy
// reads it.
func (in *incoming) keepAlive(p *pool.Policy) time.Duration {
	if in.KeepAlive == http1.NoKeepAlive || p.HintIfKeepAlive && !in.SaysKeep {
		return pool.NoHint
	}
	return in.KeepAlive
}

// endsConnection reports whether the connection ends after this response.
func (x *exchange) endsConnection() bool {
	ends := x.in.Close
	switch x.client.policy.HTTP10 {
	case pool.HTTP10Keep:
		ends = ends && !x.in.OldClose
	case pool.HTTP10Never:
		ends = ends || x.in.HTTP10
	}
	return ends || x.req.last
}

// leaks counts the responses with a body. The caller leaves every n-th half-read.
type leaks struct{ every, responses uint64 }

// leaks reports whether the caller leaves this response, whose head has just been read, as it
// is. It counts the response.
func (x *exchange) leaks() bool {
	c := x.client
	if c.leaks.every == 0 || x.out.writing || x.in.Length == 0 || x.req.method == "HEAD" {
		return false // where there is no body, the client gives the connection back by itself
	}
	c.leaks.responses++
	return c.leaks.responses%c.leaks.every == 0
}

// leave ends the exchange at the head of its response. Its connection stays leased: only
// response_timeout can end that, if the policy has one.
func (x *exchange) leave() {
	timers := &x.client.loop.responseTimers
	x.conn.leaked = &timer{fire: x.conn.reclaim}
	if timers.holds(&x.responseTimer) {
		timers.add(x.conn.leaked, x.responseTimer.at)
	}
	x.facts.HeadOnly = true
	x.end()
}

// release gives the connection back, unless the caller has left the response half-read.
func (x *exchange) release() {
	c, conn := x.client, x.conn
	conn.exchange = nil
	if x.facts.HeadOnly {
		conn.shard.leaked = append(conn.shard.leaked, conn)
		conn.shard.leaks++
		return
	}
	conn.idleSince = c.stamp
	c.decide(conn.shard, conn.shard.core.Release(c.stamp, conn.entry, x.connectionFate(), x.in.keepAlive(&c.policy)), nil)
}

// responseLate ends the attempt, because its response has taken response_timeout.
func (x *exchange) responseLate() {
	x.facts.Read, x.late = os.ErrDeadlineExceeded, true
	x.end()
}

// connectionFate is why the released connection is closed, or Keep.
func (x *exchange) connectionFate() pool.Reason {
	switch f := &x.facts; {
	case f.Complete && x.endsConnection():
		return pool.ServerSaidClose
	case !f.Complete || x.in.surplus || !f.Written || f.Aborted:
		return pool.Broken
	}
	return x.conn.peerEnd
}
