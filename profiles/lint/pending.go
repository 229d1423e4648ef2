package lint

import (
	"fmt"
	"math"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/generator"
	"github.com/kabench/kabench/results"
)

// checkPending compares what the load asks of a capped pool with what it has.
func checkPending(s *subject, o *outcome) {
	each, path, part := s.cap()
	if each == pool.NoCap {
		o.checked = true // without a cap nobody waits
		return
	}
	if s.lacksLoad(o) {
		return
	}
	held, _ := s.held()
	has, rate := times(each, s.shards()), s.rate()*part
	room := max(s.inFlight()-has, 0) // for more than that the generator keeps back
	if need := needed(rate, held); whole(need) > has {
		o.found(Finding{
			Path: path,
			Says: "By Little's law rate x time per request is how many connections are busy; the pool must have as many.",
			Numbers: [2]string{
				fmt.Sprintf("%s x %v = %d connections", perSecond(rate), held, whole(need)),
				capText(path, each, s.shards()),
			},
			Seen: fmt.Sprintf("no more than %s succeed; %s", perSecond(float64(has)/held.Seconds()), s.refusal(room)),
			Set:  fmt.Sprintf("%s=%d", path, whole(need*5/4/float64(s.shards()))),
		}, atLeast(whole(need/float64(s.shards()))))
		return
	}
	excess := min(whole(part*s.excess(float64(has)/held.Seconds()/part)), room)
	if places := times(max(s.pool.PendingMax, 0), s.shards()); s.pool.PendingMax != pool.NoCap && excess > places {
		o.found(Finding{
			Path: "pool.pending_max",
			Says: "What a burst asks beyond the pool's connections must find room in its queue.",
			Numbers: [2]string{
				fmt.Sprintf("%d waiting at the end of a peak of %s", excess, perSecond(s.peak()*part)),
				capText("pool.pending_max", s.pool.PendingMax, s.shards()),
			},
			Seen: "acquire failures (queue_full) late in each burst, without a socket having been touched: " + s.logged(results.PhaseAcquire, false, severalQueueFull, results.CauseQueueFull),
			Set:  fmt.Sprintf("pool.pending_max=%d; or %s=%d for a burst that does not queue", (excess+s.shards()-1)/s.shards(), path, whole(needed(s.peak()*part, held)/float64(s.shards()))),
		}, atLeast((excess+s.shards()-1)/s.shards()))
		excess = places
	}
	wait := time.Duration(float64(excess) * float64(held) / float64(has)).Round(time.Millisecond)
	if limit := s.pool.PendingTimeout; limit > 0 && wait > limit {
		o.found(Finding{
			Path:    "pool.pending_timeout",
			Says:    "The last in the queue must be served before its time to wait is up.",
			Numbers: [2]string{fmt.Sprintf("longest wait of a burst %v", wait), fmt.Sprintf("pool.pending_timeout %v", limit)},
			Seen:    "acquire failures (timeout) at exactly that time: " + s.logged(results.PhaseAcquire, false, severalPending, results.CauseTimeout),
			Set:     fmt.Sprintf("pool.pending_timeout=%v; or more connections", wait*5/4),
		}, atLeast(wait))
	}
}

func capText(path string, each, shards int) string { return capOf(path, each, "pool.shards", shards) }

// capOf is a limit that each of several has, in words.
func capOf(path string, each int, several string, n int) string {
	if n > 1 {
		return fmt.Sprintf("%s %d x %s %d = %d", path, each, several, n, times(each, n))
	}
	return fmt.Sprintf("%s %d", path, each)
}

// refusal says how requests fail that a pool too small cannot serve, when so
// many can wait.
func (s *subject) refusal(room int) string {
	limit := s.pool.PendingTimeout
	switch {
	case room == 0:
		return "what is more is not sent (counts.dropped, or it waits in load.buffer)"
	case s.pool.PendingMax != pool.NoCap && times(s.pool.PendingMax, s.shards()) < room:
		return "the others fail to acquire (queue_full), at once: " + s.logged(results.PhaseAcquire, false, severalQueueFull, results.CauseQueueFull)
	case limit > 0 && (s.timeout() == 0 || limit < s.timeout()):
		return fmt.Sprintf("the others fail to acquire (timeout) after %v", limit)
	}
	if !s.given("load.timeout") && !s.given("load.max_in_flight") {
		return "the queue grows until callers give up"
	}
	return "the queue grows until requests run into load.timeout, or are dropped at load.max_in_flight"
}

// excess is how many requests wait at the end of a peak if so many are served
// per second.
func (s *subject) excess(served float64) float64 {
	l, over := s.profile.Load, s.peak()-served
	if over <= 0 {
		return 0
	}
	switch a := l.Arrivals; a.Process {
	case generator.Burst:
		return over * a.On.Seconds()
	case generator.Ramp: // a triangle above what is served, after a warm-up at the start's rate
		warm := max(float64(l.Rate)-served, 0) * l.WarmUp.Seconds()
		rising := math.Abs(float64(a.To-l.Rate)) / l.Duration.Seconds()
		if rising == 0 {
			return warm
		}
		return warm + over*over/2/rising
	case generator.Sine: // what of the swing is above what is served
		below, swing := served-float64(l.Rate), float64(a.Amplitude)
		from := math.Asin(max(below/swing, -1))
		return a.Period.Seconds() / (2 * math.Pi) * (2*swing*math.Cos(from) - below*(math.Pi-2*from))
	}
	return 0
}
