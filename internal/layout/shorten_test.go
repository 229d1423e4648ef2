package layout

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// Names are shortened where they are alike, and never where they differ.
func TestShorten(t *testing.T) {
	for _, tt := range []struct {
		names, want []string
		most        int
	}{
		{[]string{"short", "other"}, []string{"short", "other"}, 21},
		{[]string{"http://127.0.0.1:8080/delay/1000", "http://127.0.0.1:8080/delay/1100"}, []string{"...0.1:8080/delay/1000", "...0.1:8080/delay/1100"}, 22},
		{[]string{"idle_timeout=500ms", "idle_timeout=5s", "idle_timeout=55s"}, []string{"...timeout=500ms", "idle_timeout=5s", "idle_timeout=55s"}, 16},
		{[]string{"one-of-the-directories", "two-of-the-directories"}, []string{"one-of-the-di...", "two-of-the-di..."}, 16},
		{[]string{"http://10.0.0.1:8080/a/long/way", "http://10.0.0.2:8080/a/long/way"}, []string{"...0.0.1:8080...", "...0.0.2:8080..."}, 16},
		{[]string{"a-single-name-that-is-long"}, []string{"a-sing...is-long"}, 16},
		{[]string{"xA" + strings.Repeat("m", 30) + "Bx", "yA" + strings.Repeat("n", 30) + "By"}, []string{"xAmmmm...mmmmmBx", "yAnnnn...nnnnnBy"}, 16},
		{[]string{"same" + strings.Repeat("m", 30) + "same1", "xame" + strings.Repeat("m", 15) + "x" + strings.Repeat("m", 14) + "same1"}, nil, 16},
	} {
		got := Shorten(tt.names, tt.most)
		seen := map[string]bool{}
		for i, name := range got {
			if n := utf8.RuneCountInString(name); n > tt.most || seen[name] {
				t.Errorf("%q of %q has %d characters, or is there twice", name, tt.names[i], n)
			}
			seen[name] = true
		}
		if tt.want != nil && !slices.Equal(got, tt.want) {
			t.Errorf("%q become %q, want %q", tt.names, got, tt.want)
		}
	}
	alike := []string{"a" + strings.Repeat("m", 10) + "1" + strings.Repeat("m", 10) + "z", "a" + strings.Repeat("m", 10) + "2" + strings.Repeat("m", 10) + "z", "b", strings.Repeat("m", 30) + "z"}
	if got := Shorten(alike, 10); got[0] == got[1] {
		t.Errorf("%q become %q", alike, got)
	}
}
