package dialers

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/results"
)

// Pool keeps connections under a policy. It is one or more shards, each a
// pool.Core with sockets, goroutines and the real clock around it. It is safe
// for use by many goroutines.
type Pool struct {
	policy pool.Policy
	dialer *Dialer
	epoch  time.Time
	shards []*shard
	turn   atomic.Uint64 // chooses the shard of the next request
	conns  atomic.Uint64 // numbers connections
	ctx    context.Context
	cancel context.CancelFunc // ends dials that nobody waits for
	keys   addresses
}

// Stats are the gauges and counts of a Pool. Its peaks are the sums of its
// shards' peaks.
type Stats struct {
	pool.Stats
	ClosedByUs   uint64 // we closed first
	ClosedByPeer uint64 // the peer's FIN or close_notify came first
	ClosedReset  uint64 // the peer's RST came with no FIN before it
}

// NewPool returns an empty pool. Stamps are offsets from epoch, the start of
// the run. The policy must be valid.
func NewPool(policy pool.Policy, dialer *Dialer, epoch time.Time) *Pool {
	p := &Pool{policy: policy, dialer: dialer, epoch: epoch}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	for i := range max(policy.Shards, 1) {
		p.shards = append(p.shards, newShard(p, uint64(i)))
	}
	return p
}

func (p *Pool) now() time.Duration { return time.Since(p.epoch) }

// Stats returns the gauges and counts as they are now.
func (p *Pool) Stats() Stats {
	var sum Stats
	for _, s := range p.shards {
		s.addTo(&sum)
	}
	return sum
}

// Close closes the connections, all of which must have been released, and
// returns when they are gone.
func (p *Pool) Close() {
	p.cancel()
	for _, s := range p.shards {
		s.close()
	}
}

// acquire leases a connection to o and stamps e. The error is a *RefusedError,
// a *DialError, or that of ctx while waiting. The zero deadline is none.
func (p *Pool) acquire(ctx context.Context, o Origin, want wish, e *results.Exchange, deadline time.Time) (*Conn, error) {
	s := p.shards[0]
	if len(p.shards) > 1 {
		s = p.shards[p.turn.Add(1)%uint64(len(p.shards))]
	}
	if p.policy.Key == pool.ByAddress {
		var err error
		if o, err = p.keys.resolve(ctx, p.dialer, o); err != nil {
			return nil, &DialError{results.PhaseResolve, err}
		}
	}
	return s.acquire(ctx, o, want, e, deadline)
}

// wish is what a request wants beside a connection.
type wish struct {
	safe  bool // it is a GET, which probe_unsafe_only does not probe for
	fresh bool // a new connection
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
