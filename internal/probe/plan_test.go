package probe

import (
	"slices"
	"testing"
	"time"
)

// A plan never promises more than its budget, and the default one has what the
// measurement needs.
func TestPlanKeepsItsBudget(t *testing.T) {
	for requests := 1; requests < 2000; requests += 1 + requests/30 {
		p := MakePlan(requests)
		if n := p.Requests(); n > requests {
			t.Errorf("%d requests: the plan sends %d", requests, n)
		}
		if requests >= wholePlan && p.Requests() != requests {
			t.Errorf("%d requests: the plan sends only %d", requests, p.Requests())
		}
		if n := p.Connections(); n > 45 {
			t.Errorf("%d requests: %d connections", requests, n)
		}
		if !slices.IsSortedFunc(p.Openings, func(a, b Opening) int { return int(a.At - b.At) }) {
			t.Errorf("%d requests: the openings are not in order", requests)
		}
		for _, o := range p.Openings {
			if o.At <= 0 || o.At > 3300*time.Millisecond || o.At%time.Second == 0 {
				t.Errorf("%d requests: a connection is opened at %v", requests, o.At)
			}
		}
	}
}

func TestTheDefaultPlan(t *testing.T) {
	p := MakePlan(DefaultRequests)
	count := map[Role]int{Used: 1} // the look
	asks := 0
	phases := map[time.Duration]bool{}
	for _, o := range p.Openings {
		count[o.Role]++
		if o.Role == Used || o.Role == Late {
			if o.Asks {
				asks++
			}
			if phase := o.At % time.Second / (2 * time.Millisecond); phases[phase] {
				t.Errorf("two connections are opened %v after a full second", o.At%time.Second)
			} else {
				phases[phase] = true
			}
		}
	}
	if count[Used] < 20 || count[Late] < 10 || count[Fresh] < 2 || count[Half] != 2 || count[UsedHalf] != 2 || count[Many] != 1 {
		t.Errorf("the plan has %v", count)
	}
	if all := count[Used] + count[Late]; asks < all/3 || asks > all*2/3 {
		t.Errorf("%d of %d ask to be kept", asks, all)
	}
}

// The ages of late requests lie around the closes, as early as a request must leave to
// arrive with the timer, and some well away from them.
func TestLateAges(t *testing.T) {
	const ms = time.Millisecond
	for name, test := range map[string]struct {
		idle        []time.Duration
		trip        time.Duration
		n           int
		first, last time.Duration // of those inside
	}{
		"exact":     {[]time.Duration{5000 * ms, 5001 * ms, 5002 * ms}, 0, 12, 4998 * ms, 5004 * ms},
		"spread":    {[]time.Duration{1000 * ms, 1500 * ms, 2900 * ms}, 0, 12, 998 * ms, 2902 * ms},
		"far":       {[]time.Duration{5000 * ms, 5001 * ms}, 100 * ms, 12, 4898 * ms, 5003 * ms},
		"few":       {[]time.Duration{5000 * ms}, 0, 2, 4998 * ms, 5002 * ms},
		"one":       {[]time.Duration{5000 * ms}, 0, 1, 4998 * ms, 5002 * ms},
		"very soon": {[]time.Duration{10 * ms}, 0, 12, 8 * ms, 12 * ms},
	} {
		t.Run(name, func(t *testing.T) {
			ages := lateAges(test.idle, test.trip, test.n)
			if len(ages) != test.n || !slices.IsSorted(ages) || ages[0] < 0 {
				t.Fatalf("the ages are %v", ages)
			}
			inside := 0
			for _, a := range ages {
				if test.first <= a && a <= test.last {
					inside++
				}
			}
			if want := test.n - min(3, test.n/3); inside != want {
				t.Errorf("%d of %v lie between %v and %v, want %d", inside, ages, test.first, test.last, want)
			}
			if mixed := spread(ages); len(mixed) != len(ages) {
				t.Errorf("mixed, %d ages are %d", len(ages), len(mixed))
			}
		})
	}
}

func TestKnown(t *testing.T) {
	k := &Known{Idle: []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 5 * time.Second}}
	if m := k.Median(); m != 3*time.Second {
		t.Errorf("the median is %v", m)
	}
	if k.Waiting = 1; k.timer() {
		t.Error("four closes and an open connection are enough")
	}
	if k.Waiting = 0; !k.timer() {
		t.Error("four closes are not enough although no connection is left")
	}
	if !(&Known{AtOnce: 3, AtOnceNot: 3}).keepsNone() || (&Known{AtOnce: 3, AtOnceNot: 3, Asked: 1}).keepsNone() || (&Known{AtOnceNot: 6}).keepsNone() {
		t.Error("whether a server keeps none is decided wrongly")
	}
	if !(&Known{AtOnce: 10, AtOnceNot: 10, Asked: 2}).keepsNone() || (&Known{AtOnce: 10, AtOnceNot: 10, Asked: 3}).keepsNone() {
		t.Error("one connection in ten may look kept, and no more")
	}
	if !(&Known{AtOnceNot: 3, Asked: 5}).mustAsk() || (&Known{AtOnceNot: 3, NotAsked: 1}).mustAsk() {
		t.Error("whether a server must be asked is decided wrongly")
	}
	if d := atMost(time.Minute); d > 66*time.Second+5*time.Second {
		t.Errorf("a probe of a minute may take %v", d)
	}
}

// A probe takes at most 1.1 times the timeout and 5 s. A server that looks at its timers
// once a second closes up to 1.9 s late, and the last late request comes behind that.
func TestPlanLeavesTimeForSlowTimers(t *testing.T) {
	const timeout, late, behind, start = 2 * time.Second, 1900 * time.Millisecond, 500 * time.Millisecond, 300 * time.Millisecond
	for _, o := range MakePlan(wholePlan).Openings {
		if end := start + o.At + o.Pause + o.Again + timeout + late + behind; end > timeout*11/10+5*time.Second {
			t.Errorf("%+v: over after %v", o, end)
		}
	}
}
