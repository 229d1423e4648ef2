package closes

import (
	"net/netip"
	"time"

	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/watch"
)

// The states of a socket that say something.
const (
	established = "ESTABLISHED"
	synSent     = "SYN_SENT"
	synReceived = "SYN_RECV"
	finWait1    = "FIN_WAIT1"
	finWait2    = "FIN_WAIT2"
	closed      = "CLOSE"
	closeWait   = "CLOSE_WAIT"
	lastAck     = "LAST_ACK"
	listen      = "LISTEN"
	closing     = "CLOSING"
)

const (
	// settle is how long after its end a connection is kept: a RST may still be sent for it.
	settle = time.Second
	// maxOpen bounds the sockets that are followed at the same time.
	maxOpen = 100_000
	// maxResets is how many RSTs of a connection are kept.
	maxResets = 8
)

// Life is what was seen of one socket. Of the Connection, what needs packets is not known:
// exchanges, requests without a response, sequence numbers.
type Life struct {
	evidence.Connection
	Flow     watch.Flow
	Socket   uint64 // as in the events
	Cookie   uint64 // 0: not known
	Accepted bool   // the service accepted it
	Older    bool   // it was there before the first event
	State    string // the newest one; "CLOSE": it is over
	Resends  int    // segments that the service sent again
	Unsure   bool   // events were lost while it was open

	resendAt time.Duration // the first segment that was sent again, or NotSeen
	left     string        // the state before CLOSE
	ended    time.Duration
	over     bool // it was reported
}

// Fold follows the sockets in the order of events.
type Fold struct {
	done    func(*Life)
	ends    watch.Ends
	listens map[netip.AddrPort]bool // where connections were accepted
	open    map[uint64]*Life        // those that have ended a moment ago too
	flows   map[watch.Flow]*Life    // the newest one of these ends
	ended   []*Life                 // in the order in which they ended
	now     time.Duration

	Strays     int // RSTs that were sent for no connection that was followed
	Unfollowed int // sockets for which there was no room
}

// New returns a Fold that calls done with each connection a second after it has ended, or at
// End. ends says which ones the service accepts, where that was not seen.
func New(ends watch.Ends, done func(*Life)) *Fold {
	return &Fold{done: done, ends: ends, listens: map[netip.AddrPort]bool{}, open: map[uint64]*Life{}, flows: map[watch.Flow]*Life{}}
}

// Add takes the next event.
func (f *Fold) Add(e watch.Event) {
	f.Advance(e.At)
	if e.Kind == watch.StateChanged {
		f.state(&e)
		return
	}
	l := f.open[e.Socket]
	switch {
	case e.Socket == 0:
		l = f.flows[e.Flow]
		if l == nil {
			f.Strays++
		}
	case l == nil:
		l = f.begin(&e)
	}
	if l == nil {
		return
	}
	l.identify(&e)
	switch e.Kind {
	case watch.Retransmitted:
		l.resend(&e)
	case watch.ResetSent, watch.ResetReceived:
		l.reset(&e)
	}
}

// Advance says that it is now so late, though there was no event.
func (f *Fold) Advance(now time.Duration) {
	f.now = max(f.now, now)
	for len(f.ended) > 0 && f.now-f.ended[0].ended > settle {
		f.finish(f.ended[0])
	}
}

// Lost says that events were lost: what is open now may have had one of them.
func (f *Fold) Lost() {
	for _, l := range f.open {
		l.Unsure = true
	}
}

// End reports all connections that are left.
func (f *Fold) End(now time.Duration) {
	f.now = max(f.now, now)
	for len(f.ended) > 0 {
		f.finish(f.ended[0])
	}
	for _, l := range f.open {
		f.finish(l)
	}
}

func (f *Fold) state(e *watch.Event) {
	if e.To == listen || e.From == listen && e.To != synReceived && e.To != established {
		return // a socket that listens is no connection
	}
	l := f.open[e.Socket]
	begins := e.From == listen || e.From == synReceived || e.To == synSent
	if l != nil && (begins && l.State != synReceived || l.State == closed) {
		f.finish(l) // the kernel uses the memory of a socket again
		l = nil
	}
	if l == nil {
		if l = f.begin(e); l == nil {
			return
		}
		l.Older = !begins
	}
	l.identify(e)
	if l.Flow.Local.Port() != 0 {
		f.flows[l.Flow] = l
	}
	if l.step(e); e.To == closed {
		f.ended = append(f.ended, l)
	}
}

// begin begins to follow a socket; nil: there is no room.
func (f *Fold) begin(e *watch.Event) *Life {
	if len(f.open) >= maxOpen {
		f.Unfollowed++
		return nil
	}
	l := &Life{
		Flow: e.Flow, Socket: e.Socket, State: e.From, resendAt: evidence.NotSeen, Older: true,
		Connection: evidence.Connection{
			Opened: evidence.NotSeen, Ready: evidence.NotSeen, Half: evidence.NotSeen, Since: e.At, Stamped: true,
			Close: evidence.Close{At: evidence.NotSeen, FIN: evidence.NotSeen, Why: "neither a FIN nor a RST was seen"},
		},
	}
	local := e.Flow.Local
	switch {
	case e.From == listen || e.From == synReceived:
		l.Accepted = true
		if len(f.listens) < maxOpen {
			f.listens[local] = true
		}
	case e.From == synSent || e.To == synSent:
	case f.ends.Accepts(local) || f.listens[local]:
		l.Accepted = true
	case f.ends.Opens(e.Flow.Remote):
	default:
		l.Guessed = true
		l.Accepted = local.Port() < e.Flow.Remote.Port() // servers have the lower ports, mostly
	}
	f.open[e.Socket] = l
	return l
}

// identify takes the ends from the event. A socket that is being opened has
// no local port yet.
func (l *Life) identify(e *watch.Event) {
	if e.Cookie != 0 {
		l.Cookie = e.Cookie
	}
	if e.Socket != 0 && e.Flow.Local.Port() != 0 && e.Flow.Remote.Port() != 0 && !e.Flow.Local.Addr().IsUnspecified() {
		l.Flow = e.Flow
	}
	l.Client, l.Server = l.Flow.Local, l.Flow.Remote
	if l.Accepted {
		l.Client, l.Server = l.Server, l.Client
	}
}

func (f *Fold) finish(l *Life) {
	if len(f.ended) > 0 && f.ended[0] == l {
		f.ended[0] = nil
		f.ended = f.ended[1:]
	}
	if l.over {
		return
	}
	l.over = true
	if f.open[l.Socket] == l {
		delete(f.open, l.Socket)
	}
	if f.flows[l.Flow] == l {
		delete(f.flows, l.Flow)
	}
	if l.Until = f.now; l.State == closed {
		l.Until = l.ended
	}
	l.judge()
	f.done(l)
}
