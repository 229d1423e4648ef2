package lint

import (
	"container/heap"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/profiles"
)

// returns are leased connections by when they come back.
type returns []lease

type lease struct {
	at   time.Duration
	conn *pool.Conn
}

func (r returns) Len() int           { return len(r) }
func (r returns) Less(i, j int) bool { return r[i].at < r[j].at }
func (r returns) Swap(i, j int)      { r[i], r[j] = r[j], r[i] }
func (r *returns) Push(x any)        { *r = append(*r, x.(lease)) }
func (r *returns) Pop() any {
	last := (*r)[len(*r)-1]
	*r = (*r)[:len(*r)-1]
	return last
}

// openedShare is the share of n requests for which the real pool opens a
// connection, on virtual time: gap comes before each, held after it.
func openedShare(maxIdle, n int, gap, held func(i int) time.Duration) float64 {
	policy := pool.Default()
	policy.MaxIdle = maxIdle
	core := pool.New(policy, 1)
	core.AddOrigin()
	var out returns
	now, opened := time.Duration(0), 0
	for i := range n {
		now += gap(i)
		for len(out) > 0 && out[0].at <= now {
			l := heap.Pop(&out).(lease)
			core.Release(l.at, l.conn, pool.Keep, pool.NoHint)
		}
		decision := core.Acquire(now, &pool.Request{})[0]
		c := decision.Conn
		if decision.Kind == pool.DoDial {
			opened++
			c, _ = core.Dialed(now, decision.Dial, nil)
		}
		heap.Push(&out, lease{now + held(i), c})
	}
	return float64(opened) / float64(n)
}

// The figures of max-idle-churn, against the pool itself: 1/(max_idle+1) of the
// requests in Poisson traffic on a cap far below what is busy, no more than that
// nearer to it and in even traffic, and all beyond
// the cap only when requests come at the same moment.
func TestChurnIsWhatThePoolDoes(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	exp := func(mean time.Duration) time.Duration { return time.Duration(random.ExpFloat64() * float64(mean)) }
	const n, rate, held = 60_000, 1000, 20 * time.Millisecond // 20 busy
	for _, maxIdle := range []int{1, 2, 5, 10} {
		p := lintProfile(t, foreign("pool.idle_timeout=0", "pool.max_conns=none", "load.rate=1000/s", "load.max_in_flight=100000", "server.delay=20ms", fmt.Sprintf("pool.max_idle=%d", maxIdle))...)
		most, steady := newSubject(p, DefaultPorts).churn(20)
		most, steady = most/rate, steady/rate
		poisson := openedShare(maxIdle, n, func(int) time.Duration { return exp(time.Millisecond) }, func(int) time.Duration { return exp(held) })
		if poisson > 1.03*steady || maxIdle <= 2 && poisson < 0.9*steady || math.Abs(steady-1/float64(maxIdle+1)) > 1e-9 {
			t.Errorf("max_idle %d, Poisson: the pool opened %.3f of the requests, lint says %.3f", maxIdle, poisson, steady)
		}
		even := openedShare(maxIdle, n, func(int) time.Duration { return time.Millisecond }, func(int) time.Duration { return held + time.Duration(random.Int64N(int64(4*time.Millisecond))) })
		if even > steady {
			t.Errorf("max_idle %d, even arrivals: the pool opened %.3f of the requests, lint says %.3f", maxIdle, even, steady)
		}
		together := openedShare(maxIdle, n, func(i int) time.Duration {
			if i%20 == 0 {
				return 20 * time.Millisecond
			}
			return 0
		}, func(int) time.Duration { return held - time.Millisecond })
		if math.Abs(together-most) > 0.02 {
			t.Errorf("max_idle %d, twenty at once: the pool opened %.3f of the requests, lint says at most %.3f", maxIdle, together, most)
		}
	}
}

// What follows from a bound is not said as a certainty.
func TestPortsOfSteadyTraffic(t *testing.T) {
	sets := []string{"pool=go-default-transport", "load.rate=1000/s", "load.arrivals=constant", "server.delay=10ms", "server.idle_for_ever=true", "load.timeout=60s"}
	finding := func(more ...string) (f Finding) {
		p, err := profiles.LoadToCheck(append(sets, more...))
		if err != nil {
			t.Fatal(err)
		}
		for _, f = range findingsOf(p) {
			if f.Rule == RulePorts {
				return f
			}
		}
		t.Fatal("no finding about ports")
		return f
	}
	f := finding()
	for _, part := range []string{"at most 800/s new connections x 60s = 48000 ports", "in steady traffic up to about 333.3/s x 60s = 20000 ports"} {
		if !strings.Contains(f.Numbers[0], part) {
			t.Errorf("%q has no %q", f.Numbers[0], part)
		}
	}
	if !strings.HasPrefix(f.Seen, "not in steady traffic; if many requests come at the same moment") {
		t.Errorf("seen %q", f.Seen)
	}
	// 1667/s in steady traffic: the ports run out in steady traffic too.
	if f = finding("load.rate=5000/s"); !strings.HasPrefix(f.Seen, "from about 17s on in steady traffic") {
		t.Errorf("seen %q", f.Seen)
	}
}
