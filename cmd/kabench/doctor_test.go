package main

import "testing"

// A rung is a run that can be made; whether it is held is the machine's affair.
func TestARungIsARun(t *testing.T) {
	if _, err := holds(t.Context(), nil, 50); err != nil {
		t.Error(err)
	}
}
