package scrape

import (
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/kabench/kabench/internal/telemetry"
	"github.com/kabench/kabench/results/timings"
)

// collector shows the metrics of a source to a prometheus.Registry. It describes none
// beforehand, because which labels there are follows from how the exchanges end.
type collector struct{ metrics func() []telemetry.Metric }

func (c *collector) Describe(chan<- *prometheus.Desc) {}

func (c *collector) Collect(to chan<- prometheus.Metric) {
	for _, m := range c.metrics() {
		name := m.PrometheusName()
		for _, p := range m.Points {
			names, values := make([]string, len(p.Labels)), make([]string, len(p.Labels))
			for i, l := range p.Labels {
				names[i], values[i] = telemetry.PrometheusLabel(l.Name), l.Value
			}
			desc := prometheus.NewDesc(name, m.Help, names, nil)
			switch m.Kind {
			case telemetry.Counter:
				to <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, p.Value, values...)
			case telemetry.Histogram:
				to <- &histogram{desc, prometheus.MakeLabelPairs(desc, values), p.Histogram}
			default:
				to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, p.Value, values...)
			}
		}
	}
}

// histogram is a prometheus.Metric with classic and with native buckets.
type histogram struct {
	desc   *prometheus.Desc
	labels []*dto.LabelPair
	h      *timings.Histogram
}

func (h *histogram) Desc() *prometheus.Desc { return h.desc }

func (h *histogram) Write(to *dto.Metric) error {
	scale, zero := int32(timings.Scale), timings.Zero.Seconds()
	out := &dto.Histogram{
		SampleCount: &h.h.Count, SampleSum: &h.h.Sum,
		Schema: &scale, ZeroThreshold: &zero, ZeroCount: &h.h.Zero,
	}
	sum := uint64(0)
	for i := range timings.Bounds {
		if i < len(h.h.Classic) {
			sum += h.h.Classic[i]
		}
		upTo := sum
		out.Bucket = append(out.Bucket, &dto.Bucket{CumulativeCount: &upTo, UpperBound: &timings.Bounds[i]})
	}
	out.PositiveSpan, out.PositiveDelta = spans(h.h)
	to.Label, to.Histogram = h.labels, out
	return nil
}

// longestGap is how many empty buckets in a row are written as such: up to then that takes
// less room than another span.
const longestGap = 2

// spans writes the buckets of h as Prometheus has them: runs of buckets, each with the
// difference from the count before. OpenTelemetry's bucket i is Prometheus' bucket i+1. An
// empty histogram has a span too, since nothing else shows that it is native.
func spans(h *timings.Histogram) (list []*dto.BucketSpan, deltas []int64) {
	before, next := uint64(0), 0 // next is the index after the last bucket of the last span
	put := func(n uint64) {
		*list[len(list)-1].Length++
		deltas = append(deltas, int64(n)-int64(before))
		before = n
		next++
	}
	for i, n := range h.Buckets {
		if n == 0 {
			continue
		}
		at := h.First + i + 1
		if gap := at - next; len(list) == 0 || gap > longestGap {
			offset, length := int32(gap), uint32(0)
			list = append(list, &dto.BucketSpan{Offset: &offset, Length: &length})
			next = at
		}
		for next < at {
			put(0)
		}
		put(n)
	}
	if len(list) == 0 {
		offset, length := int32(0), uint32(0)
		list = append(list, &dto.BucketSpan{Offset: &offset, Length: &length})
	}
	return list, deltas
}
