package dialers

import (
	"context"
	"fmt"
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
// policy's resend rules say, and records every attempt that failed before the
// last one in Exchange.Tries.
//
// It is a generator.Engine. Everything is done on the goroutine that calls Start
// and Wait: no request or response is handed from one thread to another. Only
// name lookups, TLS handshakes, and all connections where package poll has no sockets,
// have goroutines of their own, which leave what they have done for the next Wait.
type Client struct {
	// Tracer, if set before Begin or the first Do, is called for each change to a
	// connection, while the Client is busy with it: it must return at once, and not
	// call the Client.
	Tracer func(TraceEvent)
	// Ended, if set like Tracer and under the same conditions, is called once for each
	// connection, when it is closed. It must not keep what it is called with.
	Ended func(*results.ConnectionEnd)

	policy      pool.Policy
	dialer      *Dialer
	requests    []*Request    // Exchange.Target chooses one
	timeout     time.Duration // from due to done; 0: none
	epoch       time.Time
	watchesIdle bool // idle connections are read, by Liveness events
	hasTimers   bool // the policy has rules that act as time passes

	over             func(*results.Exchange)
	stopContextWatch func() bool // ends the watch on Begin's context, which may outlive the Client
	aborting         atomic.Bool
	loop             *engine
	doLoop           doLoop
	buf              []byte // what is read at once

	mu        sync.Mutex    // guards all below; held by the loop, and by Stats, Idles and Close
	stamp     time.Duration // the time that stamps are given: see clock
	pools     pools
	exchanges exchanges
	dials     map[*dialing]struct{} // under way
	conns     uint64                // made so far
	decisions []decision            // to be carried out
	evidence  evidence
	idles     idles
	leaks     leaks
	budget    pool.Budget           // of re-sends
	end       results.ConnectionEnd // room for Ended
}

// Config is what a Client is made of.
type Config struct {
	// Policy says how connections are pooled. Start from pool.Default.
	Policy pool.Policy
	// Dialer makes the connections; nil: the zero Dialer.
	Dialer *Dialer
	// Requests are what may be sent: Exchange.Target is an index into them.
	Requests []*Request
	// Timeout bounds an exchange from due to done; 0: no bound.
	Timeout time.Duration
	// LeakEvery has the caller leave every response of this number half-read, so that its
	// connection is not given back; see generator.Load. 0: none.
	LeakEvery int
}

// exchanges are the exchanges that a Client has.
type exchanges struct {
	underWay   []*exchange
	waiting    int // how many wait for a connection: the loop reads it without mu
	free       []*exchange
	finished   []finished // not delivered yet
	delivering []finished // the last batch, whose room is used again; deliver's
}

// finished is an exchange that is over, and the function to call with it.
type finished struct {
	e    *results.Exchange
	over func(*results.Exchange)
}

// decision is a decision of a shard's rules. If a failed dial led to it, err is the
// dial's error.
type decision struct {
	pool.Decision
	shard *shard
	err   error
}

// readSize is how much is read at once. Where less has come, the socket is
// empty, and a read to find that out is saved.
const readSize = 64 << 10

// NewClient returns a Client without connections. The error says what is wrong
// with the config, or that the machine has no descriptor left. Stamps are offsets
// from the epoch of Begin. A Client that is used by Do alone counts from now.
func NewClient(config Config) (*Client, error) {
	if err := config.Policy.Validate(); err != nil {
		return nil, fmt.Errorf("the pool's policy is not valid: %w", err)
	}
	if config.Timeout < 0 {
		return nil, fmt.Errorf("the timeout %v is negative (0 means none)", config.Timeout)
	}
	if config.LeakEvery < 0 {
		return nil, fmt.Errorf("%d: no response can be left half-read that often (0 means none)", config.LeakEvery)
	}
	if config.Dialer == nil {
		config.Dialer = &Dialer{}
	}
	loop, err := newEngine()
	if err != nil {
		return nil, err
	}
	policy := config.Policy
	c := &Client{
		policy: policy, dialer: config.Dialer, requests: config.Requests, timeout: config.Timeout, epoch: time.Now(),
		watchesIdle: policy.Liveness == pool.Events,
		hasTimers:   policy.PendingTimeout > 0 || policy.SweepEvery > 0 || policy.Expiry&pool.ExpireByTimer != 0,
		loop:        loop, dials: map[*dialing]struct{}{}, buf: make([]byte, readSize),
		leaks: leaks{every: uint64(config.LeakEvery)}, budget: policy.NewBudget(),
	}
	for i := range max(policy.Shards, 1) {
		c.pools.shards = append(c.pools.shards, &shard{core: pool.New(policy, uint64(i)), origins: map[Origin]int{}})
	}
	return c, nil
}

func (c *Client) now() time.Duration { return time.Since(c.epoch) }

// clock reads the clock for what is done next; mu is held. It is read where
// something may have taken time, and not for each stamp: that would cost as much
// as the rules do.
func (c *Client) clock() time.Duration {
	c.stamp = max(c.stamp, c.now())
	return c.stamp
}

// Begin implements generator.Engine.
func (c *Client) Begin(ctx context.Context, epoch time.Time, over func(*results.Exchange)) {
	c.epoch, c.over = epoch, over
	c.stopContextWatch = context.AfterFunc(ctx, func() {
		c.aborting.Store(true)
		c.Wake()
	})
}

// Start implements generator.Engine.
func (c *Client) Start(e *results.Exchange) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stamp = max(c.stamp, e.Start)
	c.begin(e, c.over)
	c.settle()
}

// begin starts e; mu is held.
func (c *Client) begin(e *results.Exchange, over func(*results.Exchange)) *exchange {
	var x *exchange
	if n := len(c.exchanges.free); n > 0 {
		x, c.exchanges.free = c.exchanges.free[n-1], c.exchanges.free[:n-1]
	} else {
		x = newExchange(c)
	}
	x.place = len(c.exchanges.underWay)
	c.exchanges.underWay = append(c.exchanges.underWay, x)
	x.begin(e, over)
	return x
}

// finish queues x's record for delivery, and keeps x for another exchange; mu is
// held.
func (c *Client) finish(x *exchange) {
	all := &c.exchanges
	all.finished = append(all.finished, finished{x.record, x.over})
	n := len(all.underWay) - 1
	last := all.underWay[n]
	all.underWay[x.place], last.place = last, x.place
	all.underWay[n] = nil
	all.underWay = all.underWay[:n]
	all.free = append(all.free, x)
}

// pollEvery is how often the sockets are looked at while starts are behind
// their schedule: often enough for responses to be stamped when they come, seldom
// enough for several to be taken at once.
const pollEvery = 100 * time.Microsecond

// Wait implements generator.Engine.
func (c *Client) Wait(until time.Duration) {
	if c.deliver() {
		until = 0
	}
	now := c.now()
	late := until >= 0 && now >= until
	every := pollEvery
	if c.exchanges.waiting > 0 {
		every /= 5 // a response frees a connection
	}
	if late && now-c.loop.lastPoll < every {
		return
	}
	d := poll.Forever
	if late {
		d = 0
	} else if next, any := c.next(until); any {
		d = max(next-now, 0)
	}
	n := c.loop.wait(now, d)
	c.mu.Lock()
	c.loop.lastPoll = c.clock()
	for i := range n {
		c.loop.tokens.deliver(c.loop.events[i])
		c.settle()
	}
	c.pass()
	c.mu.Unlock()
	c.deliver()
}

// pass does what is due besides events; mu is held.
func (c *Client) pass() {
	c.loop.inbox.take(c.settle)
	c.loop.expire(c.loop.lastPoll, c.settle)
	if c.hasTimers {
		now := c.stamp // not lastPoll: the rules may know a later time, and time must not decrease
		for _, s := range c.pools.shards {
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

// abort gives up all exchanges under way; mu is held. Those that wait for a
// connection of another exchange go first, so that the room that the others
// leave is not used for a dial.
func (c *Client) abort() {
	all := slices.Clone(c.exchanges.underWay)
	for _, waiting := range [...]bool{true, false} {
		for _, x := range all {
			// Giving up an earlier one may have ended it.
			if x.record != nil && (!waiting || x.stage == acquiring && x.own == nil) {
				x.abort()
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
	c.loop.nextTimer(sooner)
	if c.hasTimers {
		for _, s := range c.pools.shards {
			sooner(s.core.Next())
		}
	}
	return next, any
}

// deliver calls over for the exchanges that are over, and reports whether there
// were any. mu is not held meanwhile: over may start others.
func (c *Client) deliver() bool {
	any := false
	for {
		c.mu.Lock()
		batch := c.exchanges.finished
		c.exchanges.finished = c.exchanges.delivering[:0]
		c.mu.Unlock()
		for _, f := range batch {
			f.over(f.e)
		}
		c.exchanges.delivering = batch
		if len(batch) == 0 {
			return any
		}
		any = true
	}
}

// Do performs e and returns when it is over: for callers that have no open loop.
// When ctx is done the exchange is given up and ends as CauseAborted. Calls may
// overlap; they must not be mixed with Start and Wait.
func (c *Client) Do(ctx context.Context, e *results.Exchange) {
	c.doLoop.begin(func() { c.Wait(-1) })
	over := make(chan struct{})
	c.loop.Post(func() {
		c.clock()
		delivered := false // then e, and the exchange that x is, may be others
		x := c.begin(e, func(*results.Exchange) { delivered = true; close(over) })
		stop := context.AfterFunc(ctx, func() {
			c.loop.Post(func() {
				if !delivered && x.record == e { // it is still under way
					x.abort()
				}
			})
		})
		go func() {
			<-over
			stop()
		}()
	})
	<-over
}

// Wake implements generator.Engine.
func (c *Client) Wake() { c.loop.poller.Wake() }

// decide queues decisions of s's rules; mu is held.
func (c *Client) decide(s *shard, decisions []pool.Decision, err error) {
	for _, d := range decisions {
		c.decisions = append(c.decisions, decision{d, s, err})
	}
}

// settle carries out the decisions that are queued, and those that follow from
// them; mu is held.
func (c *Client) settle() {
	for i := 0; i < len(c.decisions); i++ {
		d := c.decisions[i]
		switch d.Kind {
		case pool.DoLease:
			d.Request.Data.(*exchange).leased(d.Conn)
		case pool.DoProbe:
			found := d.Conn.Data.(*connection).probe()
			c.decide(d.shard, d.shard.core.Probed(c.clock(), d.Conn, d.Request, found), nil)
		case pool.DoDial:
			d.Request.Data.(*exchange).dial(d.shard, d.Dial)
		case pool.DoRefuse:
			d.Request.Data.(*exchange).refused(d.Refusal, d.err)
		case pool.DoClose:
			d.Conn.Data.(*connection).close(d.Reason)
		}
	}
	c.decisions = c.decisions[:0]
}

// Close closes the connections and returns when they are closed. Every exchange
// must be over.
func (c *Client) Close() {
	c.doLoop.stop(c.Wake)
	if c.stopContextWatch != nil {
		c.stopContextWatch()
	}
	c.loop.cancel()
	c.mu.Lock()
	for _, s := range c.pools.shards {
		c.decide(s, s.core.Close(c.clock()), nil)
		for _, conn := range s.leaked {
			c.decide(s, s.core.Release(c.clock(), conn.entry, pool.Keep, pool.NoHint), nil)
		}
		s.leaked = nil
	}
	c.settle()
	for d := range c.dials {
		d.giveUp(context.Canceled)
	}
	c.settle()
	c.loop.closings.End()
	c.mu.Unlock()
	c.loop.running.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.loop.inbox.take(c.settle) // what goroutines had done in the meantime
	c.loop.running.Wait()
	c.loop.poller.Close()
}
