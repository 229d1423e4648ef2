package dialers

import (
	"errors"
	"net"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/results"
)

// TraceEvent is one change to a connection. Fields that have no meaning for a State
// are zero.
type TraceEvent struct {
	At    time.Duration // from the epoch; events of one connection are in order
	State TraceState
	Conn  uint64 // as Exchange.Conn; 0: there is none yet, or never
	Port  uint16 // the local one
	On    bool   // an exchange is on the connection:
	Seq   uint64 // its number

	Text   string        // of Registered: the origin; of RequestPrepared: the method
	Took   time.Duration // see TraceState
	Bytes  int64         // of RequestPrepared, RequestSent and ResponseCompleted: of that message
	Use    int           // of Configured: as Exchange.Use
	Status int           // of ResponseReceived
	Phase  results.Phase // of a failure
	Cause  results.Cause // of a failure; of ClosedByPeer and ResetByPeer: what was seen, as fin or close_notify
	Reason pool.Reason   // of Unregistered: why it left the pool
	First  Closer        // of Unregistered: who ended the connection first
}

// TraceState is what a connection has come to.
type TraceState uint8

// The states, named as in Reactor Netty's log where it has them.
const (
	Registered         TraceState = iota // its socket begins to connect
	Connected                            // the handshakes are done; Took: since Registered
	ConnectFailed                        // a handshake failed, and there is no connection
	Acquired                             // an exchange has leased it; Took: how long it had been idle
	Configured                           // an exchange is on it
	RequestPrepared                      // the request is about to be written
	RequestSent                          // it is written whole
	ResponseReceived                     // the head of the response is read; Took: since the request was written
	ResponseCompleted                    // the response is whole
	ResponseIncomplete                   // the response began, and will not be complete
	RequestFailed                        // there is no response
	Disconnecting                        // the exchange gives it back
	Idle                                 // it waits in the pool
	ClosedByPeer                         // the peer's FIN or close_notify was seen; Took: how long it had been idle, if it was
	ResetByPeer                          // its RST was; Took: as above
	Unregistered                         // its socket is closed
	Leaked                               // the caller has left a response half-read, and nobody gives the connection back
)

func (s TraceState) String() string {
	return [...]string{
		"registered", "connected", "connect failed", "acquired", "configured", "request_prepared", "request_sent",
		"response_received", "response_completed", "response_incomplete", "request_failed", "disconnecting", "idle",
		"closed by peer", "reset by peer", "unregistered", "leaked",
	}[s]
}

// connectionTrace is what is kept for the Tracer about a connection.
type connectionTrace struct {
	port      uint16
	peerEnd   bool // the peer's end was traced
	idleSince time.Duration
}

// traceEstablished traces the connection that d has made.
func traceEstablished(c *connection, d *dialing) {
	c.traced.port = c.wire.Local().Port()
	began := max(d.leased, d.resolved)
	c.trace(TraceEvent{At: began, State: Registered, Text: d.origin.String()})
	at := max(d.connected, d.secured)
	c.trace(TraceEvent{At: at, State: Connected, Took: at - began})
}

// traceDialFailed traces a dial that made no connection.
func traceDialFailed(d *dialing, err error) {
	e := TraceEvent{At: d.client.clock(), State: ConnectFailed, Text: d.origin.String(), Phase: results.PhaseConnect, Cause: CauseOf(err)}
	if step, ok := errors.AsType[*DialError](err); ok {
		e.Phase = step.Phase
	}
	d.client.Tracer(e)
}

// traceLeased traces that x has its connection and is about to write.
func traceLeased(x *exchange) {
	c, e := x.conn, x.record
	at := x.client.clock()
	if e.Reused() {
		c.trace(TraceEvent{At: at, State: Acquired, Took: e.Idle})
	}
	c.trace(TraceEvent{At: at, State: Configured, Use: e.Use})
	c.trace(TraceEvent{At: x.client.clock(), State: RequestPrepared, Text: x.req.method, Bytes: int64(len(x.req.bytes))})
}

// traceEnd traces how the attempt ended, and that the connection becomes idle unless
// the pool has decided otherwise. The decisions are not carried out yet.
func traceEnd(x *exchange, decisions []decision) {
	c, e := x.conn, x.record
	if c.leaked != nil {
		c.trace(TraceEvent{At: e.Done, State: Leaked, On: true, Seq: e.Seq})
		return
	}
	ended := TraceEvent{At: e.Done, State: ResponseCompleted, Bytes: x.facts.Bytes, On: true, Seq: e.Seq}
	if e.SeenPhase != results.PhaseDone {
		ended.State, ended.Phase, ended.Cause = RequestFailed, e.SeenPhase, e.SeenCause
		if e.SeenPhase > results.PhaseBeforeResponse {
			ended.State = ResponseIncomplete
		}
	}
	c.trace(ended)
	c.trace(TraceEvent{At: e.Done, State: Disconnecting, On: true, Seq: e.Seq})
	for _, d := range decisions {
		if d.Conn == c.entry {
			return // it is closed, or leased to another exchange
		}
	}
	c.traced.idleSince = e.Done
	c.trace(TraceEvent{At: e.Done, State: Idle})
}

// tracePeerEnd traces, the first time, that the peer has ended the connection.
func tracePeerEnd(c *connection, how pool.Reason, seen results.Cause) {
	if c.traced.peerEnd {
		return
	}
	c.traced.peerEnd = true
	e := TraceEvent{At: c.client.clock(), State: ClosedByPeer, Cause: seen}
	if how == pool.Reset {
		e.State = ResetByPeer
	}
	if c.exchange == nil && c.traced.idleSince > 0 {
		e.Took = e.At - c.traced.idleSince
	}
	c.trace(e)
}

// traceUnseenEnd traces the peer's end of an idle connection that the policy does
// not look at. To read it would be to look: the kernel is asked for its state.
func traceUnseenEnd(c *connection) {
	if c.traced.peerEnd {
		return
	}
	info, known := c.wire.Info()
	switch {
	case !known || info.Established():
	case info.State == "CLOSE":
		tracePeerEnd(c, pool.Reset, results.CauseRST)
	default:
		tracePeerEnd(c, pool.PeerClosed, results.CauseFIN)
	}
}

// portOf returns the port of a TCP address.
func portOf(a net.Addr) uint16 {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return uint16(tcp.Port)
	}
	return 0
}
