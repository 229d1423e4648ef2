package text

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

// stripColumns is the width of a text chart, in characters.
const stripColumns = 60

// charted are the lines of a run's chart over time. A line that is a total is drawn as
// the rate at which the total rises.
var charted = []struct {
	name  string
	total bool
	of    func(results.Sample) float64
}{
	{"ok per second", true, func(s results.Sample) float64 { return float64(s.OK) }},
	{"failed per second", true, func(s results.Sample) float64 { return float64(s.Failed) }},
	{"leased", false, func(s results.Sample) float64 { return float64(s.Leased) }},
	{"idle", false, func(s results.Sample) float64 { return float64(s.Idle) }},
	{"pending", false, func(s results.Sample) float64 { return float64(s.Pending) }},
	{"TIME_WAIT, ours", false, func(s results.Sample) float64 { return float64(socketsIn(s, true, "TIME_WAIT")) }},
	{"TIME_WAIT, server's", false, func(s results.Sample) float64 { return float64(socketsIn(s, false, "TIME_WAIT")) }},
}

// socketsIn counts sockets in state, on the client's side or the server's.
func socketsIn(s results.Sample, client bool, state string) int {
	switch {
	case s.Sockets == nil:
		return 0
	case client:
		return s.Sockets.Client[state]
	}
	return s.Sockets.Server[state]
}

// chartedRuns is the largest number of runs that are drawn over time.
const chartedRuns = 6

// chartsOverTime draws the runs over time from their samples; "" if there are none. A
// line has the same scale in all runs. The notes name the samples that could not be
// read to their end.
func chartsOverTime(k *record.Archive) (text string, notes []string) {
	type drawn struct {
		name  string
		step  float64
		lines [][]float64
	}
	var runs []drawn
	peaks := make([]float64, len(charted))
	for _, r := range k.Runs[:min(len(k.Runs), chartedRuns)] {
		if r.Dir == nil || r.Run == nil {
			continue
		}
		step, lines, err := strips(r.Dir, r.Run.End.Sub(r.Run.Start))
		if err != nil {
			notes = append(notes, fmt.Sprintf("the samples of %s end early: %s", cmp.Or(r.Name, record.KindRun),
				samplesError(err)))
		}
		if lines == nil {
			continue
		}
		for i, line := range lines {
			peaks[i] = max(peaks[i], slices.Max(line))
		}
		runs = append(runs, drawn{cmp.Or(r.Name, record.KindRun), step, lines})
	}
	var b bytes.Buffer
	for _, r := range runs {
		fmt.Fprintf(&b, "%s, a column is %s\n", r.name, results.FormatSeconds(r.step))
		for i, line := range r.lines {
			if peaks[i] > 0 {
				fmt.Fprintf(&b, "  %-20s│%s│ at most %s\n", charted[i].name, spark(line, peaks[i]), wholeOrThree(slices.Max(line)))
			}
		}
	}
	return b.String(), notes
}

// strips reads the samples into columns of equal length, and returns a line of columns
// for each entry of charted. step is the length of a column in seconds.
func strips(d *record.Dir, span time.Duration) (step float64, lines [][]float64, err error) {
	const sampled = 0.1 // seconds between samples
	columns := min(max(int(span.Seconds()/(2*sampled)), 1), stripColumns)
	step = span.Seconds() / float64(columns)
	if step <= 0 {
		return 0, nil, nil
	}
	lines = make([][]float64, len(charted))
	for i := range lines {
		lines[i] = make([]float64, columns)
	}
	ends := make([]float64, columns) // when the last sample of a column was taken
	read := 0
	for s, e := range d.Samples() {
		if e != nil {
			if !errors.Is(e, record.ErrTorn) {
				err = e
			}
			break
		}
		read++
		at := min(max(int(s.T/step), 0), columns-1)
		ends[at] = s.T
		for i, c := range charted {
			lines[i][at] = max(lines[i][at], c.of(s))
		}
	}
	if read == 0 {
		return 0, nil, err
	}
	for i, c := range charted {
		if c.total {
			rates(lines[i], ends)
		}
	}
	return step, lines, err
}

// samplesError returns the error in samples without the path of their file.
func samplesError(err error) error {
	if at := (*fs.PathError)(nil); errors.As(err, &at) {
		return at.Err
	}
	return cmp.Or(errors.Unwrap(err), err)
}

// rates replaces totals, read at the times ends, with the rates per second at which
// they rose. A column without a sample gets the rate of the next column that has one.
func rates(totals, ends []float64) {
	total, end, from := 0.0, 0.0, 0
	for i := range totals {
		if ends[i] <= end {
			continue
		}
		rate := max(totals[i]-total, 0) / (ends[i] - end)
		total, end = max(totals[i], total), ends[i]
		for ; from <= i; from++ {
			totals[from] = rate
		}
	}
	clear(totals[from:])
}

// wholeOrThree returns a whole number with all its digits, and others with three.
func wholeOrThree(v float64) string {
	if v == math.Trunc(v) {
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return results.FormatThree(v)
}

var sparks = []rune("▁▂▃▄▅▆▇█")

// spark draws values as bars of eight heights up to peak; 0 is blank.
func spark(values []float64, peak float64) string {
	bars := make([]rune, len(values))
	for i, v := range values {
		bars[i] = ' '
		if v > 0 {
			bars[i] = sparks[min(int(v/peak*float64(len(sparks))), len(sparks)-1)]
		}
	}
	return string(bars)
}

// intervalCharts draws the measures in which arms differ most often: the estimate is a
// dot on its interval. All arms have the same scale for a measure. An interval that
// goes far beyond the estimates ends in an arrow.
func intervalCharts(c *results.Comparison) string {
	var b bytes.Buffer
	arms := c.Arms[:min(len(c.Arms), markdownArmsShown)]
	width := 0
	for _, arm := range arms {
		width = max(width, len([]rune(layout.Clean(arm.Name, maxLabel))))
	}
	for _, name := range []string{results.MeasureFailureRate, results.MeasureResponse + ".p50", results.MeasureResponse + ".p99", results.MeasureOpened} {
		intervalChart(&b, arms, name, width)
	}
	return b.String()
}

func intervalChart(b *bytes.Buffer, arms []results.Arm, name string, width int) {
	var unit results.Measure // the measure of some arm that has it
	value, high := 0.0, 0.0
	for _, arm := range arms {
		if m := arm.Measures[name]; m.Known {
			unit, value, high = m, max(value, m.Value), max(high, m.Value, m.High)
		}
	}
	if value > 0 {
		high = min(high, 3*value)
	}
	if !unit.Known || high <= 0 {
		return
	}
	unit.Value = high
	fmt.Fprintf(b, "%s, 0 to %s\n", results.MeasureLabel(name), unit)
	at := func(v float64) int { return min(max(int(v/high*float64(stripColumns-1)), 0), stripColumns-1) }
	for _, arm := range arms {
		line := []rune(strings.Repeat(" ", stripColumns))
		m := arm.Measures[name]
		if m.Bounded {
			for i := at(m.Low); i <= at(m.High); i++ {
				line[i] = '─'
			}
			if m.High > high {
				line[stripColumns-1] = '→'
			}
		}
		if m.Known {
			line[at(m.Value)] = '●'
		}
		label := layout.Clean(arm.Name, maxLabel)
		fmt.Fprintf(b, "  %s%s│%s│ %s\n", label, strings.Repeat(" ", width-len([]rune(label))), string(line), measureInterval(m))
	}
}
