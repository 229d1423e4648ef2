package aim

import (
	"cmp"
	"fmt"
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

// Spread is a time as it was seen several times.
type Spread struct {
	Seen             int // how often; 0: never
	Min, Median, Max time.Duration
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
		s.Idle = Spread{Seen: m.Closes, Min: m.IdleMin, Median: m.IdleMedian, Max: m.IdleMax}
	}
	return s
}

// configured returns the idle timer as a file has it.
func configured(p profiles.ServerPreset) Spread {
	idle := cmp.Or(p.Lab.IdleTimeout, p.Facts.IdleTimeout)
	if idle == 0 {
		return Spread{}
	}
	s := Spread{Seen: 1, Min: idle, Median: idle, Max: idle}
	if early := p.Facts.IdleEarly; early > 0 {
		s = Spread{Seen: 100, Min: idle - early, Median: idle - early/2, Max: idle}
	}
	if late := p.Lab.IdleLate; late.Form == script.Uniform {
		s = Spread{Seen: 100, Min: idle + late.A, Median: idle + (late.A+late.B)/2, Max: idle + late.B}
	} else if late.A > 0 {
		s = Spread{Seen: 100, Min: s.Min, Median: s.Median + late.A, Max: s.Max + 2*late.A}
	}
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

// quantiles maps a probability to a time, by straight lines through three points.
type quantiles struct{ p, t [3]float64 }

// few is a number of times from which nothing follows about how they are spread.
const few = 3

// expected returns the quantiles that the times seen stand for on average: the least of n
// stands at 1/(n+1), the greatest at n/(n+1).
func (s Spread) expected() quantiles {
	n := float64(s.Seen)
	if s.Seen < few {
		return s.through(0, 0.5, 1)
	}
	return s.through(1/(n+1), 0.5, n/(n+1))
}

// drawn returns quantiles that could as well be the true ones: n numbers are drawn, and
// the times seen stand where the least, the middle and the greatest number fell. So the
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
	return s.through(u[0], u[len(u)/2], u[len(u)-1])
}

func (s Spread) through(low, mid, high float64) quantiles {
	const apart = 1e-6 // so that no two points fall together
	mid = max(mid, low+apart)
	high = max(high, mid+apart)
	return quantiles{[3]float64{low, mid, high}, [3]float64{float64(s.Min), float64(s.Median), float64(s.Max)}}
}

// at returns the time at probability p. Beyond the outer points the lines go on, for at
// most the distance between these points.
func (q quantiles) at(p float64) time.Duration {
	i := 0
	if p > q.p[1] {
		i = 1
	}
	slope, width := (q.t[i+1]-q.t[i])/(q.p[i+1]-q.p[i]), q.t[2]-q.t[0]
	t := min(max(q.t[i]+slope*(p-q.p[i]), q.t[0]-width), q.t[2]+width)
	return max(time.Duration(t), 0)
}

// below returns the probability of a time below d.
func (q quantiles) below(d time.Duration) float64 {
	i, t := 0, float64(d)
	if t > q.t[1] {
		i = 1
	}
	width := q.t[i+1] - q.t[i]
	switch {
	case t < q.t[0]-(q.t[2]-q.t[0]), width <= 0 && t < q.t[i]:
		return 0
	case width <= 0 && t > q.t[2], t > q.t[2]+(q.t[2]-q.t[0]):
		return 1
	case width <= 0:
		return q.p[i+1]
	}
	return min(max(q.p[i]+(q.p[i+1]-q.p[i])*(t-q.t[i])/width, 0), 1)
}

// safe reports whether a method changes nothing on the server.
func safe(method string) bool {
	return method == "" || method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}
