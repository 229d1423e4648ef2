package watch

import (
	"fmt"
	"time"
)

// Point is the state at one moment. Gauges that are not exported are -1.
type Point struct {
	At        float64 `json:"at"` // seconds
	Idle      int     `json:"idle"`
	Leased    int     `json:"leased"`
	Stale     int     `json:"stale"`
	Opening   int     `json:"opening"`
	Accepted  int     `json:"accepted"` // sockets that the service accepted
	TimeWait  [2]int  `json:"time_wait"`
	Ports     int     `json:"ports"`
	Range     int     `json:"range"`
	SaysIdle  float64 `json:"pool_idle"`
	SaysLease float64 `json:"pool_leased"`
	Pending   float64 `json:"pool_pending"`
	Max       float64 `json:"pool_max"`
	Closes    int     `json:"closes"`   // so far
	Failures  int     `json:"failures"` // so far
}

// maxPoints bounds a Series: beyond it, every other point is left out, and the points
// that follow are twice as far apart.
const maxPoints = 2400

// Series has the state over time.
type Series struct {
	Every  time.Duration
	Points []Point
	peak   Point // the largest values since the newest point
}

func (s *Series) add(p Point) {
	if s.Every == 0 {
		s.Every = time.Second
	}
	n := len(s.Points)
	if n > 0 && p.At-s.Points[n-1].At < s.Every.Seconds() {
		return
	}
	if n == maxPoints {
		for i := range n / 2 {
			s.Points[i] = s.Points[2*i+1]
		}
		s.Points = s.Points[:n/2]
		s.Every *= 2
	}
	s.Points = append(s.Points, p)
}

// point is the state now.
func (w *Watch) point() Point {
	n, g := w.pool(), w.pools.total()
	p := Point{
		At: w.now.Seconds(), Idle: n.Idle, Leased: n.Leased, Stale: n.Stale, Opening: n.Opening,
		SaysIdle: g.Idle, SaysLease: g.Leased, Pending: g.Pending, Max: g.Max, Failures: w.Sum.Failures,
	}
	for _, k := range w.Sum.Closes {
		p.Closes += k
	}
	for _, l := range w.open {
		if l.accepted {
			p.Accepted++
		}
	}
	if w.last != nil {
		p.TimeWait, p.Ports, p.Range = w.last.TimeWait, w.last.Ports, w.last.Range
	}
	return p
}

// Now is the state now.
func (w *Watch) Now() Point { return w.point() }

// Series is the state over the time of the watch.
func (w *Watch) Series() *Series { return &w.series }

// maxSamples is how many seconds of the use of ports a forecast follows from.
const maxSamples = 60

// ports notes the use of ports towards the target that has most, once a second.
func (w *Watch) usePorts(look *Look) {
	if len(look.Toward) == 0 {
		return
	}
	now := PortSample{look.At, look.Toward[0]}
	n := len(w.ports)
	if n > 0 && (w.ports[n-1].Use.Local != now.Use.Local || w.ports[n-1].Use.Remote != now.Use.Remote) {
		w.ports, n = nil, 0
	}
	if n > 0 && now.At-w.ports[n-1].At < time.Second {
		return
	}
	if n == maxSamples {
		w.ports = append(w.ports[:0], w.ports[1:]...)
	}
	w.ports = append(w.ports, now)
}

// farAway is a forecast of ports that nobody needs to hear.
const farAway = time.Hour

// PortsSay says how many local ports are left towards the target that takes most, and when
// they will be gone; "": their number is not known.
func (w *Watch) PortsSay() string {
	if len(w.ports) == 0 || w.last == nil || w.last.Range == 0 {
		return ""
	}
	use := w.ports[len(w.ports)-1].Use
	text := fmt.Sprintf("%d of %d local ports are in use towards %v", use.Ports, w.last.Range, use.Remote)
	waiting, until := 0, 0
	for second, n := range use.Freed {
		if waiting += n; n > 0 {
			until = second + 1
		}
	}
	if waiting > 0 {
		text += fmt.Sprintf("; %d of them wait in TIME_WAIT, the last one for %d s", waiting, until)
	}
	f, ok := ForecastPorts(w.ports, w.last.Range)
	whole := func(d time.Duration) time.Duration { return d.Round(time.Second) }
	switch {
	case !ok || f.Gone < 0 || f.Gone > farAway:
	case f.Latest < 0:
		text += fmt.Sprintf("; at this rate the last one is taken in %v, in %v at the soonest", whole(f.Gone), whole(f.Soonest))
	default:
		text += fmt.Sprintf("; at this rate the last one is taken in %v (%v to %v)", whole(f.Gone), whole(f.Soonest), whole(f.Latest))
	}
	return text
}
