package page

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/text"
)

// firstScreen completes the first screen of a page of one run.
func (d *Data) firstScreen() {
	r := &d.Runs[0]
	d.Asked, d.Picture = r.asked, pictureOfRun(r)
	if d.Live {
		h := &d.Headline
		h.Decide("Running", text.TonePlain, "", h.Answer)
	}
	if r.Forecast != nil {
		d.Kind = KindForecast
	}
	d.keepThree()
	q := r.Doc.Latency[results.LatencyResponse]
	low, high, known := quantileBounds(r.Response, 0.99, q.Count)
	for i, f := range d.Headline.Figures {
		if f.Label == text.ResponseLabel && known && low <= q.P99 && q.P99 <= high { // not if the record has only a part of the run
			d.Headline.Figures[i].Note = fmt.Sprintf("95 %% interval %s to %s", results.FormatSeconds(low), results.FormatSeconds(high))
		}
	}
}

// shownFigures is how many values the first screen has; the tables below have all.
const shownFigures = 3

func (d *Data) keepThree() {
	d.Headline.Figures = d.Headline.Figures[:min(len(d.Headline.Figures), shownFigures)]
}

// badAnswer reports whether the first value is what is wrong: the rate of failures, if there
// were any.
func (d *Data) badAnswer() bool {
	h := d.Headline
	return !h.Good && len(h.Figures) > 0 && h.Figures[0].Value != "0" && !strings.HasPrefix(h.Figures[0].Value, "0.00")
}

// quantileBounds is the 95 % interval of a percentile of n values by order statistics, for
// any distribution of values that do not depend on each other. It is not known if the values
// are too few for an upper end.
func quantileBounds(curve []Point, q float64, n uint64) (low, high float64, known bool) {
	if n == 0 || len(curve) == 0 {
		return 0, 0, false
	}
	off := 1.96 * math.Sqrt(q*(1-q)/float64(n))
	if q+off >= 1-1/float64(n) {
		return 0, 0, false
	}
	// Ends between two points of the curve go to the wider one.
	below, above := curve[0].Seconds, curve[len(curve)-1].Seconds
	for _, p := range curve {
		if p.Percentile <= 100*(q-off) {
			below = p.Seconds
		}
	}
	for _, p := range slices.Backward(curve) {
		if p.Percentile >= 100*(q+off) {
			above = p.Seconds
		}
	}
	return below, above, true
}

// pictureOfRuns compares the failure rates of several runs.
func pictureOfRuns(runs []Run) *Picture {
	var rows []bar
	for _, r := range runs {
		c := r.Doc.Counts
		if c.Started == 0 || len(rows) == mostBars {
			continue
		}
		row := bar{name: clipped(r.Name, aloneName), full: r.Name, value: float64(c.Failed) / float64(c.Started), bounded: true}
		row.low, row.high = results.Interval(c.Failed, c.Started, 0.95)
		row.text, row.count = results.FormatPercent(row.value), fmt.Sprintf("%d of %d", c.Failed, c.Started)
		if c.Failed > 0 {
			row.class = "bad"
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		return nil
	}
	return &Picture{Title: "Requests that failed", Note: withIntervals, SVG: bars(rows, results.UnitRatio, false)}
}

// sharedFacts are the facts that all runs have in common.
func sharedFacts(runs []Run) []text.Fact {
	return slices.DeleteFunc(slices.Clone(runs[0].asked), func(f text.Fact) bool {
		return slices.ContainsFunc(runs, func(r Run) bool { return !slices.Contains(r.asked, f) })
	})
}

// fullAnswer is what the short answer leaves out, and what a comparison showed pair by pair.
func (d *Data) fullAnswer() []string {
	h := d.Headline
	var list []string
	if h.Short == "" {
		return h.More // the whole answer is on the first screen
	}
	if h.Answer != h.Short {
		list = append(list, h.Answer)
	}
	list = append(list, h.More...)
	for _, line := range d.Summary {
		if !strings.Contains(h.Short, line) {
			list = append(list, line)
		}
	}
	return list
}
