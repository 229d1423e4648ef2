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

// Validate returns every complaint about expect, joined, each
// beginning with the path: paths that no run has, and conditions that cannot be
// asked of what is there. It is for use before a run.
//
// The paths are listed in docs/results.md.
func Validate(expect map[string]string) error {
	return validate(figures{&results.Run{}, References{Baseline: &results.Run{}}}, expect)
}

// ValidateRemedy is Validate of what a remedy expects, which may
// name the incident.
func ValidateRemedy(expect map[string]string) error {
	return validate(figures{&results.Run{}, References{Incident: &results.Run{}, Baseline: &results.Run{}}}, expect)
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

// asked is the value at a path and the condition to hold it against.
type asked struct {
	Value
	Condition
	against []string // in words: the figures it was compared with
	worse   bool     // by a test: the condition is opNotWorse
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

// Check holds run against expect, which maps a path in the results
// to a condition, and says for each, in the order of the paths, what was seen.
// What cannot be checked is not met, and Why says so.
func Check(run *results.Run, expect map[string]string) []results.Expectation {
	return CheckAgainst(run, References{}, expect)
}

// CheckAgainst is Check of a run whose conditions may name others.
func CheckAgainst(run *results.Run, beside References, expect map[string]string) []results.Expectation {
	in := figures{run, beside}
	checked := []results.Expectation{}
	for _, path := range slices.Sorted(maps.Keys(expect)) {
		e := results.Expectation{Path: path, Want: expect[path]}
		a, err := in.ask(path, e.Want)
		switch {
		case err != nil:
			e.Why = err.Error()
		case a.Why != "":
			e.Why = a.Why
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

// String prints v as in Expectation.Seen.
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
