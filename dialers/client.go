package dialers

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/internal/poll"
	"github.com/kabench/kabench/results"
)

// Client performs exchanges over connections that it keeps under a policy: one
// or more shards, each a pool.Core. It sends a request again only as the
// policy's resend rules say, and every attempt that came to nothing is in
// Exchange.Tries.
//
// It is a generator.Engine. Everything is done on the goroutine that calls Start
// and Wait: no request or response is handed from one thread to another on its
// way. Name lookups, TLS, and where package poll has no sockets all connections,
// are the exception: they have goroutines, which leave what they have done for
// the next Wait.
type Client struct {
	// Tracer, if set before Begin or the first Do, is told of each change to a
	// connection, in the middle of what the Client does: it must return at once,
	// and not call the Client.
	Tracer func(TraceEvent)

	policy   pool.Policy
	dialer   *Dialer
	requests []*Request    // Exchange.Target chooses one
	timeout  time.Duration // from due to done; 0: none
	epoch    time.Time
	watched  bool // idle connections are, by Liveness events
	timed    bool // the policy has rules that act as time passes

	over     func(*results.Exchange)
	begun    func() bool // forgets the context of Begin, which may outlive the Client
	aborting atomic.Bool
	waiting  int // exchanges that wait for a connection: the loop's, read without mu

	poller  *poll.Poller
	events  []poll.Event
	looked  time.Duration // when the poller was last asked
	inbox   inbox
	running sync.WaitGroup // goroutines
	ctx     context.Context
	cancel  context.CancelFunc // ends what the goroutines do
	serving serving
	told    []finished // the room of those told of last; deliver's

	mu       sync.Mutex    // guards all below, and is held by whoever acts on it: the loop, Stats or Close
	at       time.Duration // what time it is: see clock
	shards   []*shard
	turn     int // chooses the shard of the next request
	conns    uint64
	keys     addresses
	slots    slots
	dials    map[*dialing]struct{} // under way
	tasks    []*task               // under way
	free     []*task
	finished []finished // nobody has been told of them yet
	todo     []work
	byDue    timers // exchanges, by Timeout
	byAnswer timers // exchanges that wait for a response, by response_timeout
	byWord   timers // exchanges that hold their body back, by bodyHeldBack
	byDial   timers // dials, by the Dialer's Timeout
	buf      []byte
	evidence evidence
	idles    idles
}

// shard is one of the pools of a Client.
type shard struct {
	core    *pool.Core
	origins map[Origin]int // the numbers of sub-pools
	names   []Origin       // by number

	closed   [numClosers]uint64 // connections, by who ended them first
	notified notified
}

// notified counts TLS connections by whose close_notify was first.
type notified struct{ us, peer uint64 }

// work is a decision to be carried out, and the error of the dial that failed
// if that is what led to it.
type work struct {
	pool.Decision
	shard *shard
	err   error
}

// finished is an exchange that is over, and who is to be told.
type finished struct {
	e    *results.Exchange
	over func(*results.Exchange)
}

// readSize is how much is read at once. Where less has come, the socket is
// empty, and another read to find that out is saved.
const readSize = 64 << 10

// NewClient returns a Client without connections. The policy must be valid.
// Exchange.Target chooses among the requests; timeout is from due to done, 0
// for none; stamps are offsets from epoch, the start of the run. The error is
// of the machine: it has no descriptor left.
func NewClient(policy pool.Policy, dialer *Dialer, requests []*Request, timeout time.Duration, epoch time.Time) (*Client, error) {
	poller, err := poll.New()
	if err != nil {
		return nil, err
	}
	c := &Client{
		policy: policy, dialer: dialer, requests: requests, timeout: timeout, epoch: epoch,
		watched: policy.Liveness == pool.Events,
		timed:   policy.PendingTimeout > 0 || policy.SweepEvery > 0 || policy.Expiry&pool.ExpireByTimer != 0,
		poller:  poller, events: make([]poll.Event, poll.MaxEvents),
		dials: map[*dialing]struct{}{}, buf: make([]byte, readSize),
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	for i := range max(policy.Shards, 1) {
		c.shards = append(c.shards, &shard{core: pool.New(policy, uint64(i)), origins: map[Origin]int{}})
	}
	return c, nil
}

func (c *Client) now() time.Duration { return time.Since(c.epoch) }

// clock reads the clock for what is done next; mu is held. It is read where
// something may have taken time, and not for each stamp: that would cost as much
// as the rules do.
func (c *Client) clock() time.Duration {
	c.at = max(c.at, c.now())
	return c.at
}

// Begin implements generator.Engine. The epoch must be that of NewClient.
func (c *Client) Begin(ctx context.Context, _ time.Time, over func(*results.Exchange)) {
	c.over = over
	c.begun = context.AfterFunc(ctx, func() {
		c.aborting.Store(true)
		c.Wake()
	})
}

// Start implements generator.Engine.
func (c *Client) Start(e *results.Exchange) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = max(c.at, e.Start)
	c.begin(e, c.over)
	c.settle()
}

// begin starts e; mu is held.
func (c *Client) begin(e *results.Exchange, over func(*results.Exchange)) *task {
	t := c.newTask()
	t.e, t.req, t.over = e, c.requests[e.Target], over
	t.bytes = t.req.sent(e.Seq)
	if c.timeout > 0 {
		c.byDue.add(&t.due, e.Due+c.timeout)
	}
	t.again()
	return t
}

// lookEvery is how often the sockets are looked at while starts are behind
// their schedule: often enough for answers to be stamped when they come, seldom
// enough for several to be taken at once.
const lookEvery = 100 * time.Microsecond

// Wait implements generator.Engine.
func (c *Client) Wait(until time.Duration) {
	if c.deliver() {
		until = 0
	}
	now := c.now()
	late := until >= 0 && now >= until
	every := lookEvery
	if c.waiting > 0 {
		every /= 5 // an answer frees a connection
	}
	if late && now-c.looked < every {
		return
	}
	d := poll.Forever
	if late {
		d = 0
	} else if next, any := c.next(until); any {
		d = max(next-now, 0)
	}
	n := c.poller.Wait(c.events, d)
	c.mu.Lock()
	c.looked = c.clock()
	for i := range n {
		c.slots.tell(c.events[i])
		c.settle()
	}
	c.pass()
	c.mu.Unlock()
	c.deliver()
}

// pass does what is due beside events; mu is held.
func (c *Client) pass() {
	c.inbox.take(c.settle)
	now := c.looked
	c.byAnswer.expire(now, c.settle)
	c.byDue.expire(now, c.settle)
	c.byWord.expire(now, c.settle)
	c.byDial.expire(now, c.settle)
	if c.timed {
		now = c.at // the rules may have been told of it, and time does not decrease
		for _, s := range c.shards {
			if next, wanted := s.core.Next(); wanted && next <= now {
				c.decide(s, s.core.Tick(now), nil)
			}
		}
		c.settle()
	}
	if c.aborting.Load() {
		c.abort()
	}
}

// abort gives up all exchanges under way; mu is held. Those that wait for
// others' connections go first: what others leave room for is not dialed any
// more.
func (c *Client) abort() {
	all := slices.Clone(c.tasks)
	for _, waiting := range [...]bool{true, false} {
		for _, t := range all {
			// What was given up before it may have ended it.
			if t.e != nil && (!waiting || t.stage == acquiring && t.own == nil) {
				t.abort()
				c.settle()
			}
		}
	}
}

// next is the sooner of until and the next moment at which something is due.
func (c *Client) next(until time.Duration) (next time.Duration, any bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	next, any = until, until >= 0
	sooner := func(at time.Duration, wanted bool) {
		if wanted && (!any || at < next) {
			next, any = at, true
		}
	}
	sooner(c.byAnswer.next())
	sooner(c.byDue.next())
	sooner(c.byWord.next())
	sooner(c.byDial.next())
	if c.timed {
		for _, s := range c.shards {
			sooner(s.core.Next())
		}
	}
	return next, any
}

// deliver tells of the exchanges that are over. It reports whether there were
// any. The lock is not held meanwhile: who is told may start others.
func (c *Client) deliver() bool {
	told := false
	for {
		c.mu.Lock()
		batch := c.finished
		c.finished = c.told[:0]
		c.mu.Unlock()
		for _, f := range batch {
			f.over(f.e)
		}
		c.told = batch
		if len(batch) == 0 {
			return told
		}
		told = true
	}
}

// Wake implements generator.Engine.
func (c *Client) Wake() { c.poller.Wake() }

// post leaves f for the loop. It may be called from any goroutine.
func (c *Client) post(f func()) {
	c.inbox.put(f)
	c.poller.Wake()
}

// until is a context for a goroutine that is to give up at the deadline, or only
// when the Client is closed if that is zero.
func (c *Client) until(deadline time.Time) (context.Context, context.CancelFunc) {
	if deadline.IsZero() {
		return context.WithCancel(c.ctx)
	}
	return context.WithDeadline(c.ctx, deadline)
}

// decide queues decisions of s's rules; mu is held.
func (c *Client) decide(s *shard, decisions []pool.Decision, err error) {
	for _, d := range decisions {
		c.todo = append(c.todo, work{d, s, err})
	}
}

// settle carries out what is queued, and what comes of that; mu is held.
func (c *Client) settle() {
	for i := 0; i < len(c.todo); i++ {
		w := c.todo[i]
		switch w.Kind {
		case pool.DoLease:
			w.Request.Data.(*task).leased(w.Conn)
		case pool.DoProbe:
			found := w.Conn.Data.(*Conn).probe()
			c.decide(w.shard, w.shard.core.Probed(c.clock(), w.Conn, w.Request, found), nil)
		case pool.DoDial:
			w.Request.Data.(*task).dial(w.shard, w.Dial)
		case pool.DoRefuse:
			w.Request.Data.(*task).refused(w.Refusal, w.err)
		case pool.DoClose:
			w.Conn.Data.(*Conn).hangUp(w.Reason)
		}
	}
	c.todo = c.todo[:0]
}

// Close closes the connections and returns when they are gone. Every exchange
// must be over.
func (c *Client) Close() {
	c.serving.stop(c)
	if c.begun != nil {
		c.begun()
	}
	c.cancel()
	c.mu.Lock()
	for _, s := range c.shards {
		c.decide(s, s.core.Close(c.clock()), nil)
	}
	c.settle()
	for d := range c.dials {
		d.giveUp(context.Canceled)
	}
	c.settle()
	c.mu.Unlock()
	c.running.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inbox.take(c.settle) // what goroutines had done in the meantime
	c.running.Wait()
	c.poller.Close()
}
