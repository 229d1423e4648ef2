package limit

import (
	"math"
	"time"
)

// Sample is what an exchange says when it is over.
type Sample struct {
	At       time.Duration // when it was over, from any fixed moment
	RTT      time.Duration // from its start to its end; below 1 ns is taken as 1 ns
	InFlight int           // in flight when it started, itself included
	Dropped  bool          // it failed
}

// State is a limit at one moment. The zero State is none: see [Limit.Begin].
type State struct {
	limit    float64
	shortest float64 // vegas: the shortest response time, in ns; 0: none yet
	probed   int     // vegas: samples since shortest was forgotten
	jitter   float64 // vegas: of the next probe, 0.5 to 1
	random   uint64  // vegas
	long     float64 // gradient2: the long-term average, in ns
	warm     int     // gradient2: samples in it, up to warmUp
	gradient float64 // gradient2: the last one; 0: none yet
	window   window
}

// window is what a Window has seen so far.
type window struct {
	ends     time.Duration
	sum      float64 // of response times, in ns
	n        int
	inFlight int
	dropped  bool
}

const (
	// warmUp is after how many samples the long-term average of gradient2 becomes an
	// exponential one. Before, it is the mean.
	warmUp = 10
	// readyAt is how many samples a window needs to count.
	readyAt = 10
	// tooQuick is the response time below which a window ignores an exchange.
	tooQuick = 100 * time.Microsecond
)

// Begin is the state before the first sample. l must be valid, Resolved and adaptive. The
// seed is of the moments at which vegas probes.
func (l Limit) Begin(seed uint64) State {
	s := State{limit: float64(l.Initial), random: seed}
	s.draw()
	return s
}

// Now is the limit: at least 1.
func (s State) Now() int { return int(s.limit) }

// Next is the state after a sample. l must be valid, Resolved and adaptive.
func (l Limit) Next(s State, x Sample) State {
	x.RTT = max(x.RTT, 1)
	if l.Window > 0 {
		var whole bool
		if s.window, x, whole = s.window.add(x, l.Window); !whole {
			return s
		}
	}
	switch l.Algorithm {
	case AIMD:
		s.limit = l.aimd(s.limit, x)
	case Vegas:
		s = l.vegas(s, x)
	case Gradient2:
		s = l.gradient2(s, x)
	}
	return s
}

// add adds x to w. When w is over, it begins again, and mean is the sample that stands for
// what it had; whole is false as long as it is not over, or if it had too few.
func (w window) add(x Sample, length time.Duration) (next window, mean Sample, whole bool) {
	if x.RTT < tooQuick {
		return w, Sample{}, false
	}
	w.sum += float64(x.RTT)
	w.n++
	w.inFlight = max(w.inFlight, x.InFlight)
	w.dropped = w.dropped || x.Dropped
	if x.At <= w.ends {
		return w, Sample{}, false
	}
	mean = Sample{At: x.At, RTT: time.Duration(w.sum / float64(w.n)), InFlight: w.inFlight, Dropped: w.dropped}
	return window{ends: x.At + length}, mean, w.n >= readyAt
}

// aimd is the limit after x: an additive increase, a multiplicative decrease.
func (l Limit) aimd(limit float64, x Sample) float64 {
	if x.Dropped || x.RTT > l.Timeout {
		limit = math.Floor(limit * l.Backoff)
	} else if 2*float64(x.InFlight) >= limit {
		limit++
	}
	return l.within(limit)
}

// vegas compares the queue that x suggests, limit × (1 - shortest ÷ RTT), with two bounds.
func (l Limit) vegas(s State, x Sample) State {
	rtt := float64(x.RTT)
	s.probed++
	if s.jitter*float64(l.Probe)*s.limit <= float64(s.probed) {
		s.draw()
		s.probed, s.shortest = 0, rtt
		return s
	}
	if s.shortest == 0 || rtt < s.shortest {
		s.shortest = rtt
		return s
	}
	queue := math.Ceil(s.limit * (1 - s.shortest/rtt))
	step := logOf(s.limit)
	alpha, beta := 3*step, 6*step
	if l.Alpha > 0 {
		alpha = float64(l.Alpha)
	}
	if l.Beta > 0 {
		beta = float64(l.Beta)
	}
	next := s.limit
	switch {
	case x.Dropped:
		next -= step
	case 2*float64(x.InFlight) < s.limit:
		return s // the limit is not what holds the load back
	case queue <= step:
		next += beta
	case queue < alpha:
		next += step
	case queue > beta:
		next -= step
	default:
		return s
	}
	s.limit = (1-l.Smoothing)*s.limit + l.Smoothing*l.within(next)
	return s
}

// gradient2 compares x with the average of earlier samples. Failures do not count.
func (l Limit) gradient2(s State, x Sample) State {
	rtt := float64(x.RTT)
	if s.warm < warmUp {
		s.warm++
		s.long += (rtt - s.long) / float64(s.warm)
	} else {
		weight := 2 / (float64(l.LongWindow) + 1)
		s.long = s.long*(1-weight) + rtt*weight
	}
	long := s.long
	if long/rtt > 2 { // the load is over: the average comes down faster
		s.long *= 0.95
	}
	if float64(x.InFlight) < s.limit/2 {
		return s // the limit is not what holds the load back
	}
	s.gradient = max(0.5, min(1, l.Tolerance*long/rtt))
	next := s.limit*s.gradient + float64(l.Queue)
	s.limit = l.within(s.limit*(1-l.Smoothing) + next*l.Smoothing)
	return s
}

func (l Limit) within(limit float64) float64 {
	return max(float64(l.Min), min(float64(l.Max), limit))
}

// logOf is the whole part of log10 of the limit, at least 1.
func logOf(limit float64) float64 { return max(1, math.Floor(math.Log10(math.Floor(limit)))) }

// draw draws the jitter of the next probe, by SplitMix64: a State is a value, and a source
// of random numbers behind a pointer would make two plays of one State differ.
func (s *State) draw() {
	s.random += 0x9e3779b97f4a7c15
	z := s.random
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	z ^= z >> 31
	s.jitter = 0.5 + 0.5*float64(z>>11)/(1<<53)
}
