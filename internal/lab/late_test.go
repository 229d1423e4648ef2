package lab

import (
	"testing"
	"time"
)

func TestLate(t *testing.T) {
	var l lateness
	if got := l.seen(); got != (Late{}) {
		t.Errorf("of nothing: %+v", got)
	}
	now := time.Now()
	l.since(now.Add(time.Hour)) // early is not late
	if got := l.seen(); got.Count != 1 || got.Max != 0 || got.P99 != 0 {
		t.Errorf("early: %+v", got)
	}
	for range 96 {
		l.since(now.Add(time.Hour))
	}
	for range 3 {
		l.since(now.Add(-2 * time.Hour))
	}
	if got := l.seen(); got.Count != 100 || got.Max < 2*time.Hour || got.P99 < 59*time.Second || got.P99 > 61*time.Second {
		t.Errorf("late three times in a hundred: %+v", got)
	}
}
