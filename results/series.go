package results

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// HistogramMax is the longest time a histogram of NewHistogram holds. Longer
// ones are counted as overflow and clamped to it in the percentiles.
const HistogramMax = 60 * time.Second

// histogramDigits is the number of significant digits of a histogram of NewHistogram.
const histogramDigits = 3

// NewHistogram makes an empty histogram as every latency uses it: values in µs,
// from 1 µs to HistogramMax, with three significant digits.
func NewHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, HistogramMax.Microseconds(), histogramDigits)
}

// series collects one kind of duration. Its histogram is allocated with the
// first value, because most runs never see most phases. Count, min, max and
// mean are exact; only the percentiles come from the histogram.
type series struct {
	h        *hdrhistogram.Histogram
	count    uint64
	overflow uint64
	sum      float64 // ns; an int64 could overflow within a long run
	min, max time.Duration
}

// add records d n times. A negative d, which a stamp rounded to µs can
// produce, counts as 0.
func (s *series) add(d time.Duration, n uint64) {
	d = max(d, 0)
	if s.h == nil {
		s.h, s.min = NewHistogram(), d
	}
	s.count += n
	s.sum += float64(d) * float64(n)
	s.min, s.max = min(s.min, d), max(s.max, d)
	if d > HistogramMax {
		s.overflow += n
		d = HistogramMax
	}
	// The value is within the histogram's range, so this cannot fail.
	_ = s.h.RecordValues(Micros(d), int64(n))
}

func (s *series) merge(o *series) {
	if o.h == nil {
		return
	}
	if s.h == nil {
		s.h, s.min = NewHistogram(), o.min
	}
	s.h.Merge(o.h)
	s.count += o.count
	s.overflow += o.overflow
	s.sum += o.sum
	s.min, s.max = min(s.min, o.min), max(s.max, o.max)
}

func (s *series) quantiles() Quantiles {
	if s.h == nil {
		return Quantiles{}
	}
	// A histogram returns the upper edge of a bucket, which may be above the largest
	// value seen.
	at := func(percentile float64) float64 {
		d := time.Duration(s.h.ValueAtPercentile(percentile)) * time.Microsecond
		return min(max(d, s.min), s.max).Seconds()
	}
	mean := min(max(s.sum/float64(s.count)/float64(time.Second), s.min.Seconds()), s.max.Seconds())
	return Quantiles{
		Count: s.count, Min: s.min.Seconds(), Max: s.max.Seconds(), Mean: mean,
		P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), Overflow: s.overflow,
	}
}

// Micros is d in µs, rounded to the nearest: if it rounded down, the sum of many
// short phases would be too small.
func Micros(d time.Duration) int64 {
	if d < 0 {
		return -Micros(max(-d, 0)) // the smallest Duration has no positive counterpart
	}
	if d > math.MaxInt64-time.Microsecond {
		return int64(d / time.Microsecond)
	}
	return int64((d + time.Microsecond/2) / time.Microsecond)
}

// above is how many of the durations were longer than d. A duration that the
// histogram cannot distinguish from d does not count as longer.
func (s *series) above(d time.Duration) (n uint64) {
	if s.h == nil || d >= s.max {
		return 0
	}
	limit := Micros(max(d, 0))
	for _, bar := range s.h.Distribution() {
		if bar.Count > 0 && bar.From > limit {
			n += uint64(bar.Count)
		}
	}
	return n
}

// Durations collects durations of one kind, in bounded memory. The zero Durations
// is empty; it is not safe for concurrent use.
type Durations struct{ s series }

// Add records d.
func (d *Durations) Add(one time.Duration) { d.s.add(one, 1) }

// Quantiles describe what was recorded.
func (d *Durations) Quantiles() Quantiles { return d.s.quantiles() }

// clone is a copy of s that shares nothing with it.
func (s *series) clone() series {
	c := *s
	if s.h != nil {
		c.h = s.h.Clone()
	}
	return c
}

// Clone is a copy of d that shares nothing with it.
func (d *Durations) Clone() *Durations { return &Durations{d.s.clone()} }

// Merge adds the durations of o to d. It does not change o.
func (d *Durations) Merge(o *Durations) { d.s.merge(&o.s) }

// seriesDocument is a series as JSON. Times are in ns. A series without values has none.
type seriesDocument struct {
	Count    uint64  `json:"count"`
	Overflow uint64  `json:"overflow,omitempty"`
	Sum      float64 `json:"sum_ns"`
	Min      int64   `json:"min_ns"`
	Max      int64   `json:"max_ns"`
	// Histogram has the values in µs, in HdrHistogram's V2 compressed encoding, as base64.
	Histogram string `json:"histogram"`
}

func (s *series) document() (*seriesDocument, error) {
	if s.h == nil {
		return nil, nil
	}
	text, err := s.h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		return nil, err
	}
	return &seriesDocument{s.count, s.overflow, s.sum, int64(s.min), int64(s.max), string(text)}, nil
}

// into sets s to the series of d, which may be nil. Its error names the series.
func (d *seriesDocument) into(s *series, name string) error {
	if d == nil {
		return nil
	}
	h, err := DecodeHistogram(d.Histogram)
	switch {
	case err != nil:
	case d.Count == 0 || uint64(h.TotalCount()) != d.Count:
		err = fmt.Errorf("it has %d values, and its histogram %d", d.Count, h.TotalCount())
	case d.Min < 0 || d.Max < d.Min || d.Overflow > d.Count || !(d.Sum >= 0 && d.Sum <= math.MaxFloat64):
		err = errors.New("its sum, its extremes or its overflow cannot be")
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	*s = series{h, d.Count, d.Overflow, d.Sum, time.Duration(d.Min), time.Duration(d.Max)}
	return nil
}

// DecodeHistogram reads a histogram of NewHistogram in HdrHistogram's V2 compressed
// encoding, as base64. It refuses every other one, because a histogram with another
// range cannot be added without loss, and may take any amount of memory.
func DecodeHistogram(text string) (*hdrhistogram.Histogram, error) {
	compressed, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(compressed) < 8 {
		return nil, errors.New("the histogram is not in base64")
	}
	z, err := zlib.NewReader(bytes.NewReader(compressed[8:])) // after the cookie and the length
	if err != nil {
		return nil, fmt.Errorf("the histogram is damaged: %w", err)
	}
	var header struct {
		Cookie, Length, Offset, Digits int32
		Lowest, Highest                int64
	}
	if err := binary.Read(io.LimitReader(z, hdrhistogram.ENCODING_HEADER_SIZE), binary.BigEndian, &header); err != nil {
		return nil, fmt.Errorf("the histogram is damaged: %w", err)
	}
	if header.Digits != histogramDigits || header.Lowest != 1 || header.Highest != HistogramMax.Microseconds() {
		return nil, errors.New("the histogram has another range than kabench's")
	}
	h, err := hdrhistogram.Decode([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("the histogram is damaged: %w", err)
	}
	return h, nil
}
