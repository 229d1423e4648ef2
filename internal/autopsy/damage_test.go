package autopsy

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// traffic is a world of connections that carry some exchanges each, and are closed by
// the server when they have been idle for 5 s. On a share of them a request crosses the
// close; the number of these is returned.
func traffic(seed uint64, races int) (w *world, met int) {
	random := rand.New(rand.NewPCG(seed, 1))
	w = &world{}
	for n := range 600 {
		at := time.Duration(n) * 41 * time.Millisecond
		c := w.open(at)
		for range 1 + random.IntN(6) {
			at += time.Duration(50+random.IntN(900)) * time.Millisecond
			c.exchange(at, fmt.Sprintf("/%d", n))
		}
		if n%100 < races {
			c.races(5*time.Second, time.Duration(100+random.IntN(9000))*time.Microsecond, fmt.Sprintf("/late/%d", n))
			met++
			continue
		}
		c.ends(c.closes(5 * time.Second))
	}
	return w, met
}

// Races are found in damaged captures of either end, and none where there is none.
func TestDamagedCaptures(t *testing.T) {
	for _, atClient := range []bool{true, false} {
		for name, damage := range map[string]func(*rand.Rand, int, int) bool{
			"whole":         nil,
			"1 % missing":   func(r *rand.Rand, n, all int) bool { return r.IntN(100) == 0 },
			"a hole":        func(r *rand.Rand, n, all int) bool { return n > all/2 && n < all/2+all/100 },
			"the beginning": func(r *rand.Rand, n, all int) bool { return n < all/4 },
		} {
			for seed := uint64(1); seed <= 3; seed++ {
				for _, races := range []int{20, 0} {
					w, met := traffic(seed, races)
					random := rand.New(rand.NewPCG(seed, 2))
					missing := 0
					if damage != nil {
						w.damage = func(n int) bool {
							gone := damage(random, n, len(w.list))
							if gone {
								missing++
							}
							return gone
						}
					}
					v := examined(t, Options{Files: []string{w.capture(t, atClient, 0, 0)}})
					found := v.Met["crossed"]
					least := met
					switch {
					case name == "the beginning":
						least = met - w.gone // they came before the capture
					case damage != nil:
						least = (met*95 + 99) / 100
					}
					others := len(v.Failures) - found - v.Met["forgotten"]
					if found+v.Met["forgotten"] < least || found > met || others > 0 || races == 0 && v.Found {
						t.Errorf("at the client %v, %s, seed %d: %d of %d races were found, %v, %d packets are missing: %s", atClient, name, seed, found, met, v.Met, missing, v.Headline)
					}
					idle := v.Servers[0].Facts.Idle
					if idle.Low > 5*time.Second || idle.High < 5*time.Second || idle.High-idle.Low > 20*time.Millisecond {
						t.Errorf("at the client %v, %s, seed %d: the timer is %v to %v", atClient, name, seed, idle.Low, idle.High)
					}
				}
			}
		}
	}
}
