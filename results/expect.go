package results

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// ValidateExpectations returns every complaint about expect, joined, each
// beginning with the path: paths that no run has, and conditions that cannot be
// asked of what is there. It is for use before a run.
//
// The paths are listed in docs/results.md.
func ValidateExpectations(expect map[string]string) error {
	return validate(runs{&Run{}, Beside{Baseline: &Run{}}}, expect)
}

// ValidateRemedy is ValidateExpectations of what a remedy expects, which may
// name the incident.
func ValidateRemedy(expect map[string]string) error {
	return validate(runs{&Run{}, Beside{Incident: &Run{}, Baseline: &Run{}}}, expect)
}

func validate(in runs, expect map[string]string) error {
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
	value
	Condition
	against []string // in words: the figures it was compared with
	worse   bool     // by a test: the condition is opNotWorse
}

func (r runs) ask(path, want string) (asked, error) {
	v, err := lookup(r.own, path)
	if err != nil {
		return asked{}, err
	}
	c, err := ParseCondition(want)
	if err == nil {
		err = c.fits(v.unit)
	}
	a := asked{value: v, Condition: c}
	switch {
	case err != nil:
	case c.Op == opNotWorse:
		err = r.test(&a, path)
	default:
		var why string
		a.against, why, err = r.resolve(&a.Condition, path, v.unit)
		a.why = cmp.Or(a.why, why)
	}
	if err != nil {
		return asked{}, fmt.Errorf("%s: %w", path, err)
	}
	return a, nil
}

// CheckExpectations holds run against expect, which maps a path in the results
// to a condition, and says for each, in the order of the paths, what was seen.
// What cannot be checked is not met, and Why says so.
func CheckExpectations(run *Run, expect map[string]string) []Expectation {
	return CheckBeside(run, Beside{}, expect)
}

// CheckBeside is CheckExpectations of a run whose conditions may name others.
func CheckBeside(run *Run, beside Beside, expect map[string]string) []Expectation {
	in := runs{run, beside}
	checked := []Expectation{}
	for _, path := range slices.Sorted(maps.Keys(expect)) {
		e := Expectation{Path: path, Want: expect[path]}
		a, err := in.ask(path, e.Want)
		switch {
		case err != nil:
			e.Why = err.Error()
		case a.why != "":
			e.Why = a.why
		default:
			e.Seen, e.Met = a.value.String(), a.met()
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
	return a.Met(a.v)
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
func (v value) String() string {
	switch v.unit {
	case UnitSeconds:
		return humanSeconds(v.v)
	case UnitRatio:
		return percent(v.v)
	case UnitPerSecond:
		return three(v.v) + "/s"
	case UnitBool:
		return strconv.FormatBool(v.v != 0)
	default:
		return strconv.FormatFloat(v.v, 'f', -1, 64)
	}
}
