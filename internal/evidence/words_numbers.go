package evidence

import (
	"math"
	"strconv"
	"time"

	"github.com/kabench/kabench/results"
)

// seconds prints d with three significant digits: 5.00 s, 12.3 ms, 40.0 µs.
func seconds(d time.Duration) string { return results.FormatSeconds(d.Seconds()) }

// inUnit returns d in the unit that people use for such a time.
func inUnit(d time.Duration) (float64, string) {
	switch abs := d.Abs(); {
	case abs < 999500*time.Nanosecond:
		return float64(d) / float64(time.Microsecond), "µs"
	case abs < 999500*time.Microsecond:
		return float64(d) / float64(time.Millisecond), "ms"
	}
	return d.Seconds(), "s"
}

// withInterval prints a median and its interval: 5.00 s (4.998 to 5.003). The digits
// are enough to tell the interval's ends apart.
func (t Timer) withInterval() string {
	v, unit := inUnit(t.Median)
	scale := t.Median.Seconds() / v
	low, high := t.Low.Seconds()/scale, t.High.Seconds()/scale
	decimals := 2
	if width := high - low; width > 0 {
		decimals = min(max(int(math.Ceil(-math.Log10(width))), 0), 6)
	}
	text := strconv.FormatFloat(v, 'f', max(decimals-1, 2), 64) + " " + unit
	if t.Closes < 2 || t.Low == t.High {
		return text
	}
	return text + " (" + strconv.FormatFloat(low, 'f', decimals, 64) + " to " + strconv.FormatFloat(high, 'f', decimals, 64) + ")"
}
