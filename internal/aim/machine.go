package aim

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/kabench/kabench/results"
)

// Nap is for how long this machine waited each time that its lateness was measured.
const Nap = 2 * time.Millisecond

// stalled is from how late on a machine does something else.
const stalled = 1500 * time.Microsecond

// machine is this machine on virtual time. Its timers are a little late, and now and then
// it has something else to do. Both differ from run to run.
type machine struct {
	rng          *rand.Rand
	late         float64 // the mean lateness of a timer, in nanoseconds
	busy         float64 // how often it has something else to do, if that was not measured
	stall        float64 // and for how long, in nanoseconds
	client, link []pause // when these threads do nothing, if that was measured
}

// pause is a time in which a thread does nothing.
type pause struct{ from, to time.Duration }

// newMachine makes one run's machine, which lasts for that long.
func newMachine(rng *rand.Rand, late []time.Duration, lasts time.Duration) machine {
	// A quiet machine is late by a quarter of a millisecond, and by some milliseconds one
	// time in a hundred.
	m := machine{rng: rng}
	m.late = 250e3 * math.Exp(0.8*rng.NormFloat64())
	m.busy = min(0.01*math.Exp(1.2*rng.NormFloat64()), 0.3)
	m.stall = 5e6 * math.Exp(0.5*rng.NormFloat64())
	if len(late) == 0 {
		return m
	}
	m.busy = 0
	list := slices.Sorted(slices.Values(late))
	long, _ := slices.BinarySearch(list, stalled)
	if long > 0 {
		m.late = max(float64(list[long/2]), 50e3) * math.Exp(0.4*rng.NormFloat64())
	}
	measured := time.Duration(len(list)) * Nap
	for _, l := range list {
		measured += l
	}
	// One more stall than was seen may have been due, and the next seconds may have more.
	stalls := append(list[long:], time.Duration(m.stall))
	every := float64(measured) / float64(len(stalls)) * math.Exp(0.5*rng.NormFloat64())
	longer := math.Exp(0.4 * rng.NormFloat64())
	for _, of := range []*[]pause{&m.client, &m.link} {
		for at := 0.0; at < float64(lasts); {
			at += rng.ExpFloat64() * every
			takes := float64(stalls[rng.IntN(len(stalls))]) * longer
			*of = append(*of, pause{time.Duration(at), time.Duration(at + takes)})
			at += takes
		}
	}
	return m
}

// lateness is how late a timer fires.
func (m *machine) lateness() time.Duration {
	late := m.rng.ExpFloat64() * m.late
	if m.rng.Float64() < m.busy {
		late += m.rng.ExpFloat64() * m.stall
	}
	return time.Duration(late)
}

// awake returns when a thread with these pauses does what is due at that time.
func awake(pauses []pause, due time.Duration) time.Duration {
	i, _ := slices.BinarySearchFunc(pauses, due, func(p pause, due time.Duration) int { return int(p.to - due) })
	if i < len(pauses) && pauses[i].from <= due {
		return pauses[i].to
	}
	return due
}

// disturbed says in words by how much the forecast is uncertain because this machine was
// busy: when the server was measured, or now. "": it was not.
func disturbed(s Server) string {
	const much = 3 * time.Millisecond
	late := slices.Sorted(slices.Values(s.Late))
	switch now := len(late) > 0 && late[len(late)*99/100] > much; {
	case now && s.Idle.slack > much:
		return "this machine is busy: it wakes up to " + results.FormatSeconds(late[len(late)*99/100].Seconds()) + " late, and the closes of the server were measured up to " + results.FormatSeconds(s.Idle.slack.Seconds()) + " late, so the interval is wide"
	case now:
		return "this machine is busy: it wakes up to " + results.FormatSeconds(late[len(late)*99/100].Seconds()) + " late, so the interval is wide"
	case s.Idle.slack > much:
		return "the machine that measured the server was busy: it noticed closes up to " + results.FormatSeconds(s.Idle.slack.Seconds()) + " late, so the interval is wide"
	}
	return ""
}
