package autopsy

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kabench/kabench/results"
)

// number writes n with separators: 41,200.
func number(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// plural writes a count with its noun.
func plural(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return number(n) + " " + noun
}

func seconds(s float64) string { return results.FormatSeconds(s) }

// between writes the extremes and the median of times.
func between(times []time.Duration) string {
	if len(times) == 0 {
		return ""
	}
	times = slices.Clone(times)
	slices.Sort(times)
	low, high := times[0].Seconds(), times[len(times)-1].Seconds()
	median := times[len(times)/2].Seconds()
	if seconds(low) == seconds(high) {
		return seconds(median)
	}
	if len(times) == 2 {
		return seconds(low) + " and " + seconds(high)
	}
	return seconds(median) + " (" + seconds(low) + " to " + seconds(high) + ")"
}

// upper makes the first letter a capital.
func upper(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
