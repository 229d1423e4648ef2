package expect

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/kabench/kabench/results"
)

// Condition is what an expectation requires of one number: it must compare to Low
// as Op says, or lie in [Low, High] if Op is "..". Booleans are 0 and 1; durations
// are in seconds.
type Condition struct {
	Op   string // ==, !=, <, <=, >, >=, .. or opNotWorse
	Low  float64
	High float64 // only if Op is ".."
	// LowOf and HighOf, if not nil, are references to other figures and replace Low
	// and High. Until Check has looked these figures up, no number meets the condition.
	LowOf, HighOf *Reference
	unit          results.Unit // as written; a bare number is a count and fits other units too
}

// opNotWorse asks for a statistical test instead of a comparison; see figures.test.
const opNotWorse = "not worse than"

// ParseCondition reads a condition. The forms are:
//
//   - a comparison or a range: "0", "== 0", "!= 0", "< 5ms", "<= 40", "> 0", ">= 5",
//     "< 1%", ">= 395/s", "975ms..1005ms", "true", "false"
//   - with another figure in place of a number: "== counts.started", "1..50% of
//     incident", "<= 110% of baseline"
//   - a test: "not worse than baseline", "not worse than 110% of baseline"
func ParseCondition(text string) (Condition, error) {
	s := strings.Join(strings.Fields(text), " ")
	if rest, found := strings.CutPrefix(s, opNotWorse+" "); found {
		ref := parseReference(rest)
		if ref == nil || ref.Of == "" || ref.Path != "" {
			return Condition{}, badCondition(text, fmt.Errorf("%q is not another run, or a share of one, such as baseline or 110%% of baseline", rest))
		}
		return Condition{Op: opNotWorse, LowOf: ref}, nil
	}
	if low, high, found := strings.Cut(s, ".."); found {
		return parseRange(text, low, high)
	}
	c := Condition{Op: "=="}
	for _, op := range [...]string{"==", "!=", "<=", ">=", "<", ">"} { // the longer operators first: "<=" begins with "<"
		if rest, found := strings.CutPrefix(s, op); found {
			c.Op, s = op, rest
			break
		}
	}
	var err error
	if c.Low, c.unit, c.LowOf, err = parseEnd(s); err != nil {
		return Condition{}, badCondition(text, err)
	}
	if c.unit == results.UnitBool && c.Op != "==" && c.Op != "!=" {
		return Condition{}, badCondition(text, fmt.Errorf("true and false have no order"))
	}
	return c, nil
}

func parseRange(text, low, high string) (Condition, error) {
	lo, unit, loOf, err := parseEnd(low)
	if err != nil {
		return Condition{}, badCondition(text, err)
	}
	hi, hiUnit, hiOf, err := parseEnd(high)
	switch {
	case err != nil:
		return Condition{}, badCondition(text, err)
	case loOf != nil:
		unit = hiUnit
	case hiOf != nil:
	case unit == results.UnitCount && lo == 0:
		unit = hiUnit // 0..5ms
	case unit != hiUnit:
		return Condition{}, badCondition(text, fmt.Errorf("the ends of the range are %v and %v", unit, hiUnit))
	}
	if unit == results.UnitBool {
		return Condition{}, badCondition(text, fmt.Errorf("true and false have no order"))
	}
	if lo > hi && loOf == nil && hiOf == nil {
		return Condition{}, badCondition(text, fmt.Errorf("the range ends before it begins"))
	}
	return Condition{Op: "..", Low: lo, High: hi, LowOf: loOf, HighOf: hiOf, unit: unit}, nil
}

// parseEnd reads a number with its unit, or a reference to another figure.
func parseEnd(text string) (float64, results.Unit, *Reference, error) {
	v, unit, err := parseValue(text)
	if err != nil {
		if ref := parseReference(text); ref != nil {
			return 0, results.UnitCount, ref, nil
		}
	}
	return v, unit, nil, err
}

func badCondition(text string, err error) error {
	return fmt.Errorf("%q is not a condition: %w; write for example 0, > 0, < 5ms, <= 1%%, 975ms..1005ms or true", text, err)
}

// parseValue reads one number with its unit.
func parseValue(text string) (float64, results.Unit, error) {
	s := strings.TrimSpace(text)
	switch s {
	case "":
		return 0, 0, fmt.Errorf("a value is missing")
	case "true":
		return 1, results.UnitBool, nil
	case "false":
		return 0, results.UnitBool, nil
	}
	number, unit, scale := s, results.UnitCount, 1.0
	if n, found := strings.CutSuffix(s, "%"); found {
		number, unit, scale = n, results.UnitRatio, 100
	} else if n, found := strings.CutSuffix(s, "/s"); found {
		number, unit = n, results.UnitPerSecond
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err == nil && !math.IsInf(v, 0) && !math.IsNaN(v) {
		return v / scale, unit, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, 0, fmt.Errorf("%q is neither a number nor a duration", s)
	}
	return d.Seconds(), results.UnitSeconds, nil
}

// fits returns nil if c can be asked of a number in unit, and otherwise an error
// that says what to write instead.
func (c Condition) fits(unit results.Unit) error {
	bare := c.unit == results.UnitCount
	zero := (c.LowOf != nil || c.Low == 0) && (c.HighOf != nil || c.High == 0) // resolve checks the unit of a reference
	switch {
	case c.unit == unit, c.Op == opNotWorse,
		bare && (unit == results.UnitRatio || unit == results.UnitPerSecond),
		bare && unit == results.UnitSeconds && zero,
		bare && unit == results.UnitBool && c.LowOf != nil && c.Op != "..":
		return nil
	case bare && unit == results.UnitSeconds:
		return fmt.Errorf("it is a duration: give a unit, as in < 5ms")
	default:
		return fmt.Errorf("it is %v, and the condition is about %v", unit, c.unit)
	}
}

// Plain reports whether c is written without a unit and without another figure.
func (c Condition) Plain() bool {
	return c.unit == results.UnitCount && c.LowOf == nil && c.HighOf == nil
}

// Met reports whether v meets c. v must be in the unit in which c was written.
func (c Condition) Met(v float64) bool {
	if c.LowOf != nil || c.HighOf != nil {
		return false
	}
	switch c.Op {
	case "==":
		return v == c.Low
	case "!=":
		return v != c.Low
	case "<":
		return v < c.Low
	case "<=":
		return v <= c.Low
	case ">":
		return v > c.Low
	case ">=":
		return v >= c.Low
	case "..":
		return c.Low <= v && v <= c.High
	}
	return false
}
