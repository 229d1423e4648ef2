package timings

import (
	"errors"
	"math"
	"slices"
	"time"
)

const (
	// Scale is the resolution: each bucket's upper bound is 2^(2^-Scale) times its lower
	// one, which is 4.4 %. OpenTelemetry calls it scale, Prometheus schema.
	Scale = 4
	// Zero is the width of the bucket of zero: shorter durations, and negative ones, are
	// in it.
	Zero = time.Microsecond

	perOctave = 1 << Scale
	// lowest and highest bound the indices of buckets: 1 µs and 292 years.
	lowest  = -20 * perOctave
	highest = 34 * perOctave
)

// Bounds are the upper bounds of the classic buckets, in seconds: those that OpenTelemetry
// advises for the duration of requests, and further ones on both sides, for durations on
// one machine and the lives of connections.
var Bounds = []float64{
	0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75,
	1, 2.5, 5, 7.5, 10, 30, 60, 120, 300,
}

// Histogram counts durations twice: in exponential buckets, and in those of Bounds. Its
// memory does not grow with the number of durations. The zero Histogram is empty and ready
// to use. It is not safe for concurrent use.
type Histogram struct {
	Count   uint64   `json:"count"`
	Sum     float64  `json:"sum"` // seconds
	Zero    uint64   `json:"zero,omitempty"`
	First   int      `json:"first,omitempty"`   // index of Buckets[0]
	Buckets []uint64 `json:"buckets,omitempty"` // bucket i holds durations above 2^(i/16) s, up to 2^((i+1)/16) s
	Classic []uint64 `json:"classic,omitempty"` // by Bounds, each without those below it; durations above the last bound are in none
}

// Add counts d. A negative duration counts as 0.
func (h *Histogram) Add(d time.Duration) {
	seconds := max(d, 0).Seconds()
	h.Count++
	h.Sum += seconds
	if h.Classic == nil {
		h.Classic = make([]uint64, len(Bounds))
	}
	if i := place(Bounds, seconds); i < len(Bounds) {
		h.Classic[i]++
	}
	if d < Zero {
		h.Zero++
		return
	}
	*h.bucket(index(seconds))++
}

// index is the bucket of a duration above 0, as OpenTelemetry counts them.
func index(seconds float64) int {
	fraction, octave := math.Frexp(seconds) // the fraction is from 0.5 up to 1
	return min(max((octave-1)*perOctave+place(steps[:], fraction)-1, lowest), highest)
}

// steps are the bounds of the buckets within an octave: 2^(i/16 - 1).
var steps = func() (s [perOctave]float64) {
	for i := range s {
		s[i] = math.Exp2(float64(i)/perOctave - 1)
	}
	return s
}()

// place is the index of the first bound that is not below v.
func place(bounds []float64, v float64) int {
	low, high := 0, len(bounds)
	for low < high {
		if mid := (low + high) / 2; bounds[mid] < v {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low
}

// bucket returns the bucket with that index, and makes room for it.
func (h *Histogram) bucket(i int) *uint64 {
	switch last := h.First + len(h.Buckets); {
	case len(h.Buckets) == 0:
		h.First, h.Buckets = i, make([]uint64, 1, perOctave)
	case i < h.First:
		h.Buckets = append(make([]uint64, h.First-i), h.Buckets...)
		h.First = i
	case i >= last:
		h.Buckets = append(h.Buckets, make([]uint64, i-last+1)...)
	}
	return &h.Buckets[i-h.First]
}

// Merge adds the durations of o, which may be nil, to h. It does not change o.
func (h *Histogram) Merge(o *Histogram) {
	if o == nil || o.Count == 0 {
		return
	}
	h.Count += o.Count
	h.Sum += o.Sum
	h.Zero += o.Zero
	for i, n := range o.Buckets {
		if n > 0 {
			*h.bucket(o.First + i) += n
		}
	}
	if h.Classic == nil {
		h.Classic = make([]uint64, len(Bounds))
	}
	for i, n := range o.Classic {
		h.Classic[i] += n
	}
}

// Clone is a copy of h that shares nothing with it.
func (h *Histogram) Clone() *Histogram {
	c := *h
	c.Buckets, c.Classic = slices.Clone(h.Buckets), slices.Clone(h.Classic)
	return &c
}

// most is more than any run has. Counts of several processes are added, and must not wrap.
const most = 1 << 53

// total adds counts up; above most it stops.
func total(sum uint64, counts []uint64) uint64 {
	for _, n := range counts {
		if sum > most || n > most {
			return most + 1
		}
		sum += n
	}
	return sum
}

// Check says what in h cannot be. It is for a histogram that another process sent.
func (h *Histogram) Check() error {
	if h == nil {
		return nil
	}
	switch {
	case len(h.Buckets) > 0 && (h.First < lowest || h.First+len(h.Buckets)-1 > highest || len(h.Buckets) > highest-lowest+1):
		return errors.New("a histogram has buckets that kabench does not use")
	case len(h.Classic) != 0 && len(h.Classic) != len(Bounds):
		return errors.New("a histogram has other classic buckets than kabench")
	case h.Count > most || total(h.Zero, h.Buckets) != h.Count || total(0, h.Classic) > h.Count || !(h.Sum >= 0 && h.Sum <= math.MaxFloat64):
		return errors.New("a histogram's count or sum cannot be")
	}
	return nil
}
