package lint

import (
	"fmt"
	"math"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/generator"
	"github.com/kabench/kabench/results"
)

// checkPending compares the connections that the load needs with those of a capped
// pool.
func checkPending(s *subject, o *outcome) {
	each, path, part := s.cap()
	if each == pool.NoCap {
		o.checked = true // without a cap, no request waits
		return
	}
	if s.lacksLoad(o) {
		return
	}
	held, _ := s.held()
	has, rate := multiply(each, s.shards()), s.rate()*part
	room := max(s.inFlight()-has, 0) // the generator holds back the rest
	if need := needed(rate, held); roundUp(need) > has {
		o.found(Finding{
			Path: path,
			Says: "The pool needs a connection for each request in progress. Their number is rate x time per request (Little's law).",
			Numbers: [2]string{
				fmt.Sprintf("%s x %v = %d connections", perSecond(rate), held, roundUp(need)),
				capText(path, each, s.shards()),
			},
			Seen: fmt.Sprintf("no more than %s succeed; %s", perSecond(float64(has)/held.Seconds()), s.refusal(room)),
			Set:  fmt.Sprintf("%s=%d", path, roundUp(need*5/4/float64(s.shards()))),
		}, atLeast(roundUp(need/float64(s.shards()))))
		return
	}
	excess := min(roundUp(part*s.excess(float64(has)/held.Seconds()/part)), room)
	if places := multiply(max(s.pool.PendingMax, 0), s.shards()); s.pool.PendingMax != pool.NoCap && excess > places {
		o.found(Finding{
			Path: "pool.pending_max",
			Says: "The queue must have room for the requests of a burst that get no connection at once.",
			Numbers: [2]string{
				fmt.Sprintf("%d waiting at the end of a peak of %s", excess, perSecond(s.peak()*part)),
				capText("pool.pending_max", s.pool.PendingMax, s.shards()),
			},
			Seen: "acquire failures (queue_full) late in each burst, before any connection is used: " + s.logged(results.PhaseAcquire, false, severalQueueFull, results.CauseQueueFull),
			Set:  fmt.Sprintf("pool.pending_max=%d; or %s=%d so that a burst does not queue", (excess+s.shards()-1)/s.shards(), path, roundUp(needed(s.peak()*part, held)/float64(s.shards()))),
		}, atLeast((excess+s.shards()-1)/s.shards()))
		excess = places
	}
	wait := time.Duration(float64(excess) * float64(held) / float64(has)).Round(time.Millisecond)
	if limit := s.pool.PendingTimeout; limit > 0 && wait > limit {
		o.found(Finding{
			Path:    "pool.pending_timeout",
			Says:    "The last request in the queue must get a connection before pool.pending_timeout.",
			Numbers: [2]string{fmt.Sprintf("longest wait of a burst %v", wait), fmt.Sprintf("pool.pending_timeout %v", limit)},
			Seen:    "acquire failures (timeout) after exactly pool.pending_timeout: " + s.logged(results.PhaseAcquire, false, severalPending, results.CauseTimeout),
			Set:     fmt.Sprintf("pool.pending_timeout=%v; or more connections", wait*5/4),
		}, atLeast(wait))
	}
}

func capText(path string, each, shards int) string { return capOf(path, each, "pool.shards", shards) }

// capOf writes a limit that each of n things has.
func capOf(path string, each int, several string, n int) string {
	if n > 1 {
		return fmt.Sprintf("%s %d x %s %d = %d", path, each, several, n, multiply(each, n))
	}
	return fmt.Sprintf("%s %d", path, each)
}

// refusal says how the requests fail that a pool too small cannot serve, if room
// requests can wait.
func (s *subject) refusal(room int) string {
	limit := s.pool.PendingTimeout
	switch {
	case room == 0:
		return "the others are not sent (counts.dropped), or wait in load.buffer"
	case s.pool.PendingMax != pool.NoCap && multiply(s.pool.PendingMax, s.shards()) < room:
		return "the others fail at once to acquire (queue_full): " + s.logged(results.PhaseAcquire, false, severalQueueFull, results.CauseQueueFull)
	case limit > 0 && (s.timeout() == 0 || limit < s.timeout()):
		return fmt.Sprintf("the others fail to acquire (timeout) after %v", limit)
	}
	if !s.given("load.timeout") && s.inFlight() == math.MaxInt {
		return "the queue grows until callers give up"
	}
	return "the queue grows until requests time out (load.timeout) or are dropped (load.max_in_flight)"
}

// excess is how many requests wait at the end of a peak if served requests per second
// get a connection.
func (s *subject) excess(served float64) float64 {
	l, over := s.profile.Load, s.peak()-served
	if over <= 0 {
		return 0
	}
	switch a := l.Arrivals; a.Process {
	case generator.Burst:
		return over * a.On.Seconds()
	case generator.Ramp: // the area between rate and served is a triangle, after a warm-up at the first rate
		warm := max(float64(l.Rate)-served, 0) * l.WarmUp.Seconds()
		rising := math.Abs(float64(a.To-l.Rate)) / l.Duration.Seconds()
		if rising == 0 {
			return warm
		}
		return warm + over*over/2/rising
	case generator.Sine: // the area of the swing above served
		below, swing := served-float64(l.Rate), float64(a.Amplitude)
		from := math.Asin(max(below/swing, -1))
		return a.Period.Seconds() / (2 * math.Pi) * (2*swing*math.Cos(from) - below*(math.Pi-2*from))
	}
	return 0
}
