package forecast

import (
	"math/bits"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/results"
)

// counter counts what happens in the part of a span that counts.
type counter struct {
	on     bool // what happens to connections now counts
	racing bool // races are integrated
	tally  results.Tally
	times  results.Moments
	status int

	// Nearly all exchanges are ok, sent once, and on a reused connection. They are counted
	// by their times, in classes of less than half a percent, because a Tally takes longer
	// for one of them than the rules of the pool do.
	usual map[times]*class
	last  times // the class of the one before
	at    *class

	idle        results.Durations // at lease, on reused connections; the first of every idleOneIn
	idleLongest time.Duration     // at any lease
	atPeerClose results.Durations
	leases      uint64

	opened          uint64 // by the whole span
	before          totals // what had been counted when the counting began
	connections     uint64
	evicted         [pool.NumReasons]uint64
	byUs, byPeer    uint64
	reset           uint64
	races           float64 // expected, by exposure
	met             uint64  // attempts that met the server's close of an idle connection
	begun           time.Duration
	first           time.Duration // when the first failure was due, since the counting began; never: none
	pending, leased int           // peaks
	idlePeak        int
	dialing         int
	limit           *results.LimitSeen // nil: it is fixed
	ours, theirs    int                // TIME_WAIT sockets, peaks
	used, openPeak  int
}

// totals are counts of a whole span, up to a moment.
type totals struct {
	opened, byUs, byPeer, reset uint64
	evicted                     [pool.NumReasons]uint64
	races                       float64
}

// times are the classes of an exchange's times.
type times struct{ acquire, rest, buffered uint16 }

// class counts exchanges whose times are nearly the same.
type class struct {
	n                       uint64
	acquire, rest, buffered float64 // sums
}

// idleOneIn is how many leases there are to one whose idle time is noted.
const idleOneIn = 16

func newCounter(status int) *counter {
	return &counter{status: status, usual: map[times]*class{}, first: never}
}

// classOf puts durations into classes: below 256 µs by microsecond, above with eight bits.
func classOf(d time.Duration) uint16 {
	v := uint64(max(d, 0)) / 1000
	if v < 256 {
		return uint16(v)
	}
	shift := bits.Len64(v) - 8
	return uint16(shift<<7) + uint16(v>>shift)
}

// begin starts the counting; of a run of its own, only that of requests.
func (n *counter) begin(w *world, own bool) {
	n.racing, n.begun = true, w.now
	if own {
		n.before.races = w.exposure.sum
		return
	}
	n.on = true
	n.before = n.totals(w)
	w.ports.fromNow(w.now)
}

func (n *counter) totals(w *world) totals {
	t := totals{opened: n.opened, byUs: w.ports.byUs, byPeer: w.ports.byPeer, reset: w.ports.reset, races: w.exposure.sum}
	for _, s := range w.pools {
		for reason, count := range s.core.Stats().Evicted {
			t.evicted[reason] += count
		}
	}
	return t
}

// stop ends the counting, except of requests that are under way: it takes over what the
// pools and the ports have counted.
func (n *counter) stop(w *world) {
	n.on = false
	if w.adapts != nil {
		seen := w.adapts.Seen()
		n.limit = &seen
	}
	now := n.totals(w)
	n.connections = now.opened - n.before.opened
	n.byUs, n.byPeer, n.reset = now.byUs-n.before.byUs, now.byPeer-n.before.byPeer, now.reset-n.before.reset
	n.races = now.races - n.before.races
	for reason := range n.evicted {
		n.evicted[reason] = now.evicted[reason] - n.before.evicted[reason]
	}
	for _, s := range w.pools {
		stats := s.core.Stats()
		n.pending, n.leased = n.pending+stats.PeakPending, n.leased+stats.PeakLeased
		n.idlePeak, n.dialing = n.idlePeak+stats.PeakIdle, n.dialing+stats.PeakDialing
	}
	p := &w.ports
	n.ours, n.theirs, n.used, n.openPeak = p.oursPeak, p.theirsPeak, p.usedPeak, p.openPeak
}

// shutDown closes the connections that are left.
func (n *counter) shutDown() {
	left := n.connections
	for _, count := range n.evicted {
		left -= count
	}
	n.evicted[pool.Shutdown] += left
	n.byUs += left
}

// end completes the tally, when all requests are over.
func (n *counter) end() {
	for _, c := range n.usual {
		n.tally.AddTimes(n.exchange(c), c.n)
	}
	n.usual, n.at = nil, nil // a long forecast has many counters
}

// exchange stands for those of a class.
func (n *counter) exchange(c *class) *results.Exchange {
	mean := func(sum float64) time.Duration { return time.Duration(sum/float64(c.n) + 0.5) }
	var e results.Exchange
	e.Reset(0, 0)
	e.Buffered = mean(c.buffered)
	e.Start = e.Buffered
	e.Leased = e.Start + mean(c.acquire)
	n.done(&e, e.Leased+mean(c.rest))
	e.Use, e.Conn, e.Attempts = 2, 1, 1
	return &e
}

func (n *counter) done(e *results.Exchange, at time.Duration) {
	e.WroteHeaders = max(e.Leased, e.Connected, e.Secured)
	e.Wrote = e.WroteHeaders
	e.FirstByte, e.GotHeaders, e.Done = at, at, at
	e.Phase, e.Status = results.PhaseDone, n.status
}

// ok counts an exchange that is over.
func (n *counter) ok(w *world, x *request, reused bool) {
	if !reused || x.tries > 0 || x.warmUp {
		e := n.whole(w, x, reused)
		n.done(e, w.now)
		n.tally.Add(e)
		n.times.Add(e)
		return
	}
	if n.leases%idleOneIn == 0 {
		n.idle.Add(x.idle)
	}
	n.leases++
	n.idleLongest = max(n.idleLongest, x.idle)
	acquire, rest := x.leased-x.start, w.now-x.leased
	key := times{classOf(acquire), classOf(rest), classOf(x.buffered)}
	if n.at == nil || key != n.last {
		c := n.usual[key]
		if c == nil {
			c = &class{}
			n.usual[key] = c
		}
		n.last, n.at = key, c
	}
	n.at.n++
	n.at.acquire += float64(acquire)
	n.at.rest += float64(rest)
	n.at.buffered += float64(x.buffered)
}

// whole is the record of a request whose last attempt is on a connection, or had none.
func (n *counter) whole(w *world, x *request, reused bool) *results.Exchange {
	var e results.Exchange
	e.Reset(0, x.due)
	e.WarmUp, e.Start, e.Buffered, e.Attempts, e.Tries, e.Twice = x.warmUp, x.start, x.buffered, x.attempts, x.failed, x.twice
	if x.conn == nil {
		e.Leased = x.granted
		return &e
	}
	e.Leased, e.Conn, e.Use = x.leased, x.conn.id, 1
	if reused {
		e.Use, e.Idle = 2, x.idle
	} else if x.granted != results.Never {
		e.Leased, e.Connected = x.granted, x.leased
		if w.tls {
			e.Connected, e.Secured = x.granted+w.connect, x.leased
		}
	}
	return &e
}

// failed counts a request that has failed for good.
func (n *counter) failed(w *world, x *request, phase results.Phase, cause results.Cause, reused bool) {
	e := n.whole(w, x, reused)
	if phase == results.PhaseTLS {
		e.Connected = x.granted + w.connect
	}
	if phase > results.PhaseWriteBody {
		e.WroteHeaders, e.Wrote = x.leased, x.leased
	}
	if phase > results.PhaseBeforeResponse {
		e.FirstByte = w.now
	}
	if phase == results.PhaseDuringResponse {
		e.GotHeaders, e.Status = w.now, n.status
	}
	e.Phase, e.Cause, e.Done = phase, cause, w.now
	n.tally.Add(e)
	n.times.Add(e)
	if !x.warmUp {
		n.first = min(n.first, x.due-n.begun)
	}
}

// metClose counts an attempt that met the server's close, unless the server closed because of
// the attempt.
func (n *counter) metClose(x *request, c *connection) {
	if !x.warmUp && c.end.idle {
		n.met++
	}
}

// atLease are the idle times of all leases. Only one in idleOneIn was noted.
func (n *counter) atLease() results.Quantiles {
	q := n.idle.Quantiles()
	if q.Count > 0 {
		q.Overflow = uint64(float64(q.Overflow)/float64(q.Count)*float64(n.leases) + 0.5)
		q.Count, q.Max = n.leases, n.idleLongest.Seconds()
	}
	return q
}

func (n *counter) dropped(due time.Duration, warmUp bool) {
	var e results.Exchange
	e.Reset(0, due)
	e.WarmUp, e.Phase, e.Cause, e.Done = warmUp, results.PhaseSchedule, results.CauseDropped, due
	n.tally.Add(&e)
}

func (n *counter) closedIdle(idle time.Duration) {
	if n.on {
		n.atPeerClose.Add(idle)
	}
}

// add adds what another span has counted.
func (n *counter) add(o *counter) {
	n.tally.Merge(&o.tally)
	n.idle.Merge(&o.idle)
	n.leases, n.idleLongest = n.leases+o.leases, max(n.idleLongest, o.idleLongest)
	n.atPeerClose.Merge(&o.atPeerClose)
	n.connections += o.connections
	n.byUs, n.byPeer, n.reset, n.races = n.byUs+o.byUs, n.byPeer+o.byPeer, n.reset+o.reset, n.races+o.races
	n.met += o.met
	for reason := range n.evicted {
		n.evicted[reason] += o.evicted[reason]
	}
	n.pending, n.leased = max(n.pending, o.pending), max(n.leased, o.leased)
	n.idlePeak, n.dialing = max(n.idlePeak, o.idlePeak), max(n.dialing, o.dialing)
	n.ours, n.theirs = max(n.ours, o.ours), max(n.theirs, o.theirs)
	n.used, n.openPeak = max(n.used, o.used), max(n.openPeak, o.openPeak)
}
