package evidence

import (
	"cmp"
	"math"
	"slices"
	"time"

	"gonum.org/v1/gonum/mathext"
)

// span is how long something lasted until a close, or until it was seen for the last
// time before something else happened.
type span struct {
	age    time.Duration
	closed bool // a close ended it; else it only lasted longer than age
	slack  time.Duration
	close  *Close // if closed
	with   *Connection
}

// timerOf estimates a timer from spans. Spans that no close ended only say that the
// timer was longer, so the median is that of Kaplan and Meier.
func timerOf(spans []span) Timer {
	var t Timer
	var ages, slacks []time.Duration
	for _, s := range spans {
		if !s.closed {
			t.LongerThan = max(t.LongerThan, s.age)
			continue
		}
		ages, slacks = append(ages, s.age), append(slacks, s.slack)
		t.count(s)
	}
	if t.Closes = len(ages); t.Closes == 0 {
		return t
	}
	t.Basis = Seen
	slices.Sort(ages)
	slices.Sort(slacks)
	t.Min, t.Max, t.Slack = ages[0], ages[len(ages)-1], slacks[len(slacks)/2]
	for _, s := range spans {
		if !s.closed && s.age-s.slack > t.Max {
			t.StillOpen++
		}
	}
	t.estimate(spans)
	return t
}

// count counts the close of s by its kind and by who closed.
func (t *Timer) count(s span) {
	if s.close == nil {
		return
	}
	t.By.count(s.close)
	t.How.count(s.close.How)
	if s.with != nil && unasked408(s.with) {
		t.Status408++
	}
}

func (s *Sides) count(c *Close) {
	switch c.By {
	case ByClient:
		s.Client++
	case ByServer:
		s.Server++
	case ByMiddle:
		s.Middle++
	default:
		s.Unknown++
	}
}

func (k *Kinds) count(how Kind) {
	switch how {
	case FIN:
		k.FIN++
	case RST:
		k.RST++
	case Notify:
		k.Notify++
	case Silent:
		k.Silent++
	}
}

// Most returns the kind of most closes, or Open without any.
func (k Kinds) Most() Kind {
	most, n := Open, 0
	for _, c := range []struct {
		kind Kind
		n    int
	}{{FIN, k.FIN}, {RST, k.RST}, {Notify, k.Notify}, {Silent, k.Silent}} {
		if c.n > n {
			most, n = c.kind, c.n
		}
	}
	return most
}

// estimate sets the median and its interval. Each time on the wire is within its slack
// of the time taken, so the interval's lower end is that of the earliest possible times
// and its upper end that of the latest: one late time does not widen it, and times that
// are all late do.
func (t *Timer) estimate(spans []span) {
	middle := walk(spans, 0)
	if middle.median < 0 { // most were still open after the last close: they follow another rule
		spans = slices.DeleteFunc(slices.Clone(spans), func(s span) bool { return !s.closed && s.age > t.Max })
		middle = walk(spans, 0)
	}
	if middle.median < 0 {
		middle.median = t.Max
	}
	low, high := walk(spans, -1), walk(spans, +1)
	t.Median = middle.median
	t.Low, t.High = max(min(low.low, t.Median), 0), max(high.high, t.Median)
	t.Confidence = 1 - low.missLow - high.missHigh
}

// curve is what the walk along the survival function found; -1: it was not reached.
type curve struct {
	median, low, high time.Duration
	missLow, missHigh float64 // the chance that the median lies outside on this side
}

// walk follows the survival function of the spans, with each age moved by its slack
// times shift. Its interval of the median is the beta product's (Fay, Brittain and
// Proschan 2013), which without censoring is that of the order statistics.
func walk(spans []span, shift time.Duration) curve {
	sorted := slices.Clone(spans)
	for i := range sorted {
		sorted[i].age = max(sorted[i].age+shift*sorted[i].slack, 0)
	}
	slices.SortFunc(sorted, func(a, b span) int { // at the same age, what was still open comes after the closes
		if c := cmp.Compare(a.age, b.age); c != 0 || a.closed == b.closed {
			return c
		}
		if a.closed {
			return -1
		}
		return 1
	})
	c := curve{median: -1, low: -1, high: -1}
	survive, above := 1.0, product{1, 1} // the shares that are still open: estimate, and upper limit's distribution
	last := time.Duration(-1)            // close
	for i, s := range sorted {
		if !s.closed {
			continue
		}
		open := float64(len(sorted) - i)
		if below := above.times(open).below(0.5); c.low < 0 { // before this close
			switch {
			case below < tail:
				c.missLow = below
			case last < 0: // so few closes that the median may lie before them all
				c.low, c.missLow = s.age, below
			default:
				c.low = last
			}
		}
		survive *= 1 - 1/open
		above = above.times(open)
		c.median = c.medianAt(survive, s.age, sorted[i+1:])
		if miss := 1 - above.below(0.5); c.high < 0 {
			c.missHigh = miss
			if miss <= tail {
				c.high = s.age
			}
		}
		last = s.age
	}
	if c.low < 0 {
		c.low = last
	}
	if c.high < 0 {
		c.high = last
	}
	return c
}

// tail is the chance on each side of the interval. It is a little less than a 95 %
// interval allows, because the closes of a server that looks at its timers only now and
// then are not quite independent. From 20 closes, the interval is the 5th to the 16th.
const tail = 0.02

// medianAt returns the median, once half of the spans are over: between two closes if
// they are exactly half.
func (c curve) medianAt(survive float64, age time.Duration, later []span) time.Duration {
	if c.median >= 0 || survive > 0.5+1e-9 {
		return c.median
	}
	if survive > 0.5-1e-9 {
		for _, s := range later {
			if s.closed {
				return age + (s.age-age)/2
			}
		}
	}
	return age
}

// product is the distribution of a product of beta variables, by its first two moments.
type product struct{ mean, square float64 }

// times multiplies with the share that stays when one of n closes.
func (p product) times(n float64) product {
	return product{p.mean * n / (n + 1), p.square * n / (n + 2)}
}

// below returns the chance that the product is below x: that of the beta distribution
// with the same moments.
func (p product) below(x float64) float64 {
	variance := p.square - p.mean*p.mean
	if variance <= 0 || math.IsNaN(variance) {
		if p.mean < x {
			return 1
		}
		return 0
	}
	k := p.mean*(1-p.mean)/variance - 1
	return mathext.RegIncBeta(p.mean*k, (1-p.mean)*k, x)
}
