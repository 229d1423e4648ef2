package dialers

import (
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/internal/transport"
	"github.com/kabench/kabench/results"
)

// Stats are the gauges and counts of a Client. Its peaks are the sums of its
// shards' peaks.
type Stats struct {
	pool.Stats
	// Connections by whose FIN or RST was first, as our kernel saw it; it sees the
	// peer's when that arrives. They add up to those closed.
	ClosedByUs   uint64 // ours left before one of the peer's had come
	ClosedByPeer uint64 // the peer's FIN had come
	ClosedReset  uint64 // the peer's RST had come with no FIN before it
	// ClosedUnknown are connections where this side cannot know who was first: the two
	// FINs crossed, or ours still waited behind data that the peer had no room for.
	ClosedUnknown uint64
	// TLS connections by whose close_notify alert was first. Each side sends its alert
	// before its FIN, but the first alert does not decide whose FIN is first.
	NotifiedByUs   uint64 // ours left before we had read one
	NotifiedByPeer uint64 // we had read the peer's
	// Leaked are leases that the caller did not give back, because it left a response half-read.
	Leaked uint64
	// Resumed are TLS handshakes that took up an earlier session.
	Resumed uint64
}

// Stats returns the gauges and counts as they are now. It may be called from any
// goroutine.
func (c *Client) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	var sum Stats
	for _, s := range c.pools.shards {
		sum.add(s)
	}
	return sum
}

// Merge adds the gauges and counts of another Client to those of s. Its peaks are added too:
// all together are not above that.
func (s *Stats) Merge(o Stats) {
	s.addPool(o.Stats)
	s.ClosedByUs += o.ClosedByUs
	s.ClosedByPeer += o.ClosedByPeer
	s.ClosedReset += o.ClosedReset
	s.ClosedUnknown += o.ClosedUnknown
	s.NotifiedByUs += o.NotifiedByUs
	s.NotifiedByPeer += o.NotifiedByPeer
	s.Leaked += o.Leaked
	s.Resumed += o.Resumed
}

func (sum *Stats) add(s *shard) {
	sum.addPool(s.core.Stats())
	sum.ClosedByUs += s.closed[CloserUs]
	sum.ClosedByPeer += s.closed[CloserPeer]
	sum.ClosedReset += s.closed[CloserReset]
	sum.ClosedUnknown += s.closed[CloserUnknown]
	sum.NotifiedByUs += s.notified.us
	sum.NotifiedByPeer += s.notified.peer
	sum.Leaked += s.leaks
	sum.Resumed += s.resumed
}

func (sum *Stats) addPool(c pool.Stats) {
	for _, add := range []struct {
		to *int
		n  int
	}{
		{&sum.Leased, c.Leased}, {&sum.Idle, c.Idle}, {&sum.Dialing, c.Dialing}, {&sum.Pending, c.Pending},
		{&sum.PeakLeased, c.PeakLeased}, {&sum.PeakIdle, c.PeakIdle}, {&sum.PeakDialing, c.PeakDialing},
		{&sum.PeakPending, c.PeakPending}, {&sum.MaxOpen, c.MaxOpen},
	} {
		*add.to += add.n
	}
	sum.Opened += c.Opened
	for reason, n := range c.Evicted {
		sum.Evicted[reason] += n
	}
}

// Fill sets run.Connections and run.Pool.
func (s Stats) Fill(run *results.Run) {
	run.Connections = results.Connections{
		Opened: s.Opened, ClosedByUs: s.ClosedByUs, ClosedByPeer: s.ClosedByPeer, Reset: s.ClosedReset,
		Unknown: s.ClosedUnknown, NotifiedUs: s.NotifiedByUs, NotifiedPeer: s.NotifiedByPeer,
		TLSResumed: s.Resumed, Leaked: s.Leaked, MaxOpen: s.MaxOpen, Evictions: map[string]uint64{},
	}
	for reason, n := range s.Evicted {
		if n > 0 {
			run.Connections.Evictions[pool.Reason(reason).String()] = n
		}
	}
	run.Pool = results.PoolPeaks{PeakPending: s.PeakPending, PeakLeased: s.PeakLeased, PeakIdle: s.PeakIdle, PeakDialing: s.PeakDialing}
}

// Idles are how long connections were idle, over the whole run.
type Idles struct {
	Longest     time.Duration      // at a lease, at the peer's close, or when we closed
	AtPeerClose *results.Durations // when the peer's FIN, close_notify or RST came
}

// Idles returns how long connections were idle until now.
func (c *Client) Idles() Idles {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Idles{c.idles.longest, c.idles.peer.Clone()}
}

// Fill sets run.Connections, run.Pool and, of run.Idle, AtPeerClose and Longest.
// Call it after the collectors have filled theirs.
func (c *Client) Fill(run *results.Run) {
	c.Stats().Fill(run)
	idles := c.Idles()
	atClose := idles.AtPeerClose.Quantiles()
	run.Idle.AtPeerClose, run.Idle.Longest = &atClose, max(run.Idle.Longest, idles.Longest.Seconds())
}

// idles are the idle times that a Client has seen. Guarded by Client.mu.
type idles struct {
	longest time.Duration
	peer    results.Durations
}

// add notes that a connection was idle for that long.
func (i *idles) add(idle time.Duration) { i.longest = max(i.longest, idle) }

// Closer is who ended a TCP connection first. TLS alerts do not count: see
// Stats.NotifiedByUs. Its String is "", "unknown", "us", "peer" or "reset".
type Closer = transport.Closer

// Who may have ended a connection first.
const (
	CloserNone    = transport.CloserNone    // it is not closed, or that was not checked
	CloserUnknown = transport.CloserUnknown // the kernel cannot tell: see Stats.ClosedUnknown
	CloserUs      = transport.CloserUs      // our FIN, or our RST, left before the peer's FIN or RST had come
	CloserPeer    = transport.CloserPeer    // the peer's FIN had come
	CloserReset   = transport.CloserReset   // the peer's RST had come, and no FIN before it
)

// The kernel is asked about connections (TCP_INFO). Each question takes about
// 0.7 us, of the 10 that an exchange takes on one core. So only failures are asked
// about, and leases where the result may matter, as often as can be
// afforded.
const (
	// infosPerOutcome is how many failures of one outcome are asked about.
	infosPerOutcome = 20
	// infoIdle is the idle time from which a connection is asked about when it is
	// leased. One that is in use all the time has little chance to die in between.
	infoIdle = time.Millisecond
	// infoGap is the least time between two questions at leases: they take one and a
	// half percent of a core at most.
	infoGap = 50 * time.Microsecond
)

// evidence is what a Client has asked the kernel. Guarded by Client.mu.
type evidence struct {
	asked time.Duration // when last at a lease
	taken [results.NumPhases][results.NumCauses][2]uint8
}

// askAtLease asks about the connection that x has just leased.
func (v *evidence) askAtLease(x *exchange) {
	e := x.record
	if e.Idle < infoIdle || e.Leased-v.asked < infoGap && v.asked > 0 {
		return
	}
	v.asked = e.Leased
	x.atLease, x.askedAtLease = x.conn.wire.Info()
}

// askAtFailure adds to x's record, after a failure, the state of the connection when
// it was leased and its state now. The socket is still open.
func (v *evidence) askAtFailure(x *exchange) {
	e, reused := x.record, 0
	if e.Reused() {
		reused = 1
	}
	n := &v.taken[e.Phase][e.Cause][reused]
	if e.WarmUp || *n == infosPerOutcome {
		return
	}
	*n++
	if info, known := x.conn.wire.Info(); known {
		e.AtFailure = &info
	}
	if x.askedAtLease {
		info := x.atLease
		e.AtLease = &info
	}
}
