package forecast

import (
	"math/rand/v2"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/generator"
	"github.com/kabench/kabench/generator/limit"
	"github.com/kabench/kabench/results"
)

// The flows of events. Within each, delays are mostly the same.
const (
	ofAnswers = iota // answered, cut
	ofLimits         // expired
	ofDials          // dialed
	ofWindows        // window
	ofNotices        // noticed
	numFlows
)

// world is the client, the server and the way between them.
type world struct {
	*facts
	delays, lates *rand.Rand // what the server draws
	count         *counter

	now    time.Duration
	flows  [numFlows]queue
	first  [numFlows]time.Duration // of each flow
	tick   time.Duration           // when the first timer of a pool is due
	pools  []*shard
	turn   int // whose turn it is among the pools
	free   []*request
	began  time.Duration // when the world began, on the clock of the server's reloads
	failed results.Cause // why the last dial failed
	buffer []*request    // due, and waiting for a slot
	flying int
	slots  int             // how many may fly
	adapts *limit.Adaptive // what slots follows; nil: they are fixed

	server   server
	ports    ports
	exposure exposure
}

// shard is one of the client's pools.
type shard struct {
	core *pool.Core
	next time.Duration // when its first timer is due; never: it has none
}

// request is one request, through all of its attempts.
type request struct {
	pool.Request
	due, start, leased time.Duration
	granted            time.Duration // when the pool let it dial; Never: it did not
	idle               time.Duration // how long its connection had been idle
	buffered           time.Duration
	warmUp             bool
	sent, twice        bool   // its head has left once; its method is not idempotent, and it has left again
	turn               uint32 // counts its attempts, its leases and its end
	tries, fresh       int    // attempts that failed; of these on fresh connections
	attempts           int    // put on a connection
	inFlight           int    // how many were, when it started, itself included
	shard              *shard
	conn               *connection
	dial               *dialing
	failed             []results.Try
}

// connection is one connection, as both ends know it.
type connection struct {
	entry    *pool.Conn
	dialed   *dialing
	shard    *shard
	id       uint64
	turn     uint32 // counts its leases and its end
	busy     bool
	gone     bool
	uses     int           // responses
	epoch    uint64        // reloads of the server before it was accepted
	finish   time.Duration // when the server has sent the last response
	closes   time.Duration // when the server closes it; never: it does not
	end      ending        // how the client sees that it ended under a request
	lost     bool          // a request met its end, and was answered by a RST
	rst      bool          // the server closes it with a RST
	blind    time.Duration // for how long before its close the server does not read
	watchAt  time.Duration // when an event is planned for its window; never: none is
	inWindow bool
}

// dialing is a handshake under way.
type dialing struct {
	dial  *pool.Dial
	shard *shard
	x     *request // that asked for it
	begun time.Duration
	cause results.Cause // why it fails; CauseNone: it does not
	over  bool
}

// ending is how an attempt on a connection failed.
type ending struct {
	phase results.Phase
	cause results.Cause
	after pool.After
	idle  bool // the server had closed the connection while it was idle
}

func newWorld(f *facts, seed uint64, count *counter) *world {
	w := &world{facts: f, count: count, tick: never}
	w.delays, w.lates = rand.New(rand.NewPCG(seed, 0x666f7265)), rand.New(rand.NewPCG(seed, 0x6c617465))
	for i := range w.first {
		w.first[i] = never
	}
	w.slots = f.load.MaxInFlight
	if w.adapts = f.load.Limit.Adapt(seed); w.adapts != nil {
		w.slots = w.adapts.Now()
	}
	for i := range max(f.policy.Shards, 1) {
		s := &shard{core: pool.New(f.policy, seed+uint64(i)), next: never}
		s.core.AddOrigin()
		w.pools = append(w.pools, s)
	}
	w.ports.begin(f)
	w.exposure.begin(w)
	return w
}

// run starts each request when it is due, then waits until the last one is over. Requests
// count that are due after the warm-up. What happens to connections counts until the span's
// end. In a span that is a run of its own it counts from the beginning until all requests are
// over, and then the client closes the connections: so does the document of a run.
func (w *world) run(schedule generator.Schedule, s span, beat func(time.Duration) error) error {
	from, until := s.warmUp, s.warmUp+s.counts
	begun, arrivals := false, 0
	w.count.on = s.own
	for due := range schedule {
		if !begun && due >= from {
			w.advance(from)
			w.count.begin(w, s.own)
			begun = true
		}
		w.advance(due)
		w.arrive(due, due < from)
		if arrivals++; arrivals%perBeat == 0 && beat != nil {
			if err := beat(due); err != nil {
				return err
			}
		}
	}
	if !begun {
		w.advance(from)
		w.count.begin(w, s.own)
	}
	if w.load.Count == 0 {
		w.advance(max(until, w.now))
	}
	w.count.racing = false
	if !s.own {
		w.count.stop(w)
	}
	for w.flying > 0 || len(w.buffer) > 0 {
		at, flow := w.soonest()
		if at == never {
			break
		}
		w.step(at, flow)
	}
	if s.own {
		w.count.stop(w)
		w.count.shutDown()
	}
	w.count.end()
	return nil
}

// perBeat is how many requests there are from one call of beat to the next.
const perBeat = 1 << 17

// soonest is when the next event happens, and its flow; numFlows is the pools' timers.
func (w *world) soonest() (at time.Duration, flow int) {
	at, flow = w.tick, numFlows
	for i, t := range w.first {
		if t < at {
			at, flow = t, i
		}
	}
	return at, flow
}

// advance lets time pass.
func (w *world) advance(to time.Duration) {
	for {
		at, flow := w.soonest()
		if at > to {
			break
		}
		w.step(at, flow)
	}
	if w.exposure.open > 0 {
		w.exposure.pass(w, to)
	}
	w.now = to
}

func (w *world) step(at time.Duration, flow int) {
	if w.exposure.open > 0 {
		w.exposure.pass(w, at)
	}
	w.now = max(w.now, at)
	if flow == numFlows {
		w.ticks()
	} else {
		w.happen(flow)
	}
	if len(w.buffer) > 0 {
		w.fill()
	}
}

// happen carries out the next event of a flow.
func (w *world) happen(flow int) {
	q := &w.flows[flow]
	e := q.pop()
	w.first[flow] = q.first()
	switch e.kind {
	case answered:
		w.answered(e)
	case cut:
		w.cut(e)
	case expired:
		w.expired(e)
	case dialed:
		w.dialed(e.d)
	case window:
		w.exposure.opened(w, e)
	case noticed:
		w.noticed(e)
	}
}

func (w *world) plan(flow int, e event) {
	q := &w.flows[flow]
	q.push(e)
	if e.at < w.first[flow] {
		w.first[flow] = e.at
	}
}

// ticks lets the pools act whose timers are due.
func (w *world) ticks() {
	for _, s := range w.pools {
		if s.next <= w.now {
			w.decided(s, s.core.Tick(w.now))
		}
	}
}

// ask notes when the first timer of s is due.
func (w *world) ask(s *shard) {
	s.next = never
	if at, wanted := s.core.Next(); wanted {
		s.next = at
	}
	w.tick = s.next
	for _, other := range w.pools {
		w.tick = min(w.tick, other.next)
	}
}
