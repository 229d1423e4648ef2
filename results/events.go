package results

import (
	"strconv"
	"strings"
	"time"
)

// Event tells of an exchange whether it could have been what is counted at a path,
// and whether it was.
type Event func(e *Exchange) (could, was bool)

// EventAt is what "not worse than" counts at path: of a percentile, the durations
// longer than limit. nil: that cannot be told from single exchanges.
func EventAt(path string, limit time.Duration) Event {
	if name, _, ok := percentile(path); ok {
		return longer(name, limit)
	}
	head, rest, _ := strings.Cut(path, ".")
	switch {
	case path == "failures", path == "failures.rate", path == "counts.failed":
		return started((*Exchange).Failed)
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

func started(was func(*Exchange) bool) Event {
	return func(e *Exchange) (bool, bool) { return e.Phase != PhaseSchedule, was(e) }
}

func answered(is func(status int) bool) Event {
	return func(e *Exchange) (bool, bool) { return e.OK(), e.OK() && is(e.Status) }
}

// failedAs is of the paths below failures.
func failedAs(rest string) Event {
	return started(func(e *Exchange) bool {
		if !e.Failed() {
			return false
		}
		o := Outcome{Phase: e.Phase, Cause: e.Cause, Reused: e.Reused(), Count: 1}
		v, found := failures(&Run{Outcomes: []Outcome{o}}, rest)
		return found && v.v > 0
	})
}

// longer is of the latency called name.
func longer(name string, limit time.Duration) Event {
	kind, rest, found := strings.Cut(name, ".")
	if !found {
		kind, rest = "", name
	}
	of := durationOf(rest)
	return func(e *Exchange) (bool, bool) {
		if rest != LatencyLag {
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
		return known, known && micros(d) > micros(limit)
	}
}

func durationOf(name string) func(*Exchange) (time.Duration, bool) {
	switch name {
	case LatencyResponse:
		return func(e *Exchange) (time.Duration, bool) { return e.ResponseTime(), true }
	case LatencyService:
		return func(e *Exchange) (time.Duration, bool) { return e.ServiceTime(), true }
	case LatencyLag:
		return func(e *Exchange) (time.Duration, bool) { return e.Lag(), e.Phase != PhaseSchedule }
	case LatencyBuffer:
		return func(e *Exchange) (time.Duration, bool) { return e.Buffered, e.Buffered > 0 }
	}
	return func(e *Exchange) (time.Duration, bool) {
		for phase, d := range e.Phases() {
			if phase.String() == name {
				return d, true
			}
		}
		return 0, false
	}
}

// SpanOf is in which of the Spans of a run an exchange is that was due at that
// offset; length is the run's.
func SpanOf(due, length time.Duration) int {
	if length <= 0 {
		return 0
	}
	return min(max(int(float64(due)/float64(length)*Spans), 0), Spans-1)
}

// SpansOf reads from d's record how often what is counted was met in each part of the run; nil when
// there is no whole record. What the record left out counts through what stands for it.
func (d *Dir) SpansOf(run *Run, event func(*Exchange) (could, was bool)) []Span {
	if event == nil || run.Recording.Error != "" {
		return nil
	}
	spans, oneIn := make([]Span, Spans), max(run.Recording.SuccessesOneIn, 1)
	for e, err := range d.Exchanges() {
		if err != nil {
			return nil
		}
		stands := uint64(1)
		if optional(e) {
			stands = oneIn
		}
		if could, was := event(e); could && !e.WarmUp {
			s := &spans[SpanOf(e.Due, run.End.Sub(run.Start))]
			s.N += stands
			if was {
				s.K += stands
			}
		}
	}
	return spans
}
