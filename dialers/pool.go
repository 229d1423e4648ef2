package dialers

import (
	"bufio"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/results"
)

// Pool keeps connections under a policy: pool.Core with sockets, goroutines and
// the real clock around it. It is safe for use by many goroutines.
type Pool struct {
	policy  pool.Policy
	dialer  *Dialer
	epoch   time.Time
	timed   bool           // the policy has rules that act as time passes
	running sync.WaitGroup // readers of watched connections, and closes under way
	waiters sync.Pool      // of *waiter

	mu      sync.Mutex // guards all below
	core    *pool.Core
	origins map[Origin]int
	timer   *time.Timer // calls tick; nil until first needed
	timerAt time.Duration
	nextID  uint64
	closed  closedBy
}

// closedBy counts connections by who ended them first.
type closedBy struct{ us, peer, reset uint64 }

// Stats are the gauges and counts of a Pool.
type Stats struct {
	pool.Stats
	ClosedByUs   uint64 // we closed first
	ClosedByPeer uint64 // the peer's FIN or close_notify came first
	ClosedReset  uint64 // the peer's RST came with no FIN before it
}

// NewPool returns an empty pool. Stamps are offsets from epoch, the start of
// the run. The policy must be valid.
func NewPool(policy pool.Policy, dialer *Dialer, epoch time.Time) *Pool {
	return &Pool{
		policy: policy, dialer: dialer, epoch: epoch,
		timed: policy.PendingTimeout > 0 || policy.SweepEvery > 0 || policy.Expiry&pool.ExpireByTimer != 0,
		core:  pool.New(policy), origins: map[Origin]int{},
		waiters: sync.Pool{New: func() any { return &waiter{answer: make(chan pool.Decision, 1)} }},
	}
}

func (p *Pool) now() time.Duration { return time.Since(p.epoch) }

// Stats returns the gauges and counts as they are now.
func (p *Pool) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Stats{p.core.Stats(), p.closed.us, p.closed.peer, p.closed.reset}
}

// RefusedError is a request that got no connection from the pool.
type RefusedError struct {
	Refusal pool.Refusal
	Limit   string // the setting behind it, in words
}

func (e *RefusedError) Error() string {
	return map[pool.Refusal]string{
		pool.QueueFull:      "the pending queue has reached its maximum size of ",
		pool.PendingTimeout: "no connection came free within pending_timeout ",
		pool.Closed:         "the pool is closed",
	}[e.Refusal] + e.Limit
}

func (p *Pool) refused(why pool.Refusal) error {
	switch why {
	case pool.QueueFull:
		return &RefusedError{why, fmt.Sprint(p.policy.PendingMax)}
	case pool.PendingTimeout:
		return &RefusedError{why, p.policy.PendingTimeout.String()}
	}
	return &RefusedError{Refusal: why}
}

// waiter is a request for a connection and the way its answer comes back. At
// any moment at most one answer is outstanding.
type waiter struct {
	request pool.Request
	answer  chan pool.Decision
}

// acquire leases a connection to o and stamps e. The error is a *RefusedError,
// a *DialError, or that of ctx while waiting. The zero deadline is none.
func (p *Pool) acquire(ctx context.Context, o Origin, e *results.Exchange, deadline time.Time) (*Conn, error) {
	w := p.waiters.Get().(*waiter)
	defer p.waiters.Put(w)
	w.request.Data = w
	p.decide(func(now time.Duration) []pool.Decision {
		w.request.Origin = p.origin(o)
		return p.core.Acquire(now, &w.request)
	})
	select {
	case d := <-w.answer:
		if d.Kind == pool.DoLease {
			return p.leased(d, e), nil // the common case needs no context of its own
		}
		w.answer <- d
	default:
	}
	if !deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
	}
	for {
		d, err := p.await(ctx, w)
		if err != nil {
			return nil, err
		}
		switch d.Kind {
		case pool.DoLease:
			return p.leased(d, e), nil
		case pool.DoProbe:
			found := d.Conn.Data.(*Conn).probe()
			p.decide(func(now time.Duration) []pool.Decision { return p.core.Probed(now, d.Conn, &w.request, found) })
		case pool.DoDial:
			return p.dial(ctx, o, w, e)
		default:
			return nil, p.refused(d.Refusal)
		}
	}
}

// leased stamps e with the connection it was given.
func (p *Pool) leased(d pool.Decision, e *results.Exchange) *Conn {
	c := d.Conn.Data.(*Conn)
	e.Leased = p.now()
	e.Conn, e.Use, e.Idle, e.Age = c.id, d.Conn.Uses, d.Conn.IdleFor, e.Leased-d.Conn.Created
	return c
}

// await returns the answer to w, or ctx's error when that is over first and
// nothing had been granted.
func (p *Pool) await(ctx context.Context, w *waiter) (pool.Decision, error) {
	select {
	case d := <-w.answer:
		return d, nil
	default:
	}
	select {
	case d := <-w.answer:
		return d, nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	taken := p.core.Cancel(&w.request)
	p.mu.Unlock()
	if taken {
		return pool.Decision{}, ctx.Err()
	}
	return <-w.answer, nil // it was granted at the same moment
}

// dial makes the connection the rules granted to w.
func (p *Pool) dial(ctx context.Context, o Origin, w *waiter, e *results.Exchange) (*Conn, error) {
	e.Leased = p.now()
	conn, raw, err := p.dialer.dial(ctx, o, p.now, e)
	if err != nil {
		p.decide(func(now time.Duration) []pool.Decision { return p.core.DialFailed(now, &w.request) })
		return nil, err
	}
	c := &Conn{pool: p, conn: conn, wire: raw, over: make(chan struct{}, 1), watched: p.policy.Liveness == pool.Events}
	c.in = input{conn: conn, wire: raw, room: -1}
	c.br = bufio.NewReader(&c.in)
	p.decide(func(now time.Duration) (ds []pool.Decision) {
		c.entry, ds = p.core.Dialed(now, &w.request)
		c.entry.Data = c
		p.nextID++
		c.id = p.nextID
		return ds
	})
	if c.watched {
		p.running.Add(1)
		go c.watch()
	}
	e.Conn, e.Use = c.id, 1
	return c, nil
}

// release gives c back, to be closed unless reason is Keep.
func (p *Pool) release(c *Conn, reason pool.Reason) {
	p.decide(func(now time.Duration) []pool.Decision { return p.core.Release(now, c.entry, reason) })
}

// connDied says that the peer ended c while no exchange was under way.
func (p *Pool) connDied(c *Conn, reason pool.Reason) {
	p.decide(func(now time.Duration) []pool.Decision { return p.core.Died(now, c.entry, reason) })
}

// Close closes the connections, all of which must have been released, and
// returns when they are gone.
func (p *Pool) Close() {
	p.decide(p.core.Close)
	p.running.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer != nil {
		p.timer.Stop()
	}
}

// origin is the number of o's sub-pool; mu is held.
func (p *Pool) origin(o Origin) int {
	n, known := p.origins[o]
	if !known {
		n = p.core.AddOrigin()
		p.origins[o] = n
	}
	return n
}

// decide asks the rules under the lock and does what they say outside it.
func (p *Pool) decide(event func(now time.Duration) []pool.Decision) {
	var few [4]pool.Decision
	p.mu.Lock()
	todo := append(few[:0], event(p.now())...)
	for _, d := range todo {
		if d.Kind == pool.DoClose {
			p.running.Add(1) // under the lock: Close, which comes later, waits for it
		}
	}
	p.arm()
	p.mu.Unlock()
	for _, d := range todo {
		if d.Kind == pool.DoClose {
			p.hangUp(d.Conn.Data.(*Conn))
		} else {
			d.Request.Data.(*waiter).answer <- d
		}
	}
}

// arm sets the timer to when the rules want to be asked again; mu is held.
func (p *Pool) arm() {
	if !p.timed {
		return
	}
	next, wanted := p.core.Next()
	switch {
	case !wanted || p.timer != nil && next == p.timerAt:
		return
	case p.timer == nil:
		p.timer = time.AfterFunc(next-p.now(), p.tick)
	default:
		p.timer.Reset(next - p.now())
	}
	p.timerAt = next
}

func (p *Pool) tick() {
	p.decide(func(now time.Duration) []pool.Decision {
		p.timerAt = -1 // it has fired: any next moment is a new one
		return p.core.Tick(now)
	})
}

// hangUp closes c's socket and counts who was first.
func (p *Pool) hangUp(c *Conn) {
	if _, plain := c.conn.(*wire); !plain {
		go p.closeAndCount(c) // TLS says goodbye first, and that write may block
		return
	}
	p.closeAndCount(c)
}

func (p *Pool) closeAndCount(c *Conn) {
	defer p.running.Done()
	end := c.close()
	p.mu.Lock()
	defer p.mu.Unlock()
	switch end {
	case pool.PeerClosed:
		p.closed.peer++
	case pool.Reset:
		p.closed.reset++
	default:
		p.closed.us++
	}
}
