package fleet

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const second = int64(time.Second)

// asked is a question to a controller whose clock is behind the agent's by offset, with the
// given times that a message takes there and back.
func asked(at, offset int64, there, back time.Duration) question {
	return question{asked: at, theirs: at - offset + int64(there), answered: at + int64(there+back)}
}

func TestOffsetOfAQuestion(t *testing.T) {
	for _, test := range []struct {
		name        string
		q           question
		want, error time.Duration
	}{
		{"the same clock", asked(0, 0, 5*time.Millisecond, 5*time.Millisecond), 0, 5 * time.Millisecond},
		{"two seconds ahead", asked(77, 2*second, 40*time.Millisecond, 40*time.Millisecond), 2 * time.Second, 40 * time.Millisecond},
		{"behind", asked(1, -second, time.Millisecond, time.Millisecond), -time.Second, time.Millisecond},
		{"only the way there takes time", asked(0, 0, 10*time.Millisecond, 0), -5 * time.Millisecond, 5 * time.Millisecond},
	} {
		if got := time.Duration(test.q.offset()); got != test.want {
			t.Errorf("%s: offset %v, want %v", test.name, got, test.want)
		}
		if got := time.Duration(test.q.roundTrip() / 2); got != test.error {
			t.Errorf("%s: error %v, want %v", test.name, got, test.error)
		}
	}
}

// However a link delays the two ways, the true offset is within the error.
func TestOffsetIsWithinItsError(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		true := rapid.Int64Range(-2*second, 2*second).Draw(t, "offset")
		there := time.Duration(rapid.Int64Range(0, second).Draw(t, "there"))
		back := time.Duration(rapid.Int64Range(0, second).Draw(t, "back"))
		q := asked(1e18, true, there, back)
		if abs(q.offset()-true) > q.roundTrip()/2+1 {
			t.Fatalf("offset %d, true %d, error %d", q.offset(), true, q.roundTrip()/2)
		}
	})
}

func TestTheLeastRoundTripCounts(t *testing.T) {
	round := []question{
		asked(0, 100, 9, 3), asked(10, 100, 2, 2), asked(20, 100, 1, 8),
		{asked: 50, answered: 40}, // goes back: no measure
	}
	if q, ok := best(round); !ok || q != round[1] {
		t.Errorf("best is %+v, %v", q, ok)
	}
	if _, ok := best(round[3:]); ok {
		t.Error("a clock that went back was measured")
	}
}

// measured is what an agent knows after n measures, ten seconds apart, of a clock that is
// ahead by skew and drifts.
func measured(n int, skew int64, drift float64) *offsets {
	var o offsets
	for i := range n {
		at := int64(i) * int64(measureEvery)
		o.add("c", asked(at, skew+int64(drift*float64(at)), time.Millisecond, time.Millisecond))
	}
	return &o
}

func TestDriftIsALine(t *testing.T) {
	for _, test := range []struct {
		n     int
		skew  int64
		drift float64
	}{{1, 2 * second, 0}, {2, -2 * second, 0}, {12, 2 * second, 100e-6}, {12, -2 * second, -100e-6}, {400, 0, 1e-6}} {
		o := measured(test.n, test.skew, test.drift)
		now := o.points[len(o.points)-1].at
		if got := o.drift(now); math.Abs(got-test.drift) > 1e-9 {
			t.Errorf("%d measures: drift %g, want %g", test.n, got, test.drift)
		}
		// A start 3 s ahead, by the controller's clock.
		want := now + 3*second
		mine, _, ok := o.mine(want - test.skew - int64(test.drift*float64(want)))
		if !ok || abs(mine-want) > 2000 {
			t.Errorf("%d measures: the start is %v off", test.n, time.Duration(mine-want))
		}
		if len(o.points) > mostPoints || o.measures != test.n {
			t.Errorf("%d points of %d measures", len(o.points), o.measures)
		}
	}
}

func TestNothingMeasured(t *testing.T) {
	var o offsets
	if _, _, ok := o.mine(5); ok {
		t.Error("a start was found without a measure")
	}
	if s := o.state(5); s.Known {
		t.Errorf("%+v", s)
	}
}

// A controller that is started again has another clock: what was measured before does not
// count, and the number of measures goes on.
func TestAnotherControllerIsAnotherClock(t *testing.T) {
	o := measured(12, 2*second, 0)
	at := int64(200) * second
	o.add("another", asked(at, 5*second, time.Millisecond, time.Millisecond))
	if s := o.state(at); s.Offset < 4.999 || s.Offset > 5.001 || s.Measures != 13 {
		t.Errorf("%+v", s)
	}
}

func TestSkewOfAStart(t *testing.T) {
	o := measured(12, 2*second, 0)
	agreed := int64(60) * second
	for _, late := range []time.Duration{0, 3 * time.Millisecond, -time.Millisecond} {
		c := o.document(agreed, agreed+2*second+int64(late))
		if math.Abs(c.Skew-late.Seconds()) > 1e-6 || math.Abs(c.Offset-2) > 1e-6 || math.Abs(c.Error-1e-3) > 1e-6 {
			t.Errorf("late by %v: %+v", late, c)
		}
	}
	if c := o.document(0, 0); c.Skew != 0 || c.Measures != 12 {
		t.Errorf("of a run that did not begin: %+v", c)
	}
}

// A skewed clock shows the moments that it says it will.
func TestSkewedClock(t *testing.T) {
	c := SkewedClock(-2*time.Second, 100e-6).(skewedClock)
	base := c.base.UnixNano()
	for after, shows := range map[time.Duration]int64{ // of the clock's making
		0:                  base - 2*second,
		10 * time.Second:   base + 8*second + 1_000_000,
		1000 * time.Second: base + 998*second + 100_000_000,
	} {
		if got := c.Moment(shows).Sub(c.base); got < after-time.Microsecond || got > after+time.Microsecond {
			t.Errorf("it shows %d after %v, want %v", shows, got, after)
		}
	}
	before, now, after := SystemClock().Now(), c.Now(), SystemClock().Now()
	if now < before-2*second || now > after-2*second+second {
		t.Errorf("it shows %d, and the time is between %d and %d", now, before, after)
	}
}
