package expect

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/kabench/kabench/results"
)

// Validate returns all complaints about expect, joined. Each begins with its path:
// no run has this path, or the condition does not fit the value at this path. Call
// it before a run.
//
// docs/results.md lists the paths.
func Validate(expect map[string]string) error {
	return validate(figures{own: &results.Run{}, References: References{Baseline: &results.Run{}}}, expect)
}

// ValidateRemedy is Validate for the expectations of a remedy, which may name the
// incident.
func ValidateRemedy(expect map[string]string) error {
	return validate(figures{own: &results.Run{}, References: References{Incident: &results.Run{}, Baseline: &results.Run{}}}, expect)
}

func validate(in figures, expect map[string]string) error {
	var errs []error
	for _, path := range slices.Sorted(maps.Keys(expect)) {
		if _, err := in.ask(path, expect[path]); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// asked is the value at a path, and the condition that it must meet.
type asked struct {
	Value
	Condition
	against []string // the figures that it was compared with, in words
	worse   bool     // the result of the test, if the condition is opNotWorse
}

func (r figures) ask(path, want string) (asked, error) {
	v, err := Lookup(r.own, path)
	if err != nil {
		return asked{}, err
	}
	c, err := ParseCondition(want)
	if err == nil {
		err = c.fits(v.Unit)
	}
	a := asked{Value: v, Condition: c}
	switch {
	case err != nil:
	case c.Op == opNotWorse:
		err = r.test(&a, path)
	default:
		var why string
		a.against, why, err = r.resolve(&a.Condition, path, v.Unit)
		a.Why = cmp.Or(a.Why, why)
	}
	if err != nil {
		return asked{}, fmt.Errorf("%s: %w", path, err)
	}
	return a, nil
}

// Check compares run with expect, which maps a path in the results to a condition.
// It returns one result for each path, in the order of the paths. An expectation
// that cannot be checked is not met, and its Why gives the reason.
func Check(run *results.Run, expect map[string]string) []results.Expectation {
	return CheckAgainst(run, References{}, expect)
}

// CheckAgainst is Check for conditions that may name the other runs in beside.
func CheckAgainst(run *results.Run, beside References, expect map[string]string) []results.Expectation {
	in := figures{run, beside, levelOf(expect)}
	checked := []results.Expectation{}
	for _, path := range slices.Sorted(maps.Keys(expect)) {
		e := results.Expectation{Path: path, Want: expect[path]}
		a, err := in.ask(path, e.Want)
		switch {
		case err != nil:
			e.Why = err.Error()
		case a.Why != "":
			e.Why, e.Unknown = a.Why, run.Driver != nil && strings.Contains(a.Why, notTold(run))
		default:
			e.Seen, e.Met = a.Value.String(), a.met()
			if len(a.against) > 0 {
				e.Seen += " (" + strings.Join(a.against, ", ") + ")"
			}
		}
		checked = append(checked, e)
	}
	return checked
}

// met reports whether the value meets the condition.
func (a asked) met() bool {
	if a.Op == opNotWorse {
		return !a.worse
	}
	return a.Met(a.Number)
}

// NamingBaseline lists the paths, in order, whose conditions name the baseline.
func NamingBaseline(expect map[string]string) []string {
	var paths []string
	for _, path := range slices.Sorted(maps.Keys(expect)) {
		c, err := ParseCondition(expect[path])
		if err == nil && (c.LowOf != nil && c.LowOf.Of == ofBaseline || c.HighOf != nil && c.HighOf.Of == ofBaseline) {
			paths = append(paths, path)
		}
	}
	return paths
}

// String formats v as Expectation.Seen shows it.
func (v Value) String() string {
	switch v.Unit {
	case results.UnitSeconds:
		return results.FormatSeconds(v.Number)
	case results.UnitRatio:
		return results.FormatPercent(v.Number)
	case results.UnitPerSecond:
		return results.FormatThree(v.Number) + "/s"
	case results.UnitBool:
		return strconv.FormatBool(v.Number != 0)
	default:
		return strconv.FormatFloat(v.Number, 'f', -1, 64)
	}
}
