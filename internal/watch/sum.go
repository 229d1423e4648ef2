package watch

import (
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/kabench/kabench/internal/evidence"
)

// Sum counts what has happened since the watch began, or since Reset. Its counts go on
// where the connections themselves are no longer kept.
type Sum struct {
	Connections int              `json:"connections"`             // that were seen, those older than the watch included
	Older       int              `json:"older"`                   // of them, those that were there before the watch
	Open        int              `json:"open"`                    // at the end
	Unfollowed  int              `json:"unfollowed,omitempty"`    // sockets beyond the bound
	Requests    int              `json:"requests"`                // at least: between two looks there may have been more
	Failures    int              `json:"failures"`                // requests without a whole response
	Met         map[string]int   `json:"met"`                     // of them, by how they met the end
	Closes      map[string]int   `json:"closes"`                  // by the side that closed first
	Kinds       map[string]int   `json:"kinds"`                   // by how they were closed
	Resets      map[string]int   `json:"resets,omitempty"`        // RSTs sent and received, as the kernel reported them
	Reasons     map[string]int   `json:"reset_reasons,omitempty"` // the kernel's reasons
	Retransmits int              `json:"retransmits"`             // segments sent again
	Segments    int              `json:"segments"`                // whose headers were read
	Idle        map[string]Spans `json:"idle_before_close"`       // by the side that closed first
}

func (s *Sum) begin() {
	*s = Sum{Met: map[string]int{}, Closes: map[string]int{}, Kinds: map[string]int{}, Resets: map[string]int{}, Reasons: map[string]int{}, Idle: map[string]Spans{}}
}

const maxReasons = 100

func (s *Sum) reset(way, reason string) {
	s.Resets[way]++
	if reason != "" && (s.Reasons[reason] > 0 || len(s.Reasons) < maxReasons) {
		s.Reasons[reason]++
	}
}

// count counts a connection that has ended, or is open at the end.
func (s *Sum) count(c *evidence.Connection) {
	s.Requests += c.Requests
	for _, u := range c.Unanswered {
		if u.Met == evidence.Waiting {
			continue
		}
		s.Requests++
		s.Failures++
		s.Met[u.Met.String()]++
	}
	if c.Close.How == evidence.Open {
		return
	}
	side := c.Close.By.String()
	s.Closes[side]++
	s.Kinds[c.Close.How.String()]++
	if idle, ok := IdleBefore(c); ok {
		spans := s.Idle[side]
		spans.add(idle)
		s.Idle[side] = spans
	}
}

// IdleBefore is how long a connection had carried no data when it was closed; ok is
// false if that was not seen, or if a request was under way.
func IdleBefore(c *evidence.Connection) (idle time.Duration, ok bool) {
	n := len(c.Exchanges)
	if n == 0 || len(c.Unanswered) > 0 || c.Close.At == notSeen || c.Close.How == evidence.Open || c.Exchanges[n-1].Done == notSeen {
		return 0, false
	}
	idle = c.Close.At - c.Exchanges[n-1].Done
	return max(idle, 0), idle > -c.Slack-time.Second
}

// Spans counts times in buckets, each a quarter wider than the one before, from a
// millisecond on.
type Spans struct {
	Count    int
	Min, Max float64 // seconds
	counts   [spanBuckets]int
}

// MarshalJSON writes the buckets that are not empty, by their upper end in seconds.
func (s Spans) MarshalJSON() ([]byte, error) {
	buckets := map[string]int{}
	for i, n := range s.counts {
		if n > 0 {
			buckets[strconv.FormatFloat(upper(i), 'g', 3, 64)] = n
		}
	}
	return json.Marshal(map[string]any{"count": s.Count, "min": s.Min, "median": s.Median().Seconds(), "max": s.Max, "buckets": buckets})
}

const spanBuckets = 80 // up to 14 hours

// upper is the upper end of a bucket, in seconds.
func upper(i int) float64 {
	end := 0.001
	for range i {
		end *= 1.25
	}
	return end
}

func (s *Spans) add(d time.Duration) {
	seconds := d.Seconds()
	if s.Count == 0 || seconds < s.Min {
		s.Min = seconds
	}
	s.Max = max(s.Max, seconds)
	s.Count++
	i, end := 0, 0.001
	for i < spanBuckets-1 && seconds > end {
		end *= 1.25
		i++
	}
	s.counts[i]++
}

// Median is the middle of the times, as exact as the buckets are.
func (s *Spans) Median() time.Duration {
	n := 0
	for i, count := range s.counts {
		if n += count; 2*n >= s.Count {
			return time.Duration(min(max(upper(i)/1.12, s.Min), s.Max) * float64(time.Second))
		}
	}
	return 0
}

// Idle is how long connections had carried no data when one side closed them, in seconds.
type Idle struct {
	Count  int       `json:"count"`
	Min    float64   `json:"min"`
	Median float64   `json:"median"`
	Max    float64   `json:"max"`
	Times  []float64 `json:"-"` // in order
}

// IdleTimes are the idle times before the closes of connections, by the side that closed
// first.
func IdleTimes(list []evidence.Connection) map[string]Idle {
	of := map[string]Idle{}
	for i := range list {
		if idle, ok := IdleBefore(&list[i]); ok {
			side := list[i].Close.By.String()
			one := of[side]
			one.Times = append(one.Times, idle.Seconds())
			of[side] = one
		}
	}
	for side, one := range of {
		slices.Sort(one.Times)
		n := len(one.Times)
		of[side] = Idle{n, one.Times[0], one.Times[n/2], one.Times[n-1], one.Times}
	}
	return of
}
