package results

import (
	"fmt"
	"math"
	"strconv"
)

// humanSeconds is a duration in seconds with three significant digits and the
// unit a person would choose: 61 µs, 12.3 ms, 1.24 s.
func humanSeconds(s float64) string {
	switch abs := math.Abs(s); {
	case abs == 0:
		return "0"
	case abs < 999.5e-6:
		return three(s*1e6) + " µs"
	case abs < 999.5e-3:
		return three(s*1e3) + " ms"
	default:
		return three(s) + " s"
	}
}

// three prints v with three significant digits, or with all those before the
// point if there are more, and no exponent.
func three(v float64) string {
	decimals := 2
	switch abs := math.Abs(v); {
	case abs >= 99.95:
		decimals = 0
	case abs >= 9.995:
		decimals = 1
	}
	return strconv.FormatFloat(v, 'f', decimals, 64)
}

// percent is a ratio as a percentage: "0.31 %".
func percent(ratio float64) string {
	p := ratio * 100
	if p != 0 && math.Abs(p) < 0.01 {
		return fmt.Sprintf("%.2g %%", p)
	}
	return three(p) + " %"
}

// plural is "1 failure", "2 failures".
func plural(n uint64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return strconv.FormatUint(n, 10) + " " + thing + "s"
}

// FormatSeconds is a duration in seconds as every report prints it: "61.0 µs",
// "12.3 ms", "1.24 s".
func FormatSeconds(s float64) string { return humanSeconds(s) }

// FormatCount is n things: "1 failure", "2 failures".
func FormatCount(n uint64, thing string) string { return plural(n, thing) }
