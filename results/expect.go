package results

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// ValidateExpectations returns every complaint about expect, joined, each
// beginning with the path: paths that no run has, and conditions that cannot be
// asked of what is there. It is for use before a run.
//
// The paths are listed in docs/results.md.
func ValidateExpectations(expect map[string]string) error {
	var errs []error
	for _, path := range slices.Sorted(maps.Keys(expect)) {
		if _, _, err := ask(&Run{}, path, expect[path]); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// ask finds the value at path and the condition to hold it against.
func ask(run *Run, path, want string) (value, Condition, error) {
	v, err := lookup(run, path)
	if err != nil {
		return value{}, Condition{}, err
	}
	c, err := ParseCondition(want)
	if err == nil {
		err = c.fits(v.unit)
	}
	if err != nil {
		return value{}, Condition{}, fmt.Errorf("%s: %w", path, err)
	}
	return v, c, nil
}

// CheckExpectations holds run against expect, which maps a path in the results
// to a condition, and says for each, in the order of the paths, what was seen.
// What cannot be checked is not met, and Why says so.
func CheckExpectations(run *Run, expect map[string]string) []Expectation {
	checked := []Expectation{}
	for _, path := range slices.Sorted(maps.Keys(expect)) {
		e := Expectation{Path: path, Want: expect[path]}
		v, c, err := ask(run, path, e.Want)
		switch {
		case err != nil:
			e.Why = err.Error()
		case v.why != "":
			e.Why = v.why
		default:
			e.Seen, e.Met = v.String(), c.Met(v.v)
		}
		checked = append(checked, e)
	}
	return checked
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
