package results_test

import (
	"testing"

	"github.com/kabench/kabench/results"
)

// A range has as many digits as tell its ends apart.
func TestFormatSecondsRange(t *testing.T) {
	for _, c := range []struct {
		from, to float64
		want     string
	}{
		{3.9941, 4.0043, "3.994 s to 4.004 s"},
		{3.99951, 4.00012, "3.99951 s to 4.00012 s"},
		{1, 2, "1.00 s to 2.00 s"},
		{0.9891, 1.0021, "989 ms to 1.002 s"},
		{0.989, 0.9912, "989.0 ms to 991.2 ms"},
		{20e-6, 20e-6, "20.0 µs"},
		{20e-6, 20e-6 + 1e-12, "20.0 µs"},
		{0, 0, "0"},
		{0, 3, "0 to 3.00 s"},
	} {
		if got := results.FormatSecondsRange(c.from, c.to); got != c.want {
			t.Errorf("%v to %v: %q, want %q", c.from, c.to, got, c.want)
		}
	}
	if got := results.FormatSecondsWithin(3.9984, 3.9941, 4.0043); got != "3.998 s" {
		t.Errorf("%q", got)
	}
}
