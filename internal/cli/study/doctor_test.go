package study

import "testing"

// A run at one of the rates can be made; whether the machine sustains it does not matter here.
func TestARungIsARun(t *testing.T) {
	if _, err := holds(t.Context(), nil, 50); err != nil {
		t.Error(err)
	}
}
