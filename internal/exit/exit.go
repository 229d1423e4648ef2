// Package exit has the exit codes of kabench, and chooses the code for a result.
package exit

import (
	"errors"
	"fmt"

	"github.com/kabench/kabench/results"
)

// Code is an exit code as an error. It ends the program without a message, because the result
// has been printed already.
type Code int

// The exit codes.
const (
	Done        Code = 0
	Unmet       Code = 1   // an expectation was not met or not judged, abort_when stopped the run, agents were lost with too much of it, or an incident was not reproduced
	Input       Code = 2   // wrong input
	Invalid     Code = 3   // the run is invalid
	Interrupted Code = 130 // as by SIGINT
)

func (c Code) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// Err returns c as an error, or nil for Done.
func (c Code) Err() error {
	if c == Done {
		return nil
	}
	return c
}

// OfRun returns the exit code for a run that was asked for by itself. An expectation that was
// not judged counts as one that was not met: who asked it must not take silence for a yes.
func OfRun(run *results.Run) Code {
	if code := ofPart(run); code != Done || len(run.Unjudged()) == 0 {
		return code
	}
	return Unmet
}

// ofPart returns the exit code for a run of an incident, whose expectations are written for
// every client: those that its client cannot tell do not count, unless it can tell none.
func ofPart(run *results.Run) Code {
	switch {
	case run.Interrupted && run.Stopped == nil:
		return Interrupted
	case !run.Valid:
		return Invalid
	case run.Stopped != nil:
		return Unmet
	case len(run.Unmet()) > 0, run.Degraded() != "", len(run.Expect) > 0 && len(run.Unjudged()) == len(run.Expect):
		return Unmet
	}
	return Done
}

// OfReproduction returns the exit code for the first run that did not end well.
func OfReproduction(rep *results.Reproduction) Code {
	code := ofPart(rep.IncidentRun)
	for _, r := range rep.RemedyRuns {
		if code == Done || r.Interrupted {
			code = ofPart(r.Run)
		}
	}
	if code == Done && !rep.Reproduced {
		return Interrupted // stopped between two runs
	}
	return code
}

// OfComparison returns Invalid if a setting has no valid run, so that it could not
// be compared.
func OfComparison(c *results.Comparison) Code {
	if c.Interrupted {
		return Interrupted
	}
	for _, arm := range c.Arms {
		if arm.Runs == 0 {
			return Invalid
		}
	}
	return Done
}

// Worst returns the exit code for several results together. The order, from the worst:
// interrupted, not run, invalid, not reproduced.
func Worst(codes ...Code) Code {
	rank := map[Code]int{Done: 0, Unmet: 1, Invalid: 2, Input: 3, Interrupted: 4}
	worst := Done
	for _, c := range codes {
		if rank[c] > rank[worst] {
			worst = c
		}
	}
	return worst
}

// From returns the code within err, if there is one.
func From(err error) (Code, bool) { return errors.AsType[Code](err) }
