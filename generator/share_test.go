package generator

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whatever the load, the shares of n loops are together the schedule of one, bit for bit,
// and no arrival is in two shares.
func TestSharesAreTheWholeSchedule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := anyLoad(t)
		n := rapid.IntRange(1, 7).Draw(t, "n")
		whole, err := l.Schedule()
		if err != nil {
			t.Fatalf("%+v: %v", l, err)
		}
		dealt := map[uint64]time.Duration{}
		for i := range n {
			own, err := l.Schedule() // each loop makes its own from the load
			if err != nil {
				t.Fatal(err)
			}
			next := uint64(i)
			for seq, due := range (Share{i, n}).Deal(own) {
				if _, twice := dealt[seq]; twice {
					t.Fatalf("number %d is dealt twice", seq)
				}
				if seq != next {
					t.Fatalf("loop %d of %d got number %d, want %d", i, n, seq, next)
				}
				dealt[seq], next = due, next+uint64(n)
			}
		}
		want := slices.Collect(whole)
		if len(dealt) != len(want) {
			t.Fatalf("%d arrivals are dealt of %d", len(dealt), len(want))
		}
		for seq, due := range want {
			if got, found := dealt[uint64(seq)]; !found || got != due {
				t.Fatalf("number %d is due at %v (%v), want %v", seq, got, found, due)
			}
		}
	})
}

func TestTheZeroShareIsAll(t *testing.T) {
	l := Load{Rate: 4, Count: 3, MaxInFlight: 1}
	s, err := l.Schedule()
	if err != nil {
		t.Fatal(err)
	}
	var got []time.Duration
	for seq, due := range (Share{}).Deal(s) {
		if seq != uint64(len(got)) {
			t.Errorf("number %d, want %d", seq, len(got))
		}
		got = append(got, due)
	}
	if want := dues(t, l); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
