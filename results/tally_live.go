package results

import (
	"strings"
	"time"
)

// of returns the series that belong to a latency's name: "response" is of all
// exchanges that are ok; "failed.response", "fresh.response" and "reused.response"
// are of some exchanges. It returns nil for an unknown name.
func (t *Tally) of(name string) []*series {
	kind, rest, found := strings.Cut(name, ".")
	switch {
	case name == LatencyLag:
		return []*series{&t.lag}
	case name == "idle_at_failure":
		return []*series{&t.idle}
	case !found:
		return pick(name, &t.ok[0], &t.ok[1])
	case kind == "fresh":
		return pick(rest, &t.ok[0])
	case kind == "reused":
		return pick(rest, &t.ok[1])
	case kind == "failed":
		return pick(rest, &t.failed)
	}
	return nil
}

// IsLatency reports whether a Tally has durations with this name, for example
// "response" or "failed.response".
func IsLatency(name string) bool { return len(new(Tally).of(name)) > 0 }

func pick(name string, from ...*latencies) []*series {
	var list []*series
	for _, l := range from {
		var phase Phase
		switch {
		case name == LatencyResponse:
			list = append(list, &l.response)
		case name == LatencyService:
			list = append(list, &l.service)
		case name == LatencyBuffer:
			list = append(list, &l.buffer)
		case phase.UnmarshalText([]byte(name)) == nil:
			list = append(list, &l.phases[phase])
		}
	}
	return list
}

// Above returns how many durations with this name are longer than d, and how many t
// has counted.
func (t *Tally) Above(name string, d time.Duration) (above, of uint64) {
	for _, s := range t.of(name) {
		above += s.above(d)
		of += s.count
	}
	return above, of
}

// Glance copies the counts of t, and only the durations of the named latencies. The
// copy is small enough to be made while t's owner waits.
func (t *Tally) Glance(latencies []string) *Tally {
	c := &Tally{}
	c.mergeCounts(t)
	for _, name := range latencies {
		to := c.of(name)
		for i, s := range t.of(name) {
			*to[i] = s.clone()
		}
	}
	return c
}

// clone is a copy of s that shares nothing with it.
func (s *series) clone() series {
	c := *s
	if s.h != nil {
		c.h = s.h.Clone()
	}
	return c
}
