package dialers

import (
	"bufio"
	"context"
	"sync"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/results"
)

// shard is a pool.Core with sockets, goroutines and the real clock around it.
type shard struct {
	pool    *Pool
	timed   bool           // the policy has rules that act as time passes
	running sync.WaitGroup // readers of watched connections, dials nobody has to wait for, closes under way
	waiters sync.Pool      // of *waiter

	mu      sync.Mutex // guards all below
	core    *pool.Core
	origins map[Origin]int
	timer   *time.Timer // calls tick; nil until first needed
	timerAt time.Duration
	closed  closedBy
}

// closedBy counts connections by who ended them first.
type closedBy struct{ us, peer, reset uint64 }

func newShard(p *Pool, seed uint64) *shard {
	return &shard{
		pool:  p,
		timed: p.policy.PendingTimeout > 0 || p.policy.SweepEvery > 0 || p.policy.Expiry&pool.ExpireByTimer != 0,
		core:  pool.New(p.policy, seed), origins: map[Origin]int{},
		waiters: sync.Pool{New: func() any { return &waiter{answer: make(chan answer, 2)} }},
	}
}

func (s *shard) addTo(sum *Stats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.core.Stats()
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
	sum.ClosedByUs += s.closed.us
	sum.ClosedByPeer += s.closed.peer
	sum.ClosedReset += s.closed.reset
}

// waiter is a request for a connection and the way its answers come back: at
// most a DoDial and a last answer are outstanding.
type waiter struct {
	request pool.Request
	answer  chan answer
}

// answer is a decision about a waiter's request.
type answer struct {
	pool.Decision
	err error // of DoRefuse for DialFailed
}

// attempt is a dial: when its steps were done, and so what a request that has
// waited for it went through.
type attempt struct{ leased, resolved, connected, secured time.Duration }

// acquire is Pool.acquire in this shard.
func (s *shard) acquire(ctx context.Context, o Origin, want wish, e *results.Exchange, deadline time.Time) (*Conn, error) {
	w := s.waiters.Get().(*waiter)
	defer s.waiters.Put(w)
	w.request.Data, w.request.Safe, w.request.Fresh = w, want.safe, want.fresh
	s.decide(nil, func(now time.Duration) []pool.Decision {
		w.request.Origin = s.origin(o)
		return s.core.Acquire(now, &w.request)
	})
	var first *answer
	select {
	case a := <-w.answer:
		if a.Kind == pool.DoLease && !w.request.Granted() {
			return s.leased(a.Decision, nil, e), nil // the common case needs no context of its own
		}
		first = &a
	default:
	}
	if !deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
	}
	var own *attempt
	for {
		var a answer
		if first != nil {
			a, first = *first, nil
		} else {
			var err error
			if a, err = s.await(ctx, w, own); err != nil {
				return nil, err
			}
		}
		if a.Kind != pool.DoDial && own == nil && w.request.Granted() {
			// Another connection came sooner than the word that one may be dialed.
			// The dial is made all the same, and feeds the pool.
			unmet := <-w.answer
			own = &attempt{leased: s.pool.now()}
			s.running.Go(func() { s.dial(s.pool.ctx, o, unmet.Dial, own) })
		}
		switch a.Kind {
		case pool.DoLease:
			return s.leased(a.Decision, own, e), nil
		case pool.DoProbe:
			found := a.Conn.Data.(*Conn).probe()
			s.decide(nil, func(now time.Duration) []pool.Decision { return s.core.Probed(now, a.Conn, &w.request, found) })
		case pool.DoDial:
			own = &attempt{leased: s.pool.now()}
			e.Leased = own.leased
			if s.pool.policy.LateBind && !want.fresh {
				// It outlives this request, if that is served by another connection.
				s.running.Go(func() { s.dial(s.pool.ctx, o, a.Dial, own) })
			} else {
				s.dial(ctx, o, a.Dial, own)
			}
		default:
			if a.Refusal == pool.DialFailed {
				if own != nil {
					own.stamp(e)
				}
				return nil, a.err
			}
			return nil, s.pool.refused(a.Refusal)
		}
	}
}

// leased stamps e with the connection it was given; own is the dial made for
// it, if there was one.
func (s *shard) leased(d pool.Decision, own *attempt, e *results.Exchange) *Conn {
	c := d.Conn.Data.(*Conn)
	if own != nil && c.made == own {
		own.stamp(e)
	} else {
		e.Leased = s.pool.now()
		e.Age = e.Leased - d.Conn.Created
	}
	e.Conn, e.Use, e.Idle = c.id, d.Conn.Uses, d.Conn.IdleFor
	return c
}

func (a *attempt) stamp(e *results.Exchange) {
	e.Leased, e.Resolved, e.Connected, e.Secured = a.leased, a.resolved, a.connected, a.secured
	e.Age = 0
}

// await returns the next answer to w, or ctx's error when that is over first
// and no connection had been granted; own is the dial begun for it, if any.
func (s *shard) await(ctx context.Context, w *waiter, own *attempt) (answer, error) {
	select {
	case a := <-w.answer:
		return a, nil
	default:
	}
	select {
	case a := <-w.answer:
		return a, nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	taken := s.core.Cancel(&w.request)
	s.mu.Unlock()
	if !taken {
		return <-w.answer, nil // it was granted at the same moment
	}
	if own == nil && w.request.Granted() {
		// So was a dial, which nobody has begun and nobody will.
		unmet := <-w.answer
		s.decide(ctx.Err(), func(now time.Duration) []pool.Decision { return s.core.DialFailed(now, unmet.Dial) })
	}
	return answer{}, ctx.Err()
}

// dial makes a connection to o and tells the rules.
func (s *shard) dial(ctx context.Context, o Origin, d *pool.Dial, a *attempt) {
	p := s.pool
	conn, raw, err := p.dialer.dial(ctx, o, p.now, a)
	if err != nil {
		s.decide(err, func(now time.Duration) []pool.Decision { return s.core.DialFailed(now, d) })
		return
	}
	c := &Conn{
		id: p.conns.Add(1), shard: s, conn: conn, wire: raw, made: a,
		over: make(chan struct{}, 1), watched: p.policy.Liveness == pool.Events,
	}
	c.in = input{conn: conn, wire: raw, room: -1}
	c.br = bufio.NewReader(&c.in)
	s.decide(nil, func(now time.Duration) (ds []pool.Decision) {
		c.entry, ds = s.core.Dialed(now, d, c)
		if c.watched {
			s.running.Add(1)
			go c.watch()
		}
		return ds
	})
}

// release gives c back, to be closed unless reason is Keep.
func (s *shard) release(c *Conn, reason pool.Reason, hint time.Duration) {
	s.decide(nil, func(now time.Duration) []pool.Decision { return s.core.Release(now, c.entry, reason, hint) })
}

// connDied says that the peer ended c while no exchange was under way.
func (s *shard) connDied(c *Conn, reason pool.Reason) {
	s.decide(nil, func(now time.Duration) []pool.Decision { return s.core.Died(now, c.entry, reason) })
}

func (s *shard) close() {
	s.decide(nil, s.core.Close)
	s.running.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer != nil {
		s.timer.Stop()
	}
}

// origin is the number of o's sub-pool; mu is held.
func (s *shard) origin(o Origin) int {
	n, known := s.origins[o]
	if !known {
		n = s.core.AddOrigin()
		s.origins[o] = n
	}
	return n
}

// decide asks the rules under the lock and does what they say outside it. The
// error is that of the dial that failed, if that is the event.
func (s *shard) decide(failed error, event func(now time.Duration) []pool.Decision) {
	var few [4]pool.Decision
	s.mu.Lock()
	todo := append(few[:0], event(s.pool.now())...)
	for _, d := range todo {
		if d.Kind == pool.DoClose {
			s.running.Add(1) // under the lock: close, which comes later, waits for it
		}
	}
	s.arm()
	s.mu.Unlock()
	for _, d := range todo {
		if d.Kind == pool.DoClose {
			s.hangUp(d.Conn.Data.(*Conn))
		} else {
			d.Request.Data.(*waiter).answer <- answer{d, failed}
		}
	}
}

// arm sets the timer to when the rules want to be asked again; mu is held.
func (s *shard) arm() {
	if !s.timed {
		return
	}
	next, wanted := s.core.Next()
	now := s.pool.now()
	switch {
	case !wanted || s.timer != nil && next == s.timerAt:
		return
	case s.timer == nil:
		s.timer = time.AfterFunc(next-now, s.tick)
	default:
		s.timer.Reset(next - now)
	}
	s.timerAt = next
}

func (s *shard) tick() {
	s.decide(nil, func(now time.Duration) []pool.Decision {
		s.timerAt = -1 // it has fired: any next moment is a new one
		return s.core.Tick(now)
	})
}

// hangUp closes c's socket and counts who was first.
func (s *shard) hangUp(c *Conn) {
	if _, plain := c.conn.(*wire); !plain {
		go s.closeAndCount(c) // TLS says goodbye first, and that write may block
		return
	}
	s.closeAndCount(c)
}

func (s *shard) closeAndCount(c *Conn) {
	defer s.running.Done()
	end := c.close()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch end {
	case pool.PeerClosed:
		s.closed.peer++
	case pool.Reset:
		s.closed.reset++
	default:
		s.closed.us++
	}
}
