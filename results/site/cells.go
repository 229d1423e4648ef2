package site

import (
	"math"
	"strconv"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

// Cell is a figure of a report in the table of the index.
type Cell struct {
	Text  string `json:"text"` // as printed; "-": not known
	Note  string `json:"note,omitempty"`
	Value string `json:"value,omitempty"` // what the table is sorted by, a number; "": not known
}

func number(text, note string, v float64) Cell {
	return Cell{text, note, strconv.FormatFloat(v, 'g', 6, 64)}
}

// cells returns the failure rate and the response time of k: of a run, of the incident
// without remedies, or, from lowest to highest, of the arms of a comparison.
func cells(k *record.Archive) (failures, p99 Cell) {
	if k.Comparison != nil {
		return span(k.Comparison, results.MeasureFailureRate), span(k.Comparison, results.MeasureResponse+".p99")
	}
	failures, p99 = Cell{Text: "-"}, Cell{Text: "-"}
	if len(k.Runs) == 0 || k.Runs[0].Run == nil {
		return failures, p99
	}
	run := k.Runs[0].Run
	if c := run.Counts; c.OK+c.Failed > 0 && c.Started > 0 {
		rate := float64(c.Failed) / float64(c.Started)
		low, high := results.Interval(c.Failed, c.Started, 0.95)
		failures = number(results.FormatPercent(rate), results.FormatPercent(low)+" to "+results.FormatPercent(high), rate)
		if n := run.ErrorAnswers.Sum(); n > 0 && c.OK > 0 {
			failures.Note += "; " + results.FormatPercent(float64(n)/float64(c.OK)) + " of answers were errors"
		}
	}
	if q := run.Latency[results.LatencyResponse]; q.Count > 0 {
		p99 = number(q.Format(99), "", q.P99)
	}
	return failures, p99
}

// span is the values of a measure in the arms of a comparison.
func span(c *results.Comparison, name string) Cell {
	low, high := math.Inf(1), math.Inf(-1)
	var from, to string
	for _, arm := range c.Arms {
		m := arm.Measures[name]
		if !m.Known {
			continue
		}
		if m.Value < low {
			low, from = m.Value, m.String()
		}
		if m.Value > high {
			high, to = m.Value, m.String()
		}
	}
	switch {
	case from == "":
		return Cell{Text: "-"}
	case from == to:
		return number(from, "", high)
	}
	return number(from+" to "+to, "of its arms", high)
}
