package pool

import (
	"testing"
	"time"
)

// leasedCore is a core with n idle connections and one leased.
func leasedCore(policy Policy, n int) (*Core, *Conn) {
	p := New(policy, 1)
	p.AddOrigin()
	var conns []*Conn
	for range n + 1 {
		r := &Request{}
		d := p.Acquire(0, r)[0].Dial
		c, _ := p.Dialed(0, d, nil)
		conns = append(conns, c)
	}
	for _, c := range conns[1:] {
		p.Release(0, c, Keep, NoHint)
	}
	return p, conns[0]
}

// Acquire and release of an idle connection, among ten thousand.
func BenchmarkAcquireRelease(b *testing.B) {
	for _, order := range []Order{LIFO, FIFO, FirstFit} {
		for _, expiry := range []Expiry{ExpireAtLease, ExpireByTimer} {
			b.Run(order.String()+" "+expiry.String(), func(b *testing.B) {
				policy := Default()
				policy.LeaseOrder, policy.Expiry, policy.IdleTimeout = order, expiry, time.Hour
				p, _ := leasedCore(policy, 10_000)
				r := &Request{}
				b.ReportAllocs()
				for b.Loop() {
					c := p.Acquire(0, r)[0].Conn
					p.Release(0, c, Keep, NoHint)
				}
			})
		}
	}
}

// The same with 100,000 requests waiting: the released connection goes to the
// first of them, and another takes its place at the end.
func BenchmarkReleaseToAWaiter(b *testing.B) {
	policy := Default()
	policy.MaxConns, policy.PendingTimeout = 1, time.Hour
	p, c := leasedCore(policy, 0)
	for range 100_000 {
		p.Acquire(0, &Request{})
	}
	b.ReportAllocs()
	for b.Loop() {
		r := p.Release(0, c, Keep, NoHint)[0].Request
		p.Acquire(0, r)
	}
}
