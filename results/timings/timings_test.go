package timings

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/kabench/kabench/results"
)

// The bucket of a duration holds it: above its lower bound, up to its upper one.
func TestBuckets(t *testing.T) {
	for d := Zero; d < 400*24*time.Hour; d += d/37 + 1 {
		var h Histogram
		h.Add(d)
		low, high := math.Exp2(float64(h.First)/perOctave), math.Exp2(float64(h.First+1)/perOctave)
		if s := d.Seconds(); len(h.Buckets) != 1 || s <= low*(1-1e-12) || s > high*(1+1e-12) {
			t.Fatalf("%v is in (%g, %g]", d, low, high)
		}
	}
	for d, first := range map[time.Duration]int{time.Second: -1, time.Second + 1: 0, 2 * time.Second: 15, math.MaxInt64: highest, Zero: lowest + 1} {
		var h Histogram
		h.Add(d)
		if h.First != first && d != Zero && d != math.MaxInt64 || h.First < lowest || h.First > highest {
			t.Errorf("%v is in bucket %d, not %d", d, h.First, first)
		}
	}
	var h Histogram
	for _, d := range []time.Duration{-time.Hour, 0, Zero - 1} {
		h.Add(d)
	}
	if h.Zero != 3 || h.Count != 3 || len(h.Buckets) > 0 || h.Sum < 0 || h.Classic[0] != 3 {
		t.Errorf("%+v", h)
	}
}

// Classic buckets hold the durations up to their bound.
func TestClassicBuckets(t *testing.T) {
	var h Histogram
	for _, b := range Bounds {
		h.Add(time.Duration(b * float64(time.Second)))
	}
	h.Add(time.Hour)
	for i, n := range h.Classic {
		if n != 1 {
			t.Errorf("%d durations up to %g s", n, Bounds[i])
		}
	}
}

func exchange(phase results.Phase, cause results.Cause, status int, ms time.Duration) *results.Exchange {
	var e results.Exchange
	e.Reset(1, 0)
	e.Phase, e.Cause, e.Status = phase, cause, status
	if phase != results.PhaseSchedule {
		e.Start, e.Done = time.Millisecond, ms*time.Millisecond
	}
	return &e
}

// filled has one exchange of each kind.
func filled() *Timings {
	var t Timings
	t.Add(exchange(results.PhaseDone, results.CauseNone, 200, 3))
	t.Add(exchange(results.PhaseDone, results.CauseNone, 503, 30))
	t.Add(exchange(results.PhaseBeforeResponse, results.CauseFIN, 0, 4))
	t.Add(exchange(results.PhaseDuringResponse, results.CauseTruncated, 200, 5))
	t.Add(exchange(results.PhaseBeforeResponse, results.CauseAborted, 0, 6))
	t.Add(exchange(results.PhaseSchedule, results.CauseDropped, 0, 0))
	warm := exchange(results.PhaseDone, results.CauseNone, 200, 7)
	warm.WarmUp = true
	t.Add(warm)
	t.Lives = &Histogram{}
	t.Lives.Add(time.Minute)
	return &t
}

// Timings have what a Tally counts.
func TestTimings(t *testing.T) {
	got := filled()
	if got.Exchanges() != 4 || got.Response.Count != 2 || got.Failed.Count != 2 || got.Lag.Count != 5 || len(got.Service) != 4 {
		t.Errorf("%+v", got)
	}
	if s := got.Service[Key{results.PhaseBeforeResponse, results.CauseFIN, 0}]; s == nil || math.Abs(s.Sum-0.003) > 1e-9 {
		t.Errorf("service time %+v", s)
	}
	twice := &Timings{}
	twice.Merge(got)
	twice.Merge(got)
	twice.Merge(nil)
	if twice.Exchanges() != 8 || twice.Lives.Count != 2 || got.Exchanges() != 4 || twice.Check() != nil {
		t.Errorf("%+v", twice)
	}
}

func TestTimingsAsJSON(t *testing.T) {
	want, got := filled(), &Timings{}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, got); err != nil || got.Check() != nil {
		t.Fatal(err, got.Check())
	}
	if d := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Timings{})); d != "" {
		t.Error(d)
	}
}

// A histogram of another process whose counts contradict each other, or would wrap, is refused.
func TestHistogramsThatCannotBe(t *testing.T) {
	for text, fits := range map[string]bool{
		`{"count":2,"sum":1,"zero":1,"first":0,"buckets":[1]}`:                                   true,
		`{"count":1,"sum":1,"zero":1,"classic":[2,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]}`: false,
		`{"count":0,"sum":0,"first":0,"buckets":[9223372036854775808,9223372036854775808]}`:      false,
		`{"count":18446744073709551615,"sum":0,"zero":18446744073709551615}`:                     false,
		`{"count":1,"sum":0,"zero":1,"classic":[1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]}`: true,
		`{"count":1,"sum":0,"zero":1,"first":0,"buckets":[18446744073709551615,1]}`:              false,
	} {
		var h Histogram
		if err := json.Unmarshal([]byte(text), &h); err != nil {
			t.Fatal(err)
		}
		if err := h.Check(); (err == nil) != fits {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// Whatever another process sends, it is refused, or can be merged.
func FuzzTimingsAsJSON(f *testing.F) {
	text, err := json.Marshal(filled())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"service":{"done//200":null}}`))
	f.Add([]byte(`{"service":{"done//200":{"count":1,"sum":1,"zero":1,"first":9e9}}}`))
	f.Add([]byte(`{"lag":{"count":2,"sum":1,"first":-320,"buckets":[1,1],"classic":[1]}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var got Timings
		if json.Unmarshal(text, &got) != nil || got.Check() != nil {
			return
		}
		var sum Timings
		sum.Merge(&got)
		sum.Merge(filled())
		if sum.Exchanges() != got.Exchanges()+4 || sum.Check() != nil {
			t.Errorf("%s: %v", text, sum.Check())
		}
	})
}

// What an Observe of telemetry adds to a request.
func BenchmarkAdd(b *testing.B) {
	var t Timings
	e := exchange(results.PhaseDone, results.CauseNone, 200, 3)
	for b.Loop() {
		t.Add(e)
	}
}
