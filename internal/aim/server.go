package aim

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/profiles/script"
)

// Server is what the aim needs to know of a server.
type Server struct {
	Idle       Spread        // from the last byte of a response to the close of the idle connection
	LongerThan time.Duration // no idle connection was closed within this time; 0: not known
	RoundTrip  time.Duration // the median
	Response   time.Duration // from a request to its response, without the round trip; the median
	// ResponseMax is the longest of the times whose median is Response.
	ResponseMax time.Duration
	Hint        time.Duration // the timeout that it announces; 0: none
	MaxRequests int           // of one connection; 0: no limit
	Unannounced bool          // at MaxRequests it closes without saying so
	From        string        // who measured it: probe or autopsy; "": nobody, it is what a file says
}

// Spread is a time as it was seen several times. Low and High bound the middle of them.
type Spread struct {
	Seen                        int // how often; 0: never
	Min, Low, Median, High, Max time.Duration
}

// ServerOf returns what a preset or a file says about a server. What was measured comes
// before what is configured.
func ServerOf(p profiles.ServerPreset) Server {
	s := Server{Hint: p.Facts.Hint, MaxRequests: p.Facts.MaxRequests, Unannounced: p.Facts.Unannounced, Response: p.Facts.Delay}
	if s.Hint == 0 {
		s.Hint = profiles.HintTimeout(p.Lab.Hint)
	}
	s.MaxRequests, s.Unannounced = cmp.Or(s.MaxRequests, p.Lab.MaxRequests), s.Unannounced || p.Lab.Unannounced
	s.Idle = configured(p)
	s.Response = cmp.Or(s.Response, middle(p.Lab.Delay))
	s.ResponseMax = s.Response
	m := p.Measured
	if m == nil {
		return s
	}
	s.From, s.LongerThan = m.From, m.LongerThan
	s.RoundTrip = m.RoundTrip
	s.Response = max(m.Response-m.RoundTrip, 0)
	s.ResponseMax = max(m.ResponseMax-m.RoundTrip, s.Response)
	s.Idle = Spread{}
	if m.Closes > 0 {
		s.Idle = spreadOf(*m)
	}
	return s
}

// configured returns the idle timer as a file has it.
func configured(p profiles.ServerPreset) Spread {
	idle := cmp.Or(p.Lab.IdleTimeout, p.Facts.IdleTimeout)
	if idle == 0 {
		return Spread{}
	}
	late := p.Lab.IdleLate
	switch early := p.Facts.IdleEarly; {
	case early > 0:
		return evenly(idle-early, idle)
	case late.Form == script.Uniform:
		return evenly(idle+late.A, idle+late.B)
	case late.A > 0:
		return evenly(idle, idle+2*late.A)
	}
	return Spread{1, idle, idle, idle, idle, idle}
}

// evenly is what is seen of a time that is anything between two.
func evenly(from, to time.Duration) Spread {
	return Spread{100, from, from + (to-from)/4, from + (to-from)/2, to - (to-from)/4, to}
}

// spreadOf returns the spread of the closes that were measured. A busy machine takes a few
// times much too late: a close that is far from the middle is no part of the server's
// spread.
func spreadOf(m profiles.Measured) Spread {
	s := Spread{m.Closes, m.IdleMin, m.IdleLow, m.IdleMedian, m.IdleHigh, m.IdleMax}
	if s.Low < s.Min || s.Low > s.Median || s.High < s.Median || s.High > s.Max || s.Seen < fewForMiddle {
		s.Low, s.High = (s.Min+s.Median)/2, (s.Median+s.Max)/2
		return s
	}
	far := 3*(s.High-s.Low)/2 + time.Millisecond/2
	s.Min, s.Max = max(s.Min, s.Low-far), min(s.Max, s.High+far)
	return s
}

func middle(d script.Delay) time.Duration {
	if d.Form == script.Uniform {
		return (d.A + d.B) / 2
	}
	return d.A
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

// quantiles maps a probability to a time, by straight lines through five points.
type quantiles struct{ p, t [5]float64 }

// few is a number of times from which nothing follows about how they are spread, and
// fewForMiddle one from which nothing follows about their middle.
const (
	few          = 3
	fewForMiddle = 8
)

// rank is where Low stands among n times in order, from 0. High stands as far from the end.
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
		return s.through(0, 0.25, 0.5, 0.75, 1)
	}
	n, k := float64(s.Seen), float64(rank(s.Seen))
	return s.through(1/(n+1), (k+1)/(n+1), 0.5, (n-k)/(n+1), n/(n+1))
}

// drawn returns quantiles that could as well be the true ones: n numbers are drawn, and
// the times seen stand where the numbers of the same ranks fell. So the simulated runs
// differ by as much as the measurement leaves open.
func (s Spread) drawn(rng *rand.Rand) quantiles {
	if s.Seen < few {
		return s.expected()
	}
	u := make([]float64, s.Seen)
	for i := range u {
		u[i] = rng.Float64()
	}
	slices.Sort(u)
	n, k := len(u), rank(len(u))
	return s.through(u[0], u[k], u[n/2], u[n-1-k], u[n-1])
}

func (s Spread) through(p ...float64) quantiles {
	q := quantiles{t: [5]float64{float64(s.Min), float64(s.Low), float64(s.Median), float64(s.High), float64(s.Max)}}
	for i := range q.p {
		q.p[i] = p[i]
		if i > 0 { // so that no two points fall together
			q.p[i] = max(p[i], q.p[i-1]+1e-6)
		}
	}
	return q
}

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

// safe reports whether a method changes nothing on the server.
func safe(method string) bool {
	return method == "" || method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}
