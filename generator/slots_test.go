package generator

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kabench/kabench/generator/limit"
	"github.com/kabench/kabench/results"
)

// fails is a Doer whose exchanges end after a given time, some with a failure.
type fails struct {
	server
	when func(seq uint64) bool
}

func (f *fails) Do(ctx context.Context, e *results.Exchange) {
	if f.server.Do(ctx, e); e.OK() && f.when(e.Seq) {
		e.Phase, e.Cause = results.PhaseBeforeResponse, results.CauseTimeout
	}
}

// An adaptive limit follows the exchanges: it rises with successes, lets requests that wait
// start as it rises, and holds back what is due after it has fallen.
func TestOpenFollowsAnAdaptiveLimit(t *testing.T) {
	for _, c := range []struct {
		name             string
		rule             limit.Limit
		buffer           int
		fails            func(uint64) bool
		started, dropped uint64
		seen             results.LimitSeen
	}{
		// Of 100 that are due at once, 4 start; when they end, the limit is 8 and 8 start, then 16.
		{"rises", limit.Limit{Algorithm: limit.AIMD, Initial: 4, Min: 1, Max: 16}, 96, func(uint64) bool { return false }, 100, 0,
			results.LimitSeen{Algorithm: "aimd", Initial: 4, Lowest: 4, Highest: 16, Final: 16}},
		// Each failure halves it: 8, 4, 2, 1. What waits comes one by one.
		{"falls", limit.Limit{Algorithm: limit.AIMD, Initial: 8, Min: 1, Max: 16, Backoff: 0.5}, 20, func(uint64) bool { return true }, 28, 72,
			results.LimitSeen{Algorithm: "aimd", Initial: 8, Lowest: 1, Highest: 8, Final: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				epoch := time.Now()
				b := &book{}
				o := &Open{
					Load: Load{MaxInFlight: 1, Limit: c.rule, Buffer: c.buffer}, Observer: b,
					Engine: &Each{Doer: &fails{server{epoch, always(10 * time.Millisecond)}, c.fails}},
					Schedule: func(yield func(time.Duration) bool) {
						for range 100 {
							if !yield(0) {
								return
							}
						}
					},
				}
				if o.Limit() != nil {
					t.Error("there is a limit before the run")
				}
				o.Run(t.Context(), epoch, nil)
				counts := b.counts(t)
				if counts.Started != c.started || counts.Dropped != c.dropped {
					t.Errorf("%+v, want %d started and %d dropped", counts, c.started, c.dropped)
				}
				if seen := o.Limit(); *seen != c.seen {
					t.Errorf("the limit was %+v, want %+v", *seen, c.seen)
				}
				high := 0
				for _, e := range b.seen {
					high = max(high, e.InFlight)
				}
				if high != c.seen.Highest {
					t.Errorf("%d in flight at most, want %d", high, c.seen.Highest)
				}
			})
		})
	}
}

// Without an adaptive limit the cap is MaxInFlight, and there is nothing to tell.
func TestFixedLimitTellsNothing(t *testing.T) {
	epoch := time.Now()
	o := &Open{Load: Load{MaxInFlight: 1}, Observer: &book{}, Engine: &Each{Doer: instant{epoch}}, Schedule: func(func(time.Duration) bool) {}}
	o.Run(t.Context(), epoch, nil)
	if o.Limit() != nil {
		t.Errorf("%+v", o.Limit())
	}
}

// What the loop costs per request if its limit adapts.
func BenchmarkOpenAdaptive(b *testing.B) {
	for _, a := range []limit.Algorithm{limit.AIMD, limit.Vegas, limit.Gradient2} {
		b.Run(a.String(), func(b *testing.B) {
			epoch := time.Now()
			o := &Open{Engine: &Each{Doer: instant{epoch}}, Observer: blind{}, Load: Load{Limit: limit.Limit{Algorithm: a}}, Schedule: func(yield func(time.Duration) bool) {
				for range b.N {
					if !yield(0) {
						return
					}
				}
			}}
			b.ReportAllocs()
			o.Run(b.Context(), epoch, nil)
		})
	}
}
