package tune

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Axis is a setting, and the values that it may have.
type Axis struct {
	Path   string
	Values []string // in the order in which they were given; nil: from Low to High

	low, high float64
	unit      unit
}

// unit is what the values of a range are.
type unit uint8

const (
	whole    unit = iota // whole numbers
	duration             // in ns
	rate                 // per second
)

// ParseAxis reads "pool.idle_timeout=1s..60s", or a list, "pool.lease_order=lifo,fifo". The
// error says what is wrong and what to write.
func ParseAxis(text string) (Axis, error) {
	path, values, found := strings.Cut(text, "=")
	path, values = strings.TrimSpace(path), strings.TrimSpace(values)
	if !found || path == "" || values == "" {
		return Axis{}, fmt.Errorf("%q is not an axis; write it as pool.idle_timeout=1s..60s or pool.max_conns=8,16,32", text)
	}
	a := Axis{Path: path}
	from, to, isRange := strings.Cut(values, "..")
	if !isRange {
		for value := range strings.SplitSeq(values, ",") {
			if value = strings.TrimSpace(value); value == "" || slices.Contains(a.Values, value) {
				return Axis{}, fmt.Errorf("%s: %q has an empty value or one that is there twice", path, values)
			}
			a.Values = append(a.Values, value)
		}
		if len(a.Values) < 2 {
			return Axis{}, fmt.Errorf("%s: one value is no axis; give a range such as 1s..60s, or several values", path)
		}
		return a, nil
	}
	var err error
	var toUnit unit
	if a.low, a.unit, err = parseValue(from); err == nil {
		a.high, toUnit, err = parseValue(to)
	}
	switch {
	case err != nil:
		return Axis{}, fmt.Errorf("%s: %w", path, err)
	case a.low == 0 && a.unit == whole: // 0..5s
		a.unit = toUnit
	case toUnit != a.unit:
		return Axis{}, fmt.Errorf("%s: %s and %s have different units", path, from, to)
	}
	if !(a.low < a.high) {
		return Axis{}, fmt.Errorf("%s: the range %s is empty; write the smaller value first", path, values)
	}
	return a, nil
}

func parseValue(text string) (float64, unit, error) {
	text = strings.TrimSpace(text)
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= 0 {
		return float64(n), whole, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return float64(d), duration, nil
	}
	if per, found := strings.CutSuffix(text, "/s"); found {
		if v, err := strconv.ParseFloat(per, 64); err == nil && v >= 0 && !math.IsInf(v, 0) {
			return v, rate, nil
		}
	}
	return 0, 0, fmt.Errorf("%q is not a whole number, a time such as 5s, or a rate such as 400/s", text)
}

// grid is n values of the axis at most, from its lowest to its highest.
func (a *Axis) grid(n int) []string {
	if a.Values != nil {
		return a.Values
	}
	var list []string
	for i := range n {
		part := float64(i) / float64(n-1)
		v := a.low + (a.high-a.low)*part
		if a.wide() {
			v = a.low * math.Pow(a.high/a.low, part)
		}
		if text := a.text(v); len(list) == 0 || list[len(list)-1] != text {
			list = append(list, text)
		}
	}
	return list
}

// wide reports whether equal ratios divide the axis better than equal steps.
func (a *Axis) wide() bool { return a.low > 0 && a.high/a.low >= 8 }

// text writes a value of a range, rounded to three digits.
func (a *Axis) text(v float64) string {
	switch a.unit {
	case duration:
		return time.Duration(rounded(v)).String()
	case rate:
		return strconv.FormatFloat(rounded(v), 'f', -1, 64) + "/s"
	}
	return strconv.FormatInt(int64(math.Round(v)), 10)
}

// rounded is v to three digits.
func rounded(v float64) float64 { return roundedTo(v, 3) }

func roundedTo(v float64, digits int) float64 {
	if v == 0 {
		return 0
	}
	step := math.Pow(10, math.Floor(math.Log10(math.Abs(v)))-float64(digits-1))
	return math.Round(v/step) * step
}

// number is a value of the axis as a number; of a list, its place.
func (a *Axis) number(text string) float64 {
	if a.Values != nil {
		return float64(slices.Index(a.Values, text))
	}
	v, _, _ := parseValue(text)
	return v
}

// between is a value between two others; false if they are next to each other, or so near
// that nobody would tell them apart.
func (a *Axis) between(x, y string) (string, bool) {
	if a.Values != nil {
		return "", false
	}
	u, v := a.number(x), a.number(y)
	if u > v {
		u, v = v, u
	}
	mid := (u + v) / 2
	if a.wide() && u > 0 {
		mid = math.Sqrt(u * v)
	}
	text := a.text(mid)
	if text == x || text == y || a.unit != whole && v-u < 0.02*v {
		return "", false
	}
	return text, true
}

// back moves a value by share of itself towards another one, or away from it if share is
// negative; it stays on the axis.
func (a *Axis) back(value string, share float64) string {
	if a.Values != nil {
		return value
	}
	v := a.number(value) * (1 + share)
	if a.unit != whole { // two digits are enough for a value that somebody will write down
		v = roundedTo(v, 2)
	}
	return a.text(min(max(v, a.low), a.high))
}
