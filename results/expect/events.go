package expect

import (
	"strconv"
	"strings"
	"time"

	"github.com/kabench/kabench/results"
)

// Event reports whether an exchange could have been counted at a path, and whether
// it was.
type Event func(e *results.Exchange) (could, was bool)

// EventAt returns the Event that "not worse than" counts at path. For a percentile it
// counts the durations longer than limit. It returns nil if single exchanges do not
// show what the path counts.
func EventAt(path string, limit time.Duration) Event {
	if name, _, ok := percentile(path); ok {
		return longer(name, limit)
	}
	head, rest, _ := strings.Cut(path, ".")
	switch {
	case path == "failures", path == "failures.rate", path == "counts.failed":
		return started((*results.Exchange).Failed)
	case head == "failures":
		return failedAs(rest)
	case head == "statuses":
		status, err := strconv.Atoi(rest)
		if err != nil {
			return nil
		}
		return answered(func(code int) bool { return code == status })
	case path == "error_answers", path == "error_answers.rate":
		return answered(func(code int) bool { return code >= 400 })
	case path == "error_answers.client":
		return answered(func(code int) bool { return code >= 400 && code < 500 })
	case path == "error_answers.server":
		return answered(func(code int) bool { return code >= 500 })
	}
	return nil
}

func started(was func(*results.Exchange) bool) Event {
	return func(e *results.Exchange) (bool, bool) { return e.Phase != results.PhaseSchedule, was(e) }
}

func answered(is func(status int) bool) Event {
	return func(e *results.Exchange) (bool, bool) { return e.OK(), e.OK() && is(e.Status) }
}

// failedAs returns the Event for the path failures.<rest>.
func failedAs(rest string) Event {
	return started(func(e *results.Exchange) bool {
		if !e.Failed() {
			return false
		}
		o := results.Outcome{Phase: e.Phase, Cause: e.Cause, Reused: e.Reused(), Count: 1}
		v, found := failures(&results.Run{Outcomes: []results.Outcome{o}}, rest)
		return found && v.Number > 0
	})
}

// longer returns the Event "the latency called name was longer than limit".
func longer(name string, limit time.Duration) Event {
	kind, rest, found := strings.Cut(name, ".")
	if !found {
		kind, rest = "", name
	}
	of := durationOf(rest)
	return func(e *results.Exchange) (bool, bool) {
		if rest != results.LatencyLag {
			switch kind {
			case "failed":
				if !e.Failed() {
					return false, false
				}
			case "fresh", "reused":
				if !e.OK() || e.Reused() != (kind == "reused") {
					return false, false
				}
			default:
				if !e.OK() {
					return false, false
				}
			}
		}
		d, known := of(e)
		return known, known && results.Micros(d) > results.Micros(limit)
	}
}

func durationOf(name string) func(*results.Exchange) (time.Duration, bool) {
	switch name {
	case results.LatencyResponse:
		return func(e *results.Exchange) (time.Duration, bool) { return e.ResponseTime(), true }
	case results.LatencyService:
		return func(e *results.Exchange) (time.Duration, bool) { return e.ServiceTime(), true }
	case results.LatencyLag:
		return func(e *results.Exchange) (time.Duration, bool) { return e.Lag(), e.Phase != results.PhaseSchedule }
	case results.LatencyBuffer:
		return func(e *results.Exchange) (time.Duration, bool) { return e.Buffered, e.Buffered > 0 }
	}
	return func(e *results.Exchange) (time.Duration, bool) {
		for phase, d := range e.Phases() {
			if phase.String() == name {
				return d, true
			}
		}
		return 0, false
	}
}
