package results

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/kabench/kabench/internal/enum"
)

// Text is v as a person reads it: "40", "12.3 ms", "0.31 %", "400/s".
func (u Unit) Text(v float64) string {
	switch u {
	case UnitSeconds:
		return FormatSeconds(v)
	case UnitRatio:
		return FormatPercent(v)
	case UnitPerSecond:
		return FormatThree(v) + "/s"
	case UnitBool:
		return strconv.FormatBool(v != 0)
	}
	if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
		return strconv.FormatInt(int64(v), 10)
	}
	return FormatThree(v)
}

// FormatP is a P value as a person reads it: "0.012", "< 0.001". It does not print
// smaller values, because they depend more on the model than on the measurement.
func FormatP(p float64) string {
	if p < 0.001 {
		return "< 0.001"
	}
	return fmt.Sprintf("%.2g", p)
}

// Unit is the unit of the number in a condition or a result.
type Unit uint8

// The units. Each says how a number is written in a condition.
const (
	UnitCount     Unit = iota // 40
	UnitSeconds               // 5ms, 1m30s; also 0 without a unit
	UnitRatio                 // 1%, or 0.01
	UnitPerSecond             // 400/s, or 400
	UnitBool                  // true, false
)

var unitNames = enum.Names[Unit]{"a count", "a duration", "a ratio", "a rate", "true or false"}

func (u Unit) String() string { return unitNames.Text(u) }

// unitKeys are the names of the units in JSON.
var unitKeys = enum.Names[Unit]{"count", "seconds", "ratio", "per_second", "bool"}

// MarshalText writes the unit as in JSON: count, seconds, ratio, per_second or bool.
func (u Unit) MarshalText() ([]byte, error) {
	if !unitKeys.Known(u) {
		return nil, fmt.Errorf("%v has no name", u)
	}
	return unitKeys.Marshal(u)
}

// UnmarshalText reads a text that MarshalText wrote.
func (u *Unit) UnmarshalText(text []byte) error {
	if err := unitKeys.Unmarshal(text, u); err != nil {
		return fmt.Errorf("unit %w", err)
	}
	return nil
}

// FormatSeconds is a duration in seconds with three significant digits and the
// unit a person would choose: 61 µs, 12.3 ms, 1.24 s.
func FormatSeconds(s float64) string {
	switch abs := math.Abs(s); {
	case abs == 0:
		return "0"
	case abs < 999.5e-6:
		return FormatThree(s*1e6) + " µs"
	case abs < 999.5e-3:
		return FormatThree(s*1e3) + " ms"
	default:
		return FormatThree(s) + " s"
	}
}

// FormatSecondsRange is the time from one duration to another, such as "3.994 s to 4.003 s", with
// as many digits as tell them apart; one duration if they are the same to a nanosecond.
func FormatSecondsRange(from, to float64) string {
	low, high := FormatSecondsWithin(from, from, to), FormatSecondsWithin(to, from, to)
	if low == high {
		return high
	}
	return low + " to " + high
}

// FormatSecondsWithin is a duration in seconds, as FormatSeconds, with more digits if those
// are needed to tell it from the others between from and to.
func FormatSecondsWithin(s, from, to float64) string {
	usual, width := FormatSeconds(s), math.Abs(to-from)
	if width < 1e-9 || width > 0.05*max(math.Abs(from), math.Abs(to)) {
		return usual // three digits tell them apart
	}
	unit, scale, most := "s", 1.0, 9
	switch {
	case strings.HasSuffix(usual, "µs"):
		unit, scale, most = "µs", 1e-6, 3
	case strings.HasSuffix(usual, "ms"):
		unit, scale, most = "ms", 1e-3, 6
	}
	decimals := int(math.Ceil(-math.Log10(width/scale))) + 1 // two digits of the width
	_, fraction, _ := strings.Cut(strings.Fields(usual)[0], ".")
	return strconv.FormatFloat(s/scale, 'f', max(len(fraction), min(decimals, most)), 64) + " " + unit
}

// FormatThree prints v with three significant digits and no exponent. It prints all
// digits before the decimal point, even if there are more than three.
func FormatThree(v float64) string {
	decimals := 2
	switch abs := math.Abs(v); {
	case abs >= 99.95:
		decimals = 0
	case abs >= 9.995:
		decimals = 1
	}
	return strconv.FormatFloat(v, 'f', decimals, 64)
}

// FormatPercent is a ratio as a percentage: "0.31 %".
func FormatPercent(ratio float64) string {
	p := ratio * 100
	if p != 0 && math.Abs(p) < 0.01 {
		return fmt.Sprintf("%.2g %%", p)
	}
	return FormatThree(p) + " %"
}

// FormatCount is "1 failure", "2 failures".
func FormatCount(n uint64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return strconv.FormatUint(n, 10) + " " + thing + "s"
}
