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

// PortsSay says how many local ports are left, and when they will be gone; "": their
// number is not known.
func (w *Watch) PortsSay() string {
	p := w.series.Points
	if len(p) == 0 || p[len(p)-1].Range == 0 {
		return ""
	}
	last := p[len(p)-1]
	text := fmt.Sprintf("%d of %d local ports are in use towards the target", last.Ports, last.Range)
	from := 0
	for i := range p {
		if p[i].At < last.At-60 {
			from = i
		}
	}
	if span := last.At - p[from].At; span >= 5 {
		grow := float64(last.Ports-p[from].Ports) / span
		if left := float64(last.Range - last.Ports); grow*60 >= 0.01*float64(last.Range) {
			text += fmt.Sprintf("; they grow by %.1f/s, so the last one is taken in %v", grow, time.Duration(left/grow*float64(time.Second)).Round(time.Second))
		}
	}
	return text
}
