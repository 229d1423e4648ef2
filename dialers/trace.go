package dialers

import (
	"errors"
	"net"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/results"
)

// TraceEvent is one change in the life of a connection. What has no meaning for
// a State is zero.
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

// The states, in the words of Reactor Netty's log where it has one.
const (
	Registered         TraceState = iota // its socket is made, and begins to connect
	Connected                            // the handshakes are done; Took: since Registered
	ConnectFailed                        // they are not, and there is no connection
	Acquired                             // an exchange has it that was idle; Took: how long
	Configured                           // an exchange is on it
	RequestPrepared                      // the request is about to be written
	RequestSent                          // it is written whole
	ResponseReceived                     // the head of the response is read; Took: since the request was written
	ResponseCompleted                    // the response is whole
	ResponseIncomplete                   // it never will be, although it began
	RequestFailed                        // there is no response
	Disconnecting                        // the exchange gives it back
	Idle                                 // it waits in the pool
	ClosedByPeer                         // the peer's FIN or close_notify was seen; Took: how long it had been idle, if it was
	ResetByPeer                          // its RST was; Took: as above
	Unregistered                         // its socket is closed
)

func (s TraceState) String() string {
	return [...]string{
		"registered", "connected", "connect failed", "acquired", "configured", "request_prepared", "request_sent",
		"response_received", "response_completed", "response_incomplete", "request_failed", "disconnecting", "idle",
		"closed by peer", "reset by peer", "unregistered",
	}[s]
}

// trace tells the tracer, which there is, of a change to c.
func (c *Conn) trace(e TraceEvent) {
	e.Conn, e.Port = c.id, c.port
	if t := c.task; t != nil {
		e.On, e.Seq = true, t.e.Seq
	}
	c.c.Tracer(e)
}

// traceMade tells of the connection that d has made.
func (c *Conn) traceMade(d *dialing) {
	c.port = c.wire.local().Port()
	begun := max(d.leased, d.resolved)
	c.trace(TraceEvent{At: begun, State: Registered, Text: d.origin.String()})
	at := max(d.connected, d.secured)
	c.trace(TraceEvent{At: at, State: Connected, Took: at - begun})
}

// traceFailed tells of a dial that made no connection.
func (d *dialing) traceFailed(err error) {
	e := TraceEvent{At: d.c.clock(), State: ConnectFailed, Text: d.origin.String(), Phase: results.PhaseConnect, Cause: CauseOf(err)}
	if step, ok := errors.AsType[*DialError](err); ok {
		e.Phase = step.Phase
	}
	d.c.Tracer(e)
}

// traceLeased tells of the exchange that t's connection was given to.
func (t *task) traceLeased() {
	c, e := t.conn, t.e
	at := t.c.clock()
	if e.Reused() {
		c.trace(TraceEvent{At: at, State: Acquired, Took: e.Idle, On: true, Seq: e.Seq})
	}
	c.trace(TraceEvent{At: at, State: Configured, Use: e.Use, On: true, Seq: e.Seq})
}

// traceEnd tells how the attempt came out, and what becomes of the connection:
// what the pool has decided, and is not carried out yet.
func (t *task) traceEnd(decided []work) {
	c, e := t.conn, t.e
	ended := TraceEvent{At: e.Done, State: ResponseCompleted, Bytes: t.facts.Bytes, On: true, Seq: e.Seq}
	if !e.OK() {
		ended.State, ended.Phase, ended.Cause = RequestFailed, e.Phase, e.Cause
		if e.Phase > results.PhaseBeforeResponse {
			ended.State = ResponseIncomplete
		}
	}
	c.trace(ended)
	c.trace(TraceEvent{At: e.Done, State: Disconnecting, On: true, Seq: e.Seq})
	for _, w := range decided {
		if w.Conn == c.entry {
			return // closed, or another's
		}
	}
	c.idleSince = e.Done
	c.trace(TraceEvent{At: e.Done, State: Idle})
}

// tracePeer tells that the peer has ended the connection, the first time it is
// seen.
func (c *Conn) tracePeer(how pool.Reason, seen results.Cause) {
	if c.told {
		return
	}
	c.told = true
	e := TraceEvent{At: c.c.clock(), State: ClosedByPeer, Cause: seen}
	if how == pool.Reset {
		e.State = ResetByPeer
	}
	if c.task == nil && c.idleSince > 0 {
		e.Took = e.At - c.idleSince
	}
	c.trace(e)
}

// traceUnseen tells of the end of an idle connection that the policy does not
// look at. Reading it would be looking: the kernel is asked for its state.
func (c *Conn) traceUnseen() {
	if c.told {
		return
	}
	info, known := c.wire.info()
	switch {
	case !known || info.Established():
	case info.State == "CLOSE":
		c.tracePeer(pool.Reset, results.CauseRST)
	default:
		c.tracePeer(pool.PeerClosed, results.CauseFIN)
	}
}

func portOf(a net.Addr) uint16 {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return uint16(tcp.Port)
	}
	return 0
}
