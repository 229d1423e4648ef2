package fleet

import (
	"math"
	"time"

	"github.com/kabench/kabench/results"
)

// Clock is what an agent or a controller reads the time from.
type Clock interface {
	// Now is the time since 1970 by this clock, in nanoseconds. It never goes back.
	Now() int64
	// Moment is when this clock shows ns, by the clock of this process: with a monotonic
	// reading, so that it can be waited for.
	Moment(ns int64) time.Time
}

// SystemClock is this machine's clock, as it stood when SystemClock was made. What sets the
// machine's clock later does not change it.
func SystemClock() Clock { return systemClock{time.Now()} }

type systemClock struct{ base time.Time }

func (c systemClock) Now() int64 { return c.base.UnixNano() + int64(time.Since(c.base)) }

func (c systemClock) Moment(ns int64) time.Time {
	return c.base.Add(time.Duration(ns - c.base.UnixNano()))
}

// skewedClock is a clock that is wrong, for tests: ahead by Skew, and faster by Drift.
type skewedClock struct {
	systemClock
	skew  time.Duration
	drift float64 // seconds per second
}

// SkewedClock is SystemClock ahead by skew at first, and then faster by drift seconds per
// second. Tests run agents with it.
func SkewedClock(skew time.Duration, drift float64) Clock {
	return skewedClock{systemClock{time.Now()}, skew, drift}
}

func (c skewedClock) Now() int64 {
	since := time.Since(c.base)
	return c.base.UnixNano() + int64(c.skew) + int64(since) + int64(float64(since)*c.drift)
}

func (c skewedClock) Moment(ns int64) time.Time {
	since := float64(ns-c.base.UnixNano()-int64(c.skew)) / (1 + c.drift)
	return c.base.Add(time.Duration(since))
}

// inRound is how many questions about the time make one measure: the one with the least
// round trip counts.
const inRound = 16

// measureEvery is the time between two measures.
const measureEvery = 10 * time.Second

// question is one question about the time, with its answer: nanoseconds since 1970.
type question struct {
	asked, answered int64 // by the agent's clock
	theirs          int64 // what the controller's clock showed in between
}

func (q question) roundTrip() int64 { return q.answered - q.asked }

// offset is the agent's clock minus the controller's, if the answer took half of the round
// trip. It is wrong by at most half of the round trip.
func (q question) offset() int64 { return q.asked + q.roundTrip()/2 - q.theirs }

// best is the question with the least round trip; false if there is none.
func best(round []question) (q question, ok bool) {
	for _, r := range round {
		if r.roundTrip() < 0 {
			continue // no clock can show this
		}
		if !ok || r.roundTrip() < q.roundTrip() {
			q, ok = r, true
		}
	}
	return q, ok
}

// clockState is what an agent says about its clock.
type clockState struct {
	Known    bool    `json:"known"`
	Offset   float64 `json:"offset"` // seconds, now
	Error    float64 `json:"error"`  // seconds
	Drift    float64 `json:"drift"`
	Measures int     `json:"measures"`
}

// offsets are the measures of one controller's clock.
type offsets struct {
	controller string // the instance whose clock was measured
	points     []point
	measures   int // with those of controllers before
}

// point is one measure: at, by the agent's clock, its offset and half of the round trip.
type point struct{ at, offset, err int64 }

// mostPoints is how many measures are kept: an hour's.
const mostPoints = 360

// add adds the best of a round. A controller that was started again has another clock.
func (o *offsets) add(controller string, q question) {
	if o.controller != controller {
		o.controller, o.points = controller, nil
	}
	if len(o.points) == mostPoints {
		o.points = append(o.points[:0], o.points[1:]...)
	}
	o.points = append(o.points, point{q.asked + q.roundTrip()/2, q.offset(), q.roundTrip() / 2})
	o.measures++
}

// line is a straight line through the measures that are at most span from at: its value
// there in nanoseconds, and its slope. A measure counts by how exact it is: its weight is one
// by the square of its error. err is what the value can be wrong by, if the line is straight.
// With one measure, or with measures so near to each other that their errors would be the
// slope, the slope is 0.
func (o *offsets) line(at int64, span time.Duration) (value, slope float64, err int64, ok bool) {
	var n int
	var weights, wrong, sx, sy, sxx, sxy float64
	var first, last int64
	for _, p := range o.points {
		if abs(p.at-at) > int64(span) {
			continue
		}
		e := float64(max(p.err, leastErr))
		w := 1 / (e * e)
		x, y := float64(p.at-at), float64(p.offset-o.points[0].offset)
		if n == 0 {
			first = p.at
		}
		last = p.at
		n++
		weights, wrong, sx, sy, sxx, sxy = weights+w, wrong+w*e, sx+w*x, sy+w*y, sxx+w*x*x, sxy+w*x*y
	}
	if n == 0 {
		return 0, 0, 0, false
	}
	value = sy / weights
	if d := weights*sxx - sx*sx; n >= 3 && last-first >= int64(leastSpan) && d > 0 {
		slope = (weights*sxy - sx*sy) / d
		value = (sy - slope*sx) / weights
	}
	return value + float64(o.points[0].offset), slope, int64(math.Ceil(wrong / weights)), true
}

// leastErr is the error, in nanoseconds, below which a measure counts for no more.
const leastErr = 1000

// leastSpan is the time over which offsets must have been measured before their drift counts.
const leastSpan = 15 * time.Second

// nearStart is how far from a moment measures may be to say what the offset was there.
const nearStart = 45 * time.Second

func abs(n int64) int64 {
	if n < 0 {
		return -n
	}
	return n
}

// at is the offset at a moment of the agent's clock, from the measures near it, or from the
// newest if there are none; nanoseconds.
func (o *offsets) at(moment int64) (offset float64, err int64, ok bool) {
	if value, _, err, ok := o.line(moment, nearStart); ok {
		return value, err, true
	}
	if len(o.points) == 0 {
		return 0, 0, false
	}
	newest := o.points[len(o.points)-1]
	_, slope, _, _ := o.line(newest.at, time.Hour)
	return float64(newest.offset) + slope*float64(moment-newest.at), newest.err, true
}

// state is what is known now.
func (o *offsets) state(now int64) clockState {
	offset, err, ok := o.at(now)
	if !ok {
		return clockState{Measures: o.measures}
	}
	return clockState{Known: true, Offset: offset / 1e9, Error: float64(err) / 1e9, Drift: o.drift(now), Measures: o.measures}
}

// drift is by how much the offset grows, in seconds per second.
func (o *offsets) drift(now int64) float64 {
	_, slope, _, _ := o.line(now, time.Hour)
	return slope
}

// mine turns a moment of the controller's clock into the agent's: nanoseconds since 1970.
// used is the offset with which it did.
func (o *offsets) mine(theirs int64) (mine int64, used float64, ok bool) {
	used, _, ok = o.at(theirs)
	for range 3 { // the offset is wanted at the moment that is looked for, and drifts little
		if !ok {
			return 0, 0, false
		}
		used, _, ok = o.at(theirs + int64(used))
	}
	return theirs + int64(math.Round(used)), used, ok
}

// document is the clock for the results. agreed is the start by the controller's clock and
// began the real one by the agent's; the skew is their distance, by all that was measured
// since. began 0 means that it did not begin.
func (o *offsets) document(agreed, began int64) results.Clock {
	if len(o.points) == 0 {
		return results.Clock{Measures: o.measures}
	}
	at := began
	if at == 0 {
		at = o.points[len(o.points)-1].at
	}
	offset, err, _ := o.at(at)
	c := results.Clock{Offset: offset / 1e9, Error: float64(err) / 1e9, Drift: o.drift(at), Measures: o.measures}
	if began != 0 && agreed != 0 {
		c.Skew = (float64(began-agreed) - offset) / 1e9
	}
	return c
}
