package pool_test

import (
	"fmt"
	"time"

	"github.com/kabench/kabench/dialers/pool"
)

// A pool of one connection: the second request waits, takes the connection when
// it is given back, and leaves it idle until it has expired.
func Example() {
	policy := pool.Default()
	policy.MaxConns = 1
	policy.IdleTimeout = 5 * time.Second
	p := pool.New(policy, 1)
	origin := p.AddOrigin()
	show := func(at time.Duration, event string, decisions []pool.Decision) {
		fmt.Printf("%2v %-28s", at, event)
		for _, d := range decisions {
			fmt.Print("-> ", d.Kind)
			if d.Request != nil {
				fmt.Print(" ", d.Request.Data)
			}
			if d.Kind == pool.DoClose {
				fmt.Print(" (", d.Reason, ")")
			}
			fmt.Print(" ")
		}
		fmt.Println("|", p.Stats())
	}

	a, b, c := &pool.Request{Data: "a", Origin: origin}, &pool.Request{Data: "b", Origin: origin}, &pool.Request{Data: "c", Origin: origin}
	ds := p.Acquire(0, a)
	show(0, "a wants a connection", ds)
	dial := ds[0].Dial
	show(0, "b wants one, too", p.Acquire(0, b))

	conn, ds := p.Dialed(time.Second, dial, "a socket")
	show(time.Second, "a's dial is done", ds)
	show(2*time.Second, "a's response is complete", p.Release(2*time.Second, conn, pool.Keep, pool.NoHint))
	show(3*time.Second, "b's response is complete", p.Release(3*time.Second, conn, pool.Keep, pool.NoHint))
	show(8*time.Second, "c wants a connection", p.Acquire(8*time.Second, c))

	// Output:
	// 0s a wants a connection        -> dial a | idle 0, leased 0, dialing 1, pending 0
	// 0s b wants one, too            | idle 0, leased 0, dialing 1, pending 1
	// 1s a's dial is done            -> lease a | idle 0, leased 1, dialing 0, pending 1
	// 2s a's response is complete    -> lease b | idle 0, leased 1, dialing 0, pending 0
	// 3s b's response is complete    | idle 1, leased 0, dialing 0, pending 0
	// 8s c wants a connection        -> close (expired) -> dial c | idle 0, leased 0, dialing 1, pending 0
}
