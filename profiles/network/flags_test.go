package network

import "testing"

func TestFlagsText(t *testing.T) {
	for f := range Flags(1 << 6) {
		text, _ := f.MarshalText()
		var back Flags
		if err := back.UnmarshalText(text); err != nil || back != f {
			t.Errorf("%v: %q reads as %v, %v", f, text, back, err)
		}
	}
	var f Flags
	if err := f.UnmarshalText([]byte("SA")); err != nil || f != SYN|ACK {
		t.Errorf("SA: %v, %v", f, err)
	}
	if err := f.UnmarshalText([]byte("X")); err == nil {
		t.Error("X is no flag, and was taken")
	}
}
