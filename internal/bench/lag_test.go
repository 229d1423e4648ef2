package main

import (
	"math"
	"testing"
	"time"
)

const ms = int64(time.Millisecond)

// at returns arrivals every millisecond, each later by what is given for it (ms).
func at(late ...int64) []int64 {
	out := make([]int64, len(late))
	for i, l := range late {
		out[i] = 5_000*ms + int64(i)*ms + l*ms
	}
	return out
}

func TestLateness(t *testing.T) {
	for _, test := range []struct {
		name          string
		arrivals      []int64
		p50, p99, max float64 // µs
		span          time.Duration
	}{
		{"nothing", nil, 0, 0, 0, 0},
		{"one", at(0), 0, 0, 0, 0},
		{"on time", at(0, 0, 0, 0, 0), 0, 0, 0, 4 * time.Millisecond},
		{"late by the same", at(7, 7, 7, 7), 0, 0, 0, 3 * time.Millisecond},
		{"one late", at(0, 0, 3, 2, 1, 0, 0), 0, 3000, 3000, 6 * time.Millisecond},
		{"the first late", at(2, 0, 0, 0, 0), 0, 2000, 2000, 4 * time.Millisecond},
		{"a burst is ahead of its schedule", at(0, -1, -2, -3), 1000, 3000, 3000, 3 * time.Millisecond},
		{"every second one never sent", at(0, 1, 2, 3, 4), 2000, 4000, 4000, 8 * time.Millisecond},
	} {
		lag, span := lateness(test.arrivals, 1000)
		near := func(a, b float64) bool { return math.Abs(a-b) < 1e-3 }
		if !near(lag.P50, test.p50) || !near(lag.P99, test.p99) || !near(lag.Max, test.max) || span != test.span {
			t.Errorf("%s: %+v, span %v; want p50 %v, p99 %v, max %v, span %v", test.name, lag, span, test.p50, test.p99, test.max, test.span)
		}
	}
}

func TestSummarize(t *testing.T) {
	for _, test := range []struct {
		values []float64
		want   spread
		ok     bool
	}{
		{nil, spread{}, false},
		{[]float64{4}, spread{4, 4, 4}, true},
		{[]float64{9, 1}, spread{5, 1, 9}, true},
		{[]float64{9, 1, 2}, spread{2, 1, 9}, true},
	} {
		if s, ok := summarize(test.values); s != test.want || ok != test.ok {
			t.Errorf("%v: %+v, %t; want %+v, %t", test.values, s, ok, test.want, test.ok)
		}
	}
}

func TestSustained(t *testing.T) {
	steady := func(n int, every time.Duration) (out []int64) {
		for i := range n {
			out = append(out, int64(i)*int64(every))
		}
		return out
	}
	slowStart := steady(2000, time.Millisecond)
	for i := 1; i < 400; i++ {
		slowStart[i] = slowStart[400]
	}
	stall := steady(2000, time.Millisecond)
	for i := 1000; i < 1050; i++ {
		stall[i] = stall[1050]
	}
	for _, test := range []struct {
		name     string
		arrivals []int64
		held     bool
	}{
		{"nothing", nil, false},
		{"one", []int64{1}, false},
		{"steady", steady(2000, time.Millisecond), true},
		{"a slow start", slowStart, true},
		{"a stall of 50 ms", stall, false},
		{"1 % too slow", steady(1980, 1010*time.Microsecond), false},
		{"ends early", steady(1000, time.Millisecond), false},
	} {
		achieved, lag, held := sustained(test.arrivals, 1000, 2*time.Second)
		if held != test.held {
			t.Errorf("%s: %.1f/s, lag p99 %.0f µs: held is %t", test.name, achieved, lag.P99, held)
		}
	}
}

func TestSearch(t *testing.T) {
	for _, limit := range []float64{100, 350, 5_000, 7_777, 31_000, 1e9} {
		s := search{rate: 5_000, min: 300, max: 320_000, steps: 18}
		steps := 0
		for {
			rate, more := s.next()
			if !more {
				break
			}
			if rate < 300 || rate > 320_000 {
				t.Errorf("limit %v: a step at %v", limit, rate)
			}
			if steps++; steps > 18 {
				t.Fatalf("limit %v: more than 18 steps", limit)
			}
			s.report(rate <= limit)
		}
		want := min(limit, 320_000)
		switch {
		case limit < 300 && s.held != 0:
			t.Errorf("limit %v: held %v", limit, s.held)
		case limit >= 300 && (s.held > want || s.held < want/closeEnough/1.01):
			t.Errorf("limit %v: held %v after %d steps, want at most 5 %% below", limit, s.held, steps)
		}
	}
}

func TestSearchForgivesOneFailure(t *testing.T) {
	s := search{rate: 5_000, min: 300, max: 320_000, steps: 18}
	for i := 0; ; i++ {
		rate, more := s.next()
		if !more {
			break
		}
		s.report(rate <= 20_000 && i != 1) // the second step meets a busy machine
	}
	if s.held < 19_000 {
		t.Errorf("held %v, want 20,000 or 5 %% less", s.held)
	}
}
