package results

import (
	"slices"
	"testing"
)

func TestMeasureNames(t *testing.T) {
	want := []string{MeasureFailureRate, MeasureFailureRate + ".before_response.fin", MeasureResponse + ".p99"}
	if got := compared().MeasureNames(); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	for name, want := range map[string]string{
		MeasureFailureRate: "failure rate", MeasureFailureRate + ".before_response.fin": "before_response / fin",
		MeasureAcquire + ".p999": "queue wait p99.9", MeasureTimeWait: "TIME_WAIT peak, ours", "other": "other",
	} {
		if got := MeasureLabel(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
