package aim

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/kabench/kabench/profiles"
)

// Spread is a time as it was seen several times.
type Spread struct {
	Seen int // how often; 0: never
	// First is the earliest. Min and Max bound those that are the server's: a busy machine
	// takes a few times much too late.
	First, Min, Max time.Duration

	points []time.Duration // in order: the times, or the earliest, the interval of the median around it, and the latest
	whole  bool            // points has the times themselves
	slack  time.Duration   // by how much they may be late, as their file says
	late   time.Duration   // by how much they may be, so far as they show it
}

// evenly is what is seen of a time that is anything between two.
func evenly(from, to time.Duration) Spread {
	return Spread{Seen: 100, First: from, Min: from, Max: to, points: []time.Duration{from, from + (to-from)/4, from + (to-from)/2, to - (to-from)/4, to}}
}

// spreadOf returns the spread of the closes that were measured.
func spreadOf(m profiles.Measured) Spread {
	s := Spread{Seen: min(m.Closes, manyCloses), First: m.IdleMin, slack: m.IdleSlack}
	if n := len(m.Idle); n >= few {
		s.points, s.whole, s.Seen = slices.Sorted(slices.Values(m.Idle)), true, n
		s.First = min(s.First, s.points[0])
		s.leaveOut(s.points[n/4], s.points[n-1-n/4])
		// Closes that are some round trips apart, and of no sweep, were late too: the machine
		// was so busy that the server was late itself. A run need not be.
		if s.late = s.slack; s.Width() > ragged && !s.sweeps() {
			s.late = max(s.late, s.Width())
		}
		return s
	}
	low, high := m.IdleLow, m.IdleHigh
	if low < m.IdleMin || low > m.IdleMedian || high < m.IdleMedian || high > m.IdleMax || s.Seen < fewForMiddle {
		low, high = (m.IdleMin+m.IdleMedian)/2, (m.IdleMedian+m.IdleMax)/2
	}
	s.points = []time.Duration{m.IdleMin, low, m.IdleMedian, high, m.IdleMax}
	s.leaveOut(low, high)
	return s
}

// manyCloses is a number of closes from which more tell nothing further.
const manyCloses = 1000

// ragged is from how far apart the closes of a server are late.
const ragged = 10 * time.Millisecond

// leaveOut leaves out the few times that are far from the middle part, which low and high
// bound: a busy machine has taken them too late. If there are more than a few, the server
// spreads its closes.
func (s *Spread) leaveOut(low, high time.Duration) {
	if s.Seen >= fewForMiddle {
		far := 3*(high-low)/2 + time.Millisecond/2
		near := s.points[:0:0]
		for _, t := range s.points {
			if inside := min(max(t, low-far), high+far); inside == t || !s.whole {
				near = append(near, inside)
			}
		}
		if !s.whole || 8*len(near) >= 7*len(s.points) {
			s.points = near
		}
	}
	s.Min, s.Max = s.points[0], s.points[len(s.points)-1]
}

// Width is how far apart the times are.
func (s Spread) Width() time.Duration { return s.Max - s.Min }

// text is the range of the times, with as many digits as it takes to tell them apart.
func (s Spread) text() string {
	unit := time.Second
	for unit > time.Microsecond && unit > s.Width()/4 && unit > s.Min/1000 {
		unit /= 10
	}
	return fmt.Sprintf("%v to %v", s.Min.Round(unit), s.Max.Round(unit))
}

// few is a number of times from which nothing follows about how they are spread, and
// fewForMiddle one from which nothing follows about their middle.
const (
	few          = 3
	fewForMiddle = 8
)

// rank is where the interval of the median begins among n times in order, from 0. It ends
// as far from the end.
func rank(n int) int {
	if n < fewForMiddle {
		return n / 4
	}
	return int(float64(n) * (0.5 - 0.98/math.Sqrt(float64(n)))) // the 95 % interval of the median
}

// expected returns the quantiles that the times seen stand for on average: the i-th of n
// times stands at i/(n+1).
func (s Spread) expected() quantiles {
	if s.Seen < few {
		return through(s.points, []float64{0, 0.25, 0.5, 0.75, 1})
	}
	u := make([]float64, s.Seen)
	for i := range u {
		u[i] = float64(i+1) / float64(s.Seen+1)
	}
	return through(s.less(s.late/2), s.ranks(u))
}

// drawn returns quantiles that could as well be the true ones: n numbers are drawn, and
// the times seen stand where the numbers of the same ranks fell. How much of their
// lateness was this machine's is drawn too; in one case of three it was all of it. So the
// simulated runs differ by as much as the measurement leaves open.
func (s Spread) drawn(rng *rand.Rand) quantiles {
	if s.Seen < few {
		return s.expected()
	}
	u := make([]float64, s.Seen)
	for i := range u {
		u[i] = rng.Float64()
	}
	slices.Sort(u)
	return through(s.less(time.Duration(min(1.5*rng.Float64(), 1)*float64(s.late))), s.ranks(u))
}

// ranks returns those of u, which are in order, that the points stand at.
func (s Spread) ranks(u []float64) []float64 {
	n, k := len(u), rank(len(u))
	if !s.whole {
		return []float64{u[0], u[k], u[n/2], u[n-1-k], u[n-1]}
	}
	// Of the times that were left out, nobody knows the side.
	return u[(n-len(s.points))/2:][:len(s.points)]
}

// less returns the points, each nearer to their densest part by late.
func (s Spread) less(late time.Duration) []time.Duration {
	if late <= 0 {
		return s.points
	}
	from, to := s.densest()
	dense := (from + to) / 2
	list := make([]time.Duration, len(s.points))
	for i, t := range s.points {
		list[i] = min(max(dense, t-late), t+late)
	}
	return list
}

// densest is the shortest range with half of the points.
func (s Spread) densest() (from, to time.Duration) {
	half := len(s.points) / 2
	best := 0
	for i := range len(s.points) - half {
		if s.points[i+half]-s.points[i] < s.points[best+half]-s.points[best] {
			best = i
		}
	}
	return s.points[best], s.points[best+half]
}

// quantiles maps a probability to a time, by straight lines through points in order.
type quantiles struct{ p, t []float64 }

func through(times []time.Duration, p []float64) quantiles {
	q := quantiles{p: slices.Clone(p), t: make([]float64, len(times))}
	for i, t := range times {
		q.t[i] = float64(t)
		if i > 0 { // so that no two points fall together
			q.p[i] = max(p[i], q.p[i-1]+1e-6)
		}
	}
	return q
}

// last is the latest time.
func (q quantiles) last() time.Duration { return time.Duration(q.t[len(q.t)-1]) }

// at returns the time at probability p. Beyond the outer points the lines go on, for at
// most the distance between these points.
func (q quantiles) at(p float64) time.Duration {
	i := 0
	for i < len(q.p)-2 && p > q.p[i+1] {
		i++
	}
	last := len(q.t) - 1
	slope, width := (q.t[i+1]-q.t[i])/(q.p[i+1]-q.p[i]), q.t[last]-q.t[0]
	t := min(max(q.t[i]+slope*(p-q.p[i]), q.t[0]-width), q.t[last]+width)
	return max(time.Duration(t), 0)
}

// below returns the probability of a time below d.
func (q quantiles) below(d time.Duration) float64 {
	t, last := float64(d), len(q.t)-1
	switch {
	case t < q.t[0]:
		return q.beyond(0, 1, t)
	case t >= q.t[last]:
		return q.beyond(last, last-1, t)
	}
	i := 0
	for t >= q.t[i+1] {
		i++
	}
	return q.p[i] + (q.p[i+1]-q.p[i])*(t-q.t[i])/(q.t[i+1]-q.t[i])
}

// beyond continues the line from the point next to the outer point end.
func (q quantiles) beyond(end, next int, t float64) float64 {
	slope := 0.0
	if width := q.t[end] - q.t[next]; width != 0 {
		slope = (q.p[end] - q.p[next]) / width
	} else if t != q.t[end] {
		slope = math.Inf(1)
	}
	if t == q.t[end] {
		return q.p[end]
	}
	return min(max(q.p[end]+slope*(t-q.t[end]), 0), 1)
}
