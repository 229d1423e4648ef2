package pool

import (
	"slices"
	"testing"
	"time"
)

// The first of the candidates is the connection that the next request is leased, and asking
// for them changes nothing.
func TestCandidatesAreLeased(t *testing.T) {
	for _, order := range []Order{LIFO, FIFO, FirstFit, LastFit} {
		policy := Default()
		policy.LeaseOrder, policy.Expiry, policy.IdleTimeout = order, ExpireAtLease, 10*time.Second
		p := New(policy, 1)
		p.AddOrigin()
		if len(slices.Collect(p.Candidates(0, 0))) != 0 {
			t.Errorf("%v: an empty pool has candidates", order)
		}
		var conns []*Conn
		for range 4 {
			c, _ := p.Dialed(0, p.Acquire(0, &Request{})[0].Dial, nil)
			conns = append(conns, c)
		}
		for i, c := range []*Conn{conns[2], conns[0], conns[3], conns[1]} {
			p.Release(time.Duration(i)*time.Second, c, Keep, NoHint)
		}
		// After 11.5 s two have been idle for too long.
		for _, now := range []time.Duration{4 * time.Second, 11500 * time.Millisecond, time.Minute} {
			list := slices.Collect(p.Candidates(now, 0))
			if again := slices.Collect(p.Candidates(now, 0)); !slices.Equal(list, again) {
				t.Errorf("%v: two looks differ", order)
			}
			if order <= FIFO && now == 4*time.Second && len(list) != 4 {
				t.Errorf("%v: %d candidates of 4 idle connections", order, len(list))
			}
		}
		var want *Conn
		for c := range p.Candidates(4*time.Second, 0) {
			want = c
			break
		}
		if got := p.Acquire(4*time.Second, &Request{})[0].Conn; got != want {
			t.Errorf("%v: leased connection %d, the candidate was %d", order, got.id, want.id)
		}
	}
}
