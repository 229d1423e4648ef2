package lint

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/kabench/kabench/internal/strictyaml"
	"github.com/kabench/kabench/profiles"
)

// bounds are the values that a finding's rule allows for its field: from least up to
// most. 0 is no bound; none allows only 0.
type bounds struct {
	least, most int64
	none        bool
}

func atLeast[T int | time.Duration](n T) bounds { return bounds{least: int64(n)} }
func atMost[T int | time.Duration](n T) bounds  { return bounds{most: int64(n)} }

// upTo is atMost(d); upTo(0) allows only 0.
func upTo(d time.Duration) bounds { return bounds{most: int64(d), none: d == 0} }

// bounded is a finding with the bounds for its field.
type bounded struct {
	Finding
	bounds
}

// stricter reports whether b allows fewer values than other on the same side.
func (b bounds) stricter(other bounds) bool {
	return b.none || !other.none && (b.most > 0 && (other.most == 0 || b.most < other.most) || b.most == 0 && b.least > other.least)
}

// merged returns one finding for each rule and field, and one piece of advice for each
// field: a value that all rules allow, or the statement that there is none.
func merged(findings []bounded) []Finding {
	var one []bounded
	for _, f := range findings {
		i := slices.IndexFunc(one, func(o bounded) bool { return o.Rule == f.Rule && o.Path == f.Path && o.Hop == f.Hop })
		switch {
		case i < 0 || f.bounds == (bounds{}):
			one = append(one, f)
		case f.bounds.stricter(one[i].bounds):
			f.Numbers[1] = joinTexts(f.Numbers[1], one[i].Numbers[1])
			one[i] = f
		default:
			one[i].Numbers[1] = joinTexts(one[i].Numbers[1], f.Numbers[1])
		}
	}
	list := []Finding{}
	for i := range one {
		advise(one, i)
		list = append(list, one[i].Finding)
	}
	return list
}

// joinTexts joins two texts, or returns one of them if they are equal.
func joinTexts(a, b string) string {
	if a == b {
		return a
	}
	return a + ", " + b
}

// advise gives all findings about the i-th finding's field the same advice. It does
// nothing unless the i-th is the first of them.
func advise(all []bounded, i int) {
	var same []int
	for j, f := range all {
		if f.Path == all[i].Path && f.bounds != (bounds{}) {
			same = append(same, j)
		}
	}
	if len(same) < 2 || same[0] != i {
		return
	}
	low, high := -1, -1 // the findings with the highest least and the lowest most
	for _, j := range same {
		if b := all[j].bounds; b.least > 0 && (low < 0 || b.least > all[low].bounds.least) {
			low = j
		}
		if b := all[j].bounds; (b.most > 0 || b.none) && (high < 0 || b.most < all[high].bounds.most) {
			high = j
		}
	}
	set := ""
	switch {
	case low < 0:
		set = all[high].Set
	case high < 0:
		set = all[low].Set
	default:
		least, most, path := all[low].bounds.least, all[high].bounds.most, all[i].Path
		if least <= most {
			set = fmt.Sprintf("%s=%s: %s needs at least %s, and %s allows at most %s", path, all[i].value(most), all[low].Rule, all[i].value(least), all[high].Rule, all[i].value(most))
			break
		}
		set = fmt.Sprintf("no value of %s satisfies all rules: %s needs at least %s, and %s allows at most %s. First change %s",
			path, all[low].Rule, all[i].value(least), all[high].Rule, all[i].value(most), all[high].Numbers[1])
	}
	for _, j := range same {
		all[j].Set = set
	}
}

// value returns a bound in the form of the finding's field.
func (f Finding) value(n int64) string {
	if v, found := strictyaml.FieldAt(reflect.ValueOf(profiles.Default()), f.Path); found && v.Type() == reflect.TypeFor[time.Duration]() {
		return time.Duration(n).String()
	}
	return fmt.Sprint(n)
}
