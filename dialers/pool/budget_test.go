package pool

import "testing"

// A budget of 20 % begins with 10 re-sends, and then allows one for every five requests.
func TestBudget(t *testing.T) {
	b := (&Policy{ResendBudget: 20}).NewBudget()
	for i := range 10 {
		if !b.Spend() {
			t.Fatalf("%d re-sends were allowed at first", i)
		}
	}
	sent := 0
	for range 100 {
		b.Earn()
		for b.Spend() {
			sent++
		}
	}
	if sent != 20 {
		t.Errorf("%d re-sends for 100 requests", sent)
	}
	for range 1000 {
		b.Earn()
	}
	for sent = 0; b.Spend(); sent++ {
	}
	if sent != 10 {
		t.Errorf("%d re-sends were saved up", sent)
	}
	if none := (&Policy{}).NewBudget(); !none.Spend() {
		t.Error("no budget bounds nothing")
	}
}
