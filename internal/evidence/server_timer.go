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
	closed bool          // a close ended it; else it only lasted longer than age
	late   time.Duration // by how much the end, and so age, may have been taken too late
	early  time.Duration // by how much the start may have been, so that age is too short
	close  *Close        // if closed
	with   *Connection
}

// timerOf estimates a timer from spans. Spans that no close ended only say that the
// timer was longer, so the median is that of Kaplan and Meier.
func timerOf(spans []span) Timer {
	var t Timer
	var ages []time.Duration
	for _, s := range spans {
		if !s.closed {
			t.LongerThan = max(t.LongerThan, s.age)
			continue
		}
		ages = append(ages, s.age)
		t.count(s)
	}
	if t.Closes = len(ages); t.Closes == 0 {
		return t
	}
	t.Basis = Seen
	slices.Sort(ages)
	t.Min, t.Max, t.Times = ages[0], ages[len(ages)-1], thinned(ages)
	for _, s := range spans {
		if !s.closed && s.age-s.late > t.Max {
			t.StillOpen++
		}
	}
	t.estimate(spans)
	return t
}

// keptTimes is how many times of a timer are kept: enough to see how they are spread.
const keptTimes = 40

// thinned returns keptTimes of ages that are in order, at equal distances in rank. If there
// are no more, it returns ages.
func thinned(ages []time.Duration) []time.Duration {
	if len(ages) <= keptTimes {
		return ages
	}
	list := make([]time.Duration, keptTimes)
	for i := range list {
		list[i] = ages[(2*i+1)*len(ages)/(2*keptTimes)]
	}
	return list
}

// timesOf describes times that were all seen to their end. There may be millions, so the
// ranks of its interval are the approximate ones.
func timesOf(times []time.Duration) Timer {
	n := len(times)
	if n == 0 {
		return Timer{}
	}
	slices.Sort(times)
	low := max(int(float64(n)/2-math.Sqrt(float64(n))), 0)
	return Timer{
		Closes: n, Median: times[n/2], Min: times[0], Max: times[n-1], Low: times[low], High: times[n-1-low],
		Confidence: min(0.95, 1-math.Pow(0.5, float64(n-1))), Basis: Seen,
	}
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

// estimate sets the median and its interval. A time may have been taken late, so the
// interval's lower end is that of the earliest possible times, and its upper end that of
// the latest: one late time does not widen it, and times that are all late do.
func (t *Timer) estimate(spans []span) {
	spans = typical(spans)
	middle := walk(spans)
	if middle.median < 0 { // most were still open after the last close: they follow another rule
		spans = slices.DeleteFunc(slices.Clone(spans), func(s span) bool { return !s.closed && s.age > t.Max })
		middle = walk(spans)
	}
	if middle.median < 0 {
		middle.median = t.Max
	}
	first := walk(moved(spans, func(s span) time.Duration { return -s.late }))
	last := walk(moved(spans, func(s span) time.Duration { return s.early }))
	t.Median = middle.median
	t.Low, t.High = min(first.low, t.Median), max(last.high, t.Median)
	t.Slack = t.High - t.Low - max(first.high-last.low, 0)
	t.Confidence = max(1-first.missLow-last.missHigh, 0)
}

// typical leaves out what is far from most closes: where packets of a capture are
// missing, a connection was closed or used without its being seen.
func typical(spans []span) []span {
	closes := make([]span, 0, len(spans))
	for _, s := range spans {
		if s.closed {
			closes = append(closes, s)
		}
	}
	if len(closes) < 6 {
		return spans
	}
	slices.SortFunc(closes, func(a, b span) int { return cmp.Compare(a.age, b.age) })
	middle, far := closes[len(closes)/2].age, max(5*inner(closes), 20*time.Millisecond)
	return slices.DeleteFunc(slices.Clone(spans), func(s span) bool {
		return s.age-s.late > middle+far || s.closed && s.age+s.early < middle-far
	})
}

// moved returns the spans with other ages.
func moved(spans []span, by func(span) time.Duration) []span {
	list := slices.Clone(spans)
	for i, s := range list {
		list[i].age = max(s.age+by(s), 0)
	}
	return list
}

// curve is what the walk along the survival function found; -1: it was not reached.
type curve struct {
	median, low, high time.Duration
	missLow, missHigh float64 // the chance that the median lies outside on this side
}

// walk follows the survival function of the spans. Its interval of the median is the beta product's (Fay, Brittain and
// Proschan 2013), which without censoring is that of the order statistics.
func walk(spans []span) curve {
	sorted := slices.Clone(spans)
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
	switch far := 8 * math.Sqrt(max(variance, 0)); { // the many closes of a capture are quickly far from it
	case p.mean-far >= x:
		return 0
	case p.mean+far <= x:
		return 1
	}
	k := p.mean*(1-p.mean)/variance - 1
	return mathext.RegIncBeta(p.mean*k, (1-p.mean)*k, x)
}
