package trend

import (
	"math"
	"regexp"
	"strconv"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

// interval is the line of an interval of response times in a latency log: its start, in
// seconds of the run, and its histogram.
var interval = regexp.MustCompile(`^Tag=response,([0-9.]+),[0-9.]+,[0-9.]+,([A-Za-z0-9+/]+={0,2})$`)

// p99Interval returns the 95 % interval of the 99th percentile of the response times in
// the latency log of d, in seconds, by order statistics. They take the requests for
// independent of each other; those that waited in the same queue are not, so the true
// interval is wider. What began in the warm-up is left out. Both are 0 if the log cannot
// be read or holds too few values.
func p99Interval(d *record.Dir, warmUp time.Duration) (low, high float64) {
	var all *hdrhistogram.Histogram
	for line, err := range d.LatencyLog() {
		if err != nil {
			return 0, 0
		}
		m := interval.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		began, err := strconv.ParseFloat(m[1], 64)
		if err != nil || began < warmUp.Seconds() {
			continue
		}
		h, err := results.DecodeHistogram(m[2])
		if err != nil {
			return 0, 0
		}
		if all == nil {
			all = h
		} else if all.Merge(h) > 0 {
			return 0, 0
		}
	}
	if all == nil {
		return 0, 0
	}
	const z = 1.96
	half := z * math.Sqrt(0.99*0.01/float64(all.TotalCount()))
	if 0.99+half >= 1 {
		return 0, 0 // the upper end is above the largest value
	}
	const us = 1e-6
	return us * float64(all.ValueAtQuantile(100*(0.99-half))), us * float64(all.ValueAtQuantile(100*(0.99+half)))
}
