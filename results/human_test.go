package results

import (
	"testing"
)

func TestHumanSeconds(t *testing.T) {
	for s, want := range map[float64]string{
		0: "0", 61e-6: "61.0 µs", 999.4e-6: "999 µs", 999.6e-6: "1.00 ms", 0.0123: "12.3 ms", 0.9994: "999 ms", 0.9996: "1.00 s",
		1.239: "1.24 s", 90: "90.0 s", 12345: "12345 s", 1e-9: "0.00 µs", -0.005: "-5.00 ms",
	} {
		if got := FormatSeconds(s); got != want {
			t.Errorf("%v: %q, want %q", s, got, want)
		}
	}
}
