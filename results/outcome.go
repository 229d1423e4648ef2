package results

import (
	"strconv"
)

// ErrorAnswers count the complete responses whose status says that the request was
// not served: 400 and above (RFC 9110, sections 15.5 and 15.6). As exchanges they
// are ok. Statuses of 600 and above, which HTTP does not define, count as Server.
type ErrorAnswers struct {
	Client uint64 `json:"client"` // 4xx
	Server uint64 `json:"server"` // 5xx
}

// Sum is the number of error responses.
func (e ErrorAnswers) Sum() uint64 { return e.Client + e.Server }

// CountErrorAnswers counts the error responses in statuses, the statuses of the
// exchanges that are ok.
func CountErrorAnswers(statuses map[string]uint64) (e ErrorAnswers) {
	for status, n := range statuses {
		switch code, err := strconv.Atoi(status); {
		case err != nil || code < 400:
		case code < 500:
			e.Client += n
		default:
			e.Server += n
		}
	}
	return e
}

// FailureCounts is how many exchanges failed with each phase and cause, by the name
// of the measure.
func (run *Run) FailureCounts() map[string]uint64 {
	counts := map[string]uint64{}
	for _, o := range run.Outcomes {
		if o.Failed() {
			counts[MeasureFailureRate+"."+o.Phase.String()+"."+o.Cause.String()] += o.Count
		}
	}
	return counts
}

// Failed reports whether the outcome is a failure: its exchanges were started, and
// were neither done nor given up.
func (o Outcome) Failed() bool {
	return o.Phase != PhaseSchedule && o.Phase != PhaseDone && o.Cause != CauseAborted
}

// Counts are the numbers of a run's exchanges. They add up: Due = Started + Dropped and
// Started = OK + Failed + Unfinished.
type Counts struct {
	Due        uint64 `json:"due"`
	Started    uint64 `json:"started"`
	Dropped    uint64 `json:"dropped"` // due, but never started: the limit of requests in flight was reached
	OK         uint64 `json:"ok"`
	Failed     uint64 `json:"failed"`
	Unfinished uint64 `json:"unfinished"` // given up when the run was aborted
	Waited     uint64 `json:"waited"`     // of Started: those that waited in the bounded buffer first
	WarmUp     uint64 `json:"warm_up"`    // due in the warm-up; not in any other count
	Unbounded  uint64 `json:"unbounded"`  // of OK: the response ended only with the connection, so nobody knows whether it is complete
}

// Balance reports whether the counts add up.
func (c Counts) Balance() bool {
	return c.Due == c.Started+c.Dropped && c.Started == c.OK+c.Failed+c.Unfinished
}

// Outcome counts the exchanges that ended with the same phase and cause, on the same
// kind of connection.
type Outcome struct {
	Phase   Phase  `json:"phase"`
	Cause   Cause  `json:"cause"`
	Reused  bool   `json:"reused"` // false also when there was no connection: see Connection
	Count   uint64 `json:"count"`
	Example string `json:"example,omitempty"`         // text of the error of one of them
	Looked  uint64 `json:"looked_at_lease,omitempty"` // of Count: those whose socket was checked when leased
	Stale   uint64 `json:"stale_at_lease,omitempty"`  // of Looked: the peer had ended the connection by then
}

// Resends count what the pool's policy sent again, or what a real client did, as far as
// its connections were seen. What the stock client sends again by itself is only in
// Run.Attempts.
type Resends struct {
	Count      uint64        `json:"count"`       // attempts after which the request was sent again, over all exchanges
	Exchanges  uint64        `json:"exchanges"`   // exchanges that were sent again at least once
	Rescued    uint64        `json:"rescued"`     // of Exchanges: those that are ok in the end
	MaybeTwice uint64        `json:"maybe_twice"` // exchanges that are not idempotent and may have been executed more than once
	Causes     []ResendCause `json:"causes"`      // how those attempts had failed
}

// ResendCause counts the attempts that failed with the same phase and cause, on the
// same kind of connection, and after which the request was sent again.
type ResendCause struct {
	Phase  Phase  `json:"phase"`
	Cause  Cause  `json:"cause"`
	Reused bool   `json:"reused"`
	Count  uint64 `json:"count"`
}

// Unasked is how many attempts the policy did not ask for: the stock client's
// transport sends requests again by itself.
func (run *Run) Unasked() uint64 {
	asked := run.Reuse.Fresh + run.Reuse.Reused + run.Resends.Count // one attempt each, and the resends
	return max(run.Attempts, asked) - asked
}

// What Outcome.Connection returns.
const (
	ConnectionNone   = "no connection"
	ConnectionFresh  = "fresh"
	ConnectionReused = "reused"
)

// Connection is the kind of connection the exchanges were put on: "fresh",
// "reused", or "no connection" when they ended before there was one.
func (o Outcome) Connection() string {
	switch {
	case o.Phase < PhaseWriteHeaders: // schedule, acquire, resolve, connect, tls
		return ConnectionNone
	case o.Reused:
		return ConnectionReused
	default:
		return ConnectionFresh
	}
}
