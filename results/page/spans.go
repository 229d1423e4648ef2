package page

import (
	"math"
	"slices"
	"time"
)

// firstStep is the length of a span before there are too many.
const firstStep = 100 * time.Millisecond

// Maximum number of spans of time in a chart: more than a screen shows, and few enough
// to keep a page small. If a run is longer, neighbouring spans are joined.
const (
	maxSpans   = 600
	maxColumns = 160 // of the heat map, whose spans have rows
)

// Minimum number of spans of each run on a page of several runs.
const (
	leastSpans   = 150
	leastColumns = 60
)

// spans divides the time since the start of a run into equal parts, at most
// limit of them.
type spans struct {
	step  time.Duration
	limit int
	join  func() // joins neighbouring spans
}

// at is the number of the span that contains t.
func (s *spans) at(t time.Duration) int {
	t = max(t, 0)
	for int64(t/s.step) >= int64(s.limit) && s.step <= math.MaxInt64/2 {
		s.step *= 2
		s.join()
	}
	return min(int(t/s.step), s.limit-1)
}

// joined adds the values of neighbours.
func joined[T any](list []T, add func(a, b T) T) []T {
	for i := range (len(list) + 1) / 2 {
		v := list[2*i]
		if 2*i+1 < len(list) {
			v = add(v, list[2*i+1])
		}
		list[i] = v
	}
	return list[:(len(list)+1)/2]
}

// grow makes list at least n long.
func grow[T any](list []T, n int) []T {
	if n > len(list) {
		list = append(list, make([]T, n-len(list))...)
	}
	return list
}

// counts is a number for each span.
type counts []uint32

func (c *counts) add(at int, n uint64) {
	*c = grow(*c, at+1)
	(*c)[at] = sum((*c)[at], uint32(min(n, math.MaxUint32)))
}

// sum does not overflow: a record may contain anything.
func sum(a, b uint32) uint32 {
	if a > math.MaxUint32-b {
		return math.MaxUint32
	}
	return a + b
}

// flow gathers a Flow.
type flow struct {
	spans
	due, started, ok counts
	failed           map[outcome]*counts
}

func newFlow(limit int) *flow {
	f := &flow{failed: map[outcome]*counts{}}
	f.spans = spans{firstStep, limit, func() {
		for _, c := range f.all() {
			*c = joined(*c, sum)
		}
	}}
	return f
}

func (f *flow) all() []*counts {
	list := []*counts{&f.due, &f.started, &f.ok}
	for _, c := range f.failed {
		list = append(list, c)
	}
	return list
}

func (f *flow) add(c *counts, t time.Duration, n uint64) { c.add(f.at(t), n) }

func (f *flow) fail(o outcome, t time.Duration) {
	c := f.failed[o]
	if c == nil {
		c = &counts{}
		f.failed[o] = c
	}
	f.add(c, t, 1)
}

// data returns the counts gathered so far; all lists have the same length.
func (f *flow) data(oneIn uint64) Flow {
	n := 0
	for _, c := range f.all() {
		n = max(n, len(*c))
	}
	cut := func(c counts) []uint32 { return append(make([]uint32, 0, n), grow(slices.Clone(c), n)...) } // never nil: the page expects a list, not null
	d := Flow{Step: f.step.Seconds(), Due: cut(f.due), Started: cut(f.started), OK: cut(f.ok), Failed: map[string][]uint32{}, OneIn: oneIn}
	for o, c := range f.failed {
		d.Failed[o.String()] = cut(*c)
	}
	return d
}

// gauges thins samples of n gauges: it keeps the highest value of each gauge in each
// span of time.
type gauges struct {
	spans
	n    int
	t    []float64 // of the first sample of the span; NaN: none
	high [][]int   // by gauge
}

func newGauges(n, limit int) *gauges {
	g := &gauges{n: n, high: make([][]int, n)}
	g.spans = spans{firstStep, limit, func() {
		g.t = joined(g.t, func(a, b float64) float64 {
			if math.IsNaN(a) {
				return b
			}
			return a
		})
		for i := range g.high {
			g.high[i] = joined(g.high[i], func(a, b int) int { return max(a, b) })
		}
	}}
	return g
}

func (g *gauges) add(t float64, values ...int) {
	if !(t >= 0 && t < math.MaxInt64/1e9) {
		return // not a time within a run
	}
	at := g.at(time.Duration(t * float64(time.Second)))
	for len(g.t) <= at {
		g.t = append(g.t, math.NaN())
	}
	first := math.IsNaN(g.t[at])
	if first {
		g.t[at] = t
	}
	for i, v := range values {
		g.high[i] = grow(g.high[i], at+1)
		if first {
			g.high[i][at] = v
		}
		g.high[i][at] = max(g.high[i][at], v)
	}
}

// data returns the times of the spans that have a sample, and the gauges there.
func (g *gauges) data() (t []float64, high [][]int) {
	t, high = []float64{}, make([][]int, g.n)
	for i := range high {
		high[i] = []int{}
	}
	for at, v := range g.t {
		if math.IsNaN(v) {
			continue
		}
		t = append(t, round(v, 1e3))
		for i := range high {
			high[i] = append(high[i], g.high[i][at])
		}
	}
	return t, high
}

// round rounds v to a multiple of 1/parts, which keeps numbers short in a page.
func round(v, parts float64) float64 { return math.Round(v*parts) / parts }
