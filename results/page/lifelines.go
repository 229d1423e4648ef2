package page

import (
	"cmp"
	"container/heap"
	"slices"
	"time"

	"github.com/kabench/kabench/results"
)

// Limits of the lives that a page shows, and of the memory of each.
const (
	maxFailedLanes = 60   // a sample of the connections with failures
	maxOtherLanes  = 24   // a sample of the other connections
	maxOfKind      = 3    // the first connections of each kind of failure are always shown
	maxPinned      = 40   // the maximum number of these and of connections with evidence
	maxStays       = 48   // the last exchanges of a connection
	maxUnconnected = 32   // a sample of the failures that never had a connection
	maxFailures    = 6    // failures of a connection that stay although maxStays exchanges came later
	maxRemembered  = 4096 // connections that are remembered in case they fail
)

// outcome is how an exchange or an attempt ended.
type outcome struct {
	phase results.Phase
	cause results.Cause
}

func (o outcome) String() string { return o.phase.String() + " / " + o.cause.String() }

// stay is an exchange's time on a connection, as kept.
type stay struct {
	seq                uint64
	use                int
	leased, done, idle time.Duration
	outcome            outcome // zero: ok, or not failed
	again              bool    // it was an attempt that was repeated
	failure            *results.Exchange
}

func (s *stay) failed() bool { return s.outcome != outcome{} }

// life is what is kept of a connection.
type life struct {
	conn     uint64
	opened   time.Duration // results.Never: not known
	stays    []stay        // a ring of the last ones
	next     int           // next place in the ring, once it is full
	failures []stay        // the first failures that the ring has lost
	last     outcome       // of the last failure on it
	end      *results.ConnectionEnd
	kept     bool
	failed   bool
}

// add keeps s, and forgets the oldest stay if there are too many.
func (l *life) add(s stay) {
	if len(l.stays) < maxStays {
		l.stays = append(l.stays, s)
		return
	}
	if lost := l.stays[l.next]; lost.failed() && len(l.failures) < maxFailures {
		l.failures = append(l.failures, lost)
	}
	l.stays[l.next] = s
	l.next = (l.next + 1) % maxStays
}

// lifelines gathers Lifelines. Its memory is bounded: it remembers the last exchanges
// of at most twice maxRemembered connections, and keeps the connections that are shown
// in addition.
type lifelines struct {
	young, old        map[uint64]*life // remembered, by when they were last used
	kept              map[uint64]*life
	pinned            []*life
	failing           sample
	others            sample
	kinds             map[outcome]int // number of pinned connections, by the failure that pinned them
	unconnectedFirst  []stay          // failures without a connection: the first of each kind
	unconnectedKinds  map[outcome]int
	unconnectedSample []stay                      // a sample of the other failures without a connection, by the hash of their numbers
	worst             int                         // index in unconnectedSample of the failure to replace first
	highest           uint64                      // highest number of a connection
	first             uint64                      // connections whose first exchange was observed
	evidence          map[uint64]results.Evidence // by the exchange's number
	poolIdle          time.Duration               // the pool's idle timeout; 0: none
	drawn             map[outcome]int             // failures drawn from stamps, by kind
	unknown           string                      // why the end of a connection on which nothing failed is not known
}

// newLifelines makes the Lifelines of a run whose record has one in oneIn successes.
func newLifelines(oneIn uint64) *lifelines {
	return &lifelines{
		young: map[uint64]*life{}, old: map[uint64]*life{}, kept: map[uint64]*life{},
		failing: sample{limit: maxFailedLanes, oneIn: 1}, others: sample{limit: maxOtherLanes, oneIn: oneIn},
		kinds: map[outcome]int{}, unconnectedKinds: map[outcome]int{}, evidence: map[uint64]results.Evidence{},
	}
}

// observe adds an exchange that was started and is over.
func (ls *lifelines) observe(e *results.Exchange) {
	for i := range e.Tries {
		t := &e.Tries[i]
		ls.put(e, t.Conn, results.Never, stay{
			seq: e.Seq, use: t.Use, leased: t.Leased, done: t.Done, idle: t.Idle, outcome: outcome{t.Phase, t.Cause}, again: true,
		})
	}
	s := stay{seq: e.Seq, use: e.Use, leased: e.Leased, done: e.Done, idle: e.Idle}
	if e.Failed() {
		s.outcome = outcome{e.Phase, e.Cause}
	}
	opened := e.Leased - e.Age
	switch {
	case e.Connected != results.Never:
		opened = e.Connected
	case e.Leased == results.Never || e.Age == 0:
		opened = results.Never
	}
	ls.put(e, e.Conn, opened, s)
}

// put adds s to the life of the connection numbered conn.
func (ls *lifelines) put(e *results.Exchange, conn uint64, opened time.Duration, s stay) {
	if s.done == results.Never {
		s.done = max(s.leased, e.Start)
	}
	if conn == 0 {
		if s.failed() {
			ls.unconnected(s, e)
		}
		return
	}
	ls.highest = max(ls.highest, conn)
	if s.use == 1 {
		ls.first++
	}
	l := ls.life(conn)
	if l.opened == results.Never {
		l.opened = opened
	}
	if s.failed() {
		l.last = s.outcome
		ls.fail(l, &s, e)
	} else if !l.kept && ls.others.wants(conn) && s.use <= 1 {
		ls.keep(l)
		ls.drop(ls.others.put(l))
	}
	l.add(s)
}

// unconnected keeps s, which failed without a connection, if it is among the first of
// its kind or in the sample of the others.
func (ls *lifelines) unconnected(s stay, e *results.Exchange) {
	s.leased = e.Start
	first := ls.unconnectedKinds[s.outcome] < maxOfKind && len(ls.unconnectedFirst) < maxUnconnected
	switch {
	case !first && len(ls.unconnectedSample) == maxUnconnected && hash(s.seq) >= hash(ls.unconnectedSample[ls.worst].seq):
		return
	case first:
		ls.unconnectedKinds[s.outcome]++
	}
	s.failure = clone(e)
	switch {
	case first:
		ls.unconnectedFirst = append(ls.unconnectedFirst, s)
		return
	case len(ls.unconnectedSample) < maxUnconnected:
		ls.unconnectedSample = append(ls.unconnectedSample, s)
	default:
		ls.unconnectedSample[ls.worst] = s
	}
	for i := range ls.unconnectedSample {
		if hash(ls.unconnectedSample[i].seq) > hash(ls.unconnectedSample[ls.worst].seq) {
			ls.worst = i
		}
	}
}

// fail decides whether the life on which s failed is shown.
func (ls *lifelines) fail(l *life, s *stay, e *results.Exchange) {
	_, shown := ls.evidence[e.Seq]
	first := ls.kinds[s.outcome] < maxOfKind
	if (shown || first) && !l.failed && len(ls.pinned) < maxPinned {
		ls.kinds[s.outcome]++
		ls.release(l)
		ls.keep(l)
		ls.pinned = append(ls.pinned, l)
	} else if !l.failed && ls.failing.wants(l.conn) {
		ls.release(l)
		ls.keep(l)
		ls.drop(ls.failing.put(l))
	}
	l.failed = true
	if l.kept {
		s.failure = clone(e)
	}
}

// keep makes l a life that is shown.
func (ls *lifelines) keep(l *life) {
	l.kept = true
	ls.kept[l.conn] = l
	delete(ls.young, l.conn)
	delete(ls.old, l.conn)
}

// release removes l from the sample of lives without a failure.
func (ls *lifelines) release(l *life) {
	if i := slices.Index(ls.others.lives, l); i >= 0 {
		heap.Remove(&ls.others, i)
	}
}

// drop makes l, if it is not nil, a life that is no longer shown. It is still
// remembered, because something may fail on it later.
func (ls *lifelines) drop(l *life) {
	if l != nil {
		l.kept = false
		delete(ls.kept, l.conn)
		ls.remember(l)
	}
}

// remember makes l the life used last, and forgets lives not used for long if there
// are too many.
func (ls *lifelines) remember(l *life) {
	if len(ls.young) >= maxRemembered {
		ls.young, ls.old = map[uint64]*life{}, ls.young
	}
	delete(ls.old, l.conn)
	ls.young[l.conn] = l
}

// life returns the life of the connection numbered conn.
func (ls *lifelines) life(conn uint64) *life {
	if l := ls.kept[conn]; l != nil {
		return l
	}
	if l := ls.young[conn]; l != nil {
		return l
	}
	l := ls.old[conn]
	if l == nil {
		l = &life{conn: conn, opened: results.Never}
	}
	ls.remember(l)
	return l
}

// clone is a copy of e that stays valid when e is overwritten.
func clone(e *results.Exchange) *results.Exchange {
	c := *e
	c.Tries = slices.Clone(e.Tries)
	if e.AtLease != nil {
		info := *e.AtLease
		c.AtLease = &info
	}
	if e.AtFailure != nil {
		info := *e.AtFailure
		c.AtFailure = &info
	}
	return &c
}

// data returns the lives to show, lives with failures first, with at most budget
// stays in total.
func (ls *lifelines) data(budget int) []Lane {
	lives := slices.Concat(ls.pinned, ls.failing.lives, ls.others.lives)
	slices.SortFunc(lives, func(a, b *life) int {
		if a.failed != b.failed {
			return map[bool]int{true: -1, false: 1}[a.failed]
		}
		return cmp.Compare(a.conn, b.conn)
	})
	ls.drawn = map[outcome]int{}
	each := max(budget/max(len(lives), 1), 2)
	lanes := []Lane{}
	if len(ls.unconnectedFirst) > 0 {
		lanes = append(lanes, ls.lane(&life{stays: slices.Concat(ls.unconnectedFirst, ls.unconnectedSample), opened: results.Never, failed: true}, 2*maxUnconnected))
	}
	for _, l := range lives {
		lanes = append(lanes, ls.lane(l, each))
	}
	return lanes
}

// lane is l as shown, with at most most exchanges: the last ones, and failed ones.
func (ls *lifelines) lane(l *life, most int) Lane {
	stays := slices.Concat(l.failures, l.stays)
	slices.SortStableFunc(stays, func(a, b stay) int { return cmp.Compare(a.leased, b.leased) })
	for i := 0; i < len(stays) && len(stays) > most; {
		if stays[i].failed() {
			i++
			continue
		}
		stays = slices.Delete(stays, i, i+1)
	}
	d := Lane{Conn: l.conn, Opened: seconds(l.opened), Exchanges: []Stay{}, How: ls.how(l), End: ls.laneEnd(l)}
	if l.opened == results.Never && l.end != nil {
		d.Opened = seconds(l.end.Opened)
	}
	if d.End != nil {
		d.Ended = d.End.At
	}
	for _, s := range stays {
		d.Ended = max(d.Ended, seconds(s.done))
		d.Exchanges = append(d.Exchanges, ls.stay(l, s))
	}
	return d
}

func (ls *lifelines) stay(l *life, s stay) Stay {
	d := Stay{Seq: s.seq, Use: s.use, Leased: seconds(s.leased), Done: seconds(s.done), Idle: seconds(s.idle), Failed: s.failed()}
	if !d.Failed {
		return d
	}
	d.Outcome = s.outcome.String()
	if s.again {
		d.Outcome += ", made again"
	}
	if s.failure != nil {
		d.Facts = facts(s.failure)
		d.Ladder = stampLadder(s.failure)
		if drawn, ok := raceOfStamps(s.failure, l.end); ok && ls.drawn[s.outcome] < maxOfKind {
			ls.drawn[s.outcome]++
			d.Race = drawn.svg("The failure, drawn from the client\u2019s stamps: time runs down, to scale")
		}
	}
	if e, found := ls.evidence[s.seq]; found && (e.Conn == l.conn || e.Conn == 0) {
		d.Ladder = packetLadder(e)
		d.Packets = true
		d.Race = raceOf(e, l.end != nil && l.end.Server == "idle_timeout").svg("The last packets of the connection, drawn: time runs down, to scale")
	}
	return d
}

// seconds is d in seconds, to the µs; -1 for results.Never.
func seconds(d time.Duration) float64 {
	if d == results.Never {
		return -1
	}
	return round(d.Seconds(), 1e6)
}
