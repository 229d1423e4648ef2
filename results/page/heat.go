package page

import (
	"math"
	"strconv"
	"time"
)

// Rows of the heat map: rowsPerDecade for each power of ten, from 1 µs to the longest
// time in a histogram. Percentiles are read from finer ones.
const (
	rowsPerDecade = 20
	maxRows       = 156
	leastRows     = 12 // of a map, so that a narrow band looks like one
	finePerRow    = 5
	maxFine       = finePerRow * maxRows
)

// edge is the upper edge of row i, in seconds, with four digits.
func edge(i int) float64 {
	v, _ := strconv.ParseFloat(strconv.FormatFloat(math.Pow(10, float64(i+1)/rowsPerDecade)/1e6, 'g', 4, 64), 64)
	return v
}

// fineRow is the fine row that contains d.
func fineRow(d time.Duration) int {
	if d <= time.Microsecond {
		return 0
	}
	return min(int(finePerRow*rowsPerDecade*math.Log10(float64(d)/1e3)), maxFine-1)
}

// column counts the exchanges that were due in one span of time, by response time.
type column struct {
	ok      [maxFine]uint32
	failed  [maxRows]uint32
	longest time.Duration // of those that are ok
}

// joinColumns adds b to a.
func joinColumns(a, b *column) *column {
	if a == nil || b == nil {
		if a == nil {
			return b
		}
		return a
	}
	for i := range a.ok {
		a.ok[i] = sum(a.ok[i], b.ok[i])
	}
	for i := range a.failed {
		a.failed[i] = sum(a.failed[i], b.failed[i])
	}
	a.longest = max(a.longest, b.longest)
	return a
}

// heat gathers a Heat.
type heat struct {
	spans
	columns []*column // nil: nothing was due
}

func newHeat(limit int) *heat {
	h := &heat{}
	h.spans = spans{firstStep, limit, func() { h.columns = joined(h.columns, joinColumns) }}
	return h
}

func (h *heat) column(due time.Duration) *column {
	at := h.at(due)
	h.columns = grow(h.columns, at+1)
	if h.columns[at] == nil {
		h.columns[at] = &column{}
	}
	return h.columns[at]
}

// add counts n exchanges that are ok.
func (h *heat) add(due, took time.Duration, n uint64) {
	c := h.column(due)
	cell := &c.ok[fineRow(took)]
	*cell = sum(*cell, uint32(min(n, math.MaxUint32)))
	c.longest = max(c.longest, took)
}

// fail counts an exchange that failed.
func (h *heat) fail(due, took time.Duration) {
	cell := &h.column(due).failed[fineRow(took)/finePerRow]
	*cell = sum(*cell, 1)
}

// row is how many exchanges of row i are ok.
func (c *column) row(i int) (n int64) {
	for _, v := range c.ok[i*finePerRow : (i+1)*finePerRow] {
		n += int64(v)
	}
	return n
}

// percentile is the time, in seconds, that the share p of the responses did not exceed:
// the middle of the fine row that it is in. It is 0 if nothing is ok.
func (c *column) percentile(p float64) float64 {
	total := int64(0)
	for _, v := range c.ok {
		total += int64(v)
	}
	if total == 0 {
		return 0
	}
	rank, seen := max(int64(math.Ceil(p*float64(total))), 1), int64(0)
	for i, v := range c.ok {
		if seen += int64(v); seen >= rank {
			middle := math.Pow(10, (float64(i)+0.5)/(finePerRow*rowsPerDecade)) / 1e6
			return round(min(middle, c.longest.Seconds()), 1e6)
		}
	}
	return round(c.longest.Seconds(), 1e6)
}

// lines returns the percentiles of all columns.
func (h *heat) lines() Lines {
	n := len(h.columns)
	l := Lines{P50: make([]float64, n), P90: make([]float64, n), P99: make([]float64, n), Max: make([]float64, n)}
	for i, c := range h.columns {
		if c != nil {
			l.P50[i], l.P90[i], l.P99[i], l.Max[i] = c.percentile(0.5), c.percentile(0.9), c.percentile(0.99), round(c.longest.Seconds(), 1e6)
		}
	}
	return l
}

// data returns the map gathered so far: the rows from the lowest to the highest that
// is not empty.
func (h *heat) data() Heat {
	d := Heat{Step: h.step.Seconds(), Rows: []float64{}, Cells: [][3]int64{}, Failed: [][3]int64{}, Lines: h.lines()}
	lowest, highest := maxRows, -1
	for at, c := range h.columns {
		if c == nil {
			continue
		}
		for i := range maxRows {
			ok, failed := c.row(i), int64(c.failed[i])
			if ok > 0 {
				d.Cells = append(d.Cells, [3]int64{int64(at), int64(i), ok})
			}
			if failed > 0 {
				d.Failed = append(d.Failed, [3]int64{int64(at), int64(i), failed})
			}
			if ok+failed > 0 {
				lowest, highest = min(lowest, i), max(highest, i)
			}
		}
	}
	for highest >= 0 && highest-lowest+1 < leastRows {
		lowest, highest = max(lowest-1, 0), min(highest+1, maxRows-1)
	}
	for i := lowest; i <= highest; i++ {
		d.Rows = append(d.Rows, edge(i))
	}
	for _, cells := range [...][][3]int64{d.Cells, d.Failed} {
		for i := range cells {
			cells[i][1] -= int64(lowest)
		}
	}
	return d
}
