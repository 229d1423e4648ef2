package matrix

import (
	"testing"
)

// A setting's name shows of a long value what tells it from the others of its axis.
func TestSettingsAreNamedByWhatDiffers(t *testing.T) {
	axes := Axes{
		{Path: "target.url", Values: []string{"http://service.example:8080/delay/1000", "http://service.example:8080/delay/1100"}, Sources: []string{"", ""}},
		{Path: "pool.max_idle", Values: []string{"1"}, Sources: []string{""}},
	}
	for i, want := range []string{"url=...rvice.example:8080/delay/1000 max_idle=1", "url=...rvice.example:8080/delay/1100 max_idle=1"} {
		if got := points(axes)[i].name(axes); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
