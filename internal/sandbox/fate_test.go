package sandbox

import "testing"

func TestFatesReadBack(t *testing.T) {
	for f := range Fate(len(fateNames)) {
		text, _ := f.MarshalText()
		var back Fate
		if err := back.UnmarshalText(text); err != nil || back != f {
			t.Errorf("%v: %v, %v", f, back, err)
		}
	}
}
