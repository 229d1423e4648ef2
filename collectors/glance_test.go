package collectors

import (
	"testing"
	"time"

	"github.com/kabench/kabench/results"
)

// A glance is what Fill tells, of the latencies that were asked for.
func TestGlanceIsFillInPart(t *testing.T) {
	r := NewRecorder()
	for i := range uint64(1000) {
		r.Observe(exchangeOf(i, time.Duration(i)*time.Microsecond, i%100 == 0))
	}
	var whole, part results.Run
	r.Fill(&whole, time.Second)
	r.Glance([]string{"response", "failed.response"}).Fill(&part, time.Second)
	if part.Counts != whole.Counts || part.Counts.Failed != 10 || part.Latency["response"] != whole.Latency["response"] || part.FailedLatency["response"] != whole.FailedLatency["response"] {
		t.Errorf("%+v, %+v; want %+v, %+v", part.Counts, part.Latency["response"], whole.Counts, whole.Latency["response"])
	}
	if part.Latency["service"].Count != 0 {
		t.Error("a latency that nobody asked for is there")
	}
	if above, of := r.Above("response", 499*time.Microsecond); of != 990 || above != 495 {
		t.Errorf("%d of %d above 499 µs, want 495 of 990", above, of)
	}
	totals := r.Totals()
	if totals.Failed != 10 || totals.Phases[results.PhaseBeforeResponse] != 10 {
		t.Errorf("%+v", totals)
	}
}

// exchangeOf is one that took so long.
func exchangeOf(seq uint64, took time.Duration, failed bool) *results.Exchange {
	e := &results.Exchange{}
	e.Reset(seq, 0)
	e.Start, e.Leased, e.Wrote, e.WroteHeaders, e.Done = 0, 0, 0, 0, took
	e.Conn, e.Use, e.Attempts, e.Phase, e.Status = 1, 2, 1, results.PhaseDone, 200
	if failed {
		e.Phase, e.Cause = results.PhaseBeforeResponse, results.CauseFIN
	}
	return e
}

// How long an Observe may wait for a glance at three latencies.
func BenchmarkGlanceHolds(b *testing.B) {
	r := NewRecorder()
	for i := range uint64(100_000) {
		r.Observe(exchangeOf(i, time.Duration(i)*time.Microsecond, i%100 == 0))
	}
	names := []string{"response", "acquire", "failed.response"}
	for b.Loop() {
		r.shards[0].mu.Lock()
		_ = r.shards[0].tally.Glance(names)
		r.shards[0].mu.Unlock()
	}
}
