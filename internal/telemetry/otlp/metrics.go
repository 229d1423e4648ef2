package otlp

import (
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/kabench/kabench/internal/telemetry"
	"github.com/kabench/kabench/results/timings"
)

// asData turns metrics into OpenTelemetry's. classic asks for histograms with kabench's
// bounds in place of exponential ones.
func asData(list []telemetry.Metric, start, now time.Time, classic bool) []metricdata.Metrics {
	var all []metricdata.Metrics
	for _, m := range list {
		if len(m.Points) == 0 {
			continue
		}
		d := metricdata.Metrics{Name: m.Name, Unit: m.Unit, Description: m.Help}
		switch m.Kind {
		case telemetry.Counter, telemetry.UpDown:
			d.Data = metricdata.Sum[float64]{DataPoints: numbers(m.Points, start, now), Temporality: metricdata.CumulativeTemporality, IsMonotonic: m.Kind == telemetry.Counter}
		case telemetry.Gauge:
			d.Data = metricdata.Gauge[float64]{DataPoints: numbers(m.Points, start, now)}
		case telemetry.Histogram:
			if classic {
				d.Data = metricdata.Histogram[float64]{DataPoints: classics(m.Points, start, now), Temporality: metricdata.CumulativeTemporality}
			} else {
				d.Data = metricdata.ExponentialHistogram[float64]{DataPoints: exponentials(m.Points, start, now), Temporality: metricdata.CumulativeTemporality}
			}
		}
		all = append(all, d)
	}
	return all
}

func attributes(labels []telemetry.Label) attribute.Set {
	list := make([]attribute.KeyValue, len(labels))
	for i, l := range labels {
		list[i] = keyValue(l.Name, l.Value)
	}
	return attribute.NewSet(list...)
}

func numbers(points []telemetry.Point, start, now time.Time) []metricdata.DataPoint[float64] {
	list := make([]metricdata.DataPoint[float64], len(points))
	for i, p := range points {
		list[i] = metricdata.DataPoint[float64]{Attributes: attributes(p.Labels), StartTime: start, Time: now, Value: p.Value}
	}
	return list
}

func exponentials(points []telemetry.Point, start, now time.Time) []metricdata.ExponentialHistogramDataPoint[float64] {
	list := make([]metricdata.ExponentialHistogramDataPoint[float64], len(points))
	for i, p := range points {
		h := p.Histogram
		list[i] = metricdata.ExponentialHistogramDataPoint[float64]{
			Attributes: attributes(p.Labels), StartTime: start, Time: now,
			Count: h.Count, Sum: h.Sum, Scale: timings.Scale, ZeroCount: h.Zero, ZeroThreshold: timings.Zero.Seconds(),
			PositiveBucket: metricdata.ExponentialBucket{Offset: int32(h.First), Counts: h.Buckets},
		}
	}
	return list
}

func classics(points []telemetry.Point, start, now time.Time) []metricdata.HistogramDataPoint[float64] {
	list := make([]metricdata.HistogramDataPoint[float64], len(points))
	for i, p := range points {
		h := p.Histogram
		counts, rest := make([]uint64, len(timings.Bounds)+1), h.Count
		copy(counts, h.Classic)
		for _, n := range h.Classic {
			rest -= n
		}
		counts[len(timings.Bounds)] = rest
		list[i] = metricdata.HistogramDataPoint[float64]{
			Attributes: attributes(p.Labels), StartTime: start, Time: now, Count: h.Count, Sum: h.Sum, Bounds: timings.Bounds, BucketCounts: counts,
		}
	}
	return list
}
