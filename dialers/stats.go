package dialers

import "github.com/kabench/kabench/dialers/pool"

// Stats are the gauges and counts of a Client. Its peaks are the sums of its
// shards' peaks.
type Stats struct {
	pool.Stats
	// Connections by whose FIN or RST was first, as our kernel saw it; it sees the
	// peer's when that arrives. They add up to those closed.
	ClosedByUs   uint64 // ours left before one of the peer's had come
	ClosedByPeer uint64 // the peer's FIN had come
	ClosedReset  uint64 // the peer's RST had come with no FIN before it
	// ClosedUnknown are those nobody can tell of from here: the two FINs crossed, or
	// ours still waited behind data that the peer had no room for.
	ClosedUnknown uint64
	// TLS connections by whose close_notify alert was first. It goes before that
	// side's FIN, and says nothing of whose FIN is first.
	NotifiedByUs   uint64 // ours left before we had read one
	NotifiedByPeer uint64 // we had read the peer's
}

// Stats returns the gauges and counts as they are now. It may be called from any
// goroutine.
func (c *Client) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	var sum Stats
	for _, s := range c.shards {
		sum.add(s)
	}
	return sum
}

func (sum *Stats) add(s *shard) {
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
	sum.ClosedByUs += s.closed[CloserUs]
	sum.ClosedByPeer += s.closed[CloserPeer]
	sum.ClosedReset += s.closed[CloserReset]
	sum.ClosedUnknown += s.closed[CloserUnknown]
	sum.NotifiedByUs += s.notified.us
	sum.NotifiedByPeer += s.notified.peer
}
