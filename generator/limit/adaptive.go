package limit

import "github.com/kabench/kabench/results"

// Adaptive is a limit that learns from one exchange after another.
type Adaptive struct {
	rule  Limit
	state State
	seen  results.LimitSeen
}

// Adapt is l before the first exchange; nil if l is fixed. l must be valid. The seed is as
// for Begin.
func (l Limit) Adapt(seed uint64) *Adaptive {
	if !l.Adaptive() {
		return nil
	}
	l = l.Resolved()
	a := &Adaptive{rule: l, state: l.Begin(seed)}
	a.seen = results.LimitSeen{Algorithm: l.Algorithm.String(), Initial: l.Initial, Lowest: l.Initial, Highest: l.Initial, Final: l.Initial}
	return a
}

// Learn takes what an exchange says that is over, and returns the limit from now on.
func (a *Adaptive) Learn(x Sample) (now int) {
	a.state = a.rule.Next(a.state, x)
	now = a.state.Now()
	a.seen.Lowest, a.seen.Highest, a.seen.Final = min(a.seen.Lowest, now), max(a.seen.Highest, now), now
	return now
}

// Now is the limit.
func (a *Adaptive) Now() int { return a.state.Now() }

// Seen is what the limit has been so far.
func (a *Adaptive) Seen() results.LimitSeen { return a.seen }
