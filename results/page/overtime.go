package page

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"

	"github.com/kabench/kabench/results"
)

const (
	mostColumns = 60 // of the picture of a run
	laneOf      = 64 // px, of the requests and of the times
)

// pictureOfRun shows the requests of a run over time, failed ones in their own colour, and the
// times of its responses below.
func pictureOfRun(r *Run) *Picture {
	f := r.Flow
	n := len(f.Started)
	if n == 0 || r.Doc == nil {
		return nil
	}
	per := (n + mostColumns - 1) / mostColumns // spans in a column
	columns := (n + per - 1) / per
	started, failed := make([]float64, columns), make([]float64, columns)
	for i, v := range f.Started {
		started[i/per] += float64(v)
	}
	for outcome, list := range f.Failed {
		if strings.HasPrefix(outcome, results.PhaseSchedule.String()) {
			continue // never started
		}
		for i, v := range list {
			failed[i/per] += float64(v)
		}
	}
	span := f.Step * float64(per)
	most, total := 0.0, 0.0
	for i := range started {
		most, total = max(most, started[i], failed[i]), total+failed[i]
	}
	if most == 0 {
		return nil
	}
	low, high, slowest := timesOver(r.Heat, columns, span)
	height := laneOf + 24 + 16
	if slowest > 0 {
		height += laneOf + 30
	}
	failures := "none failed"
	if total > 0 {
		failures = fmt.Sprintf("%.0f failed", total)
	}
	label := fmt.Sprintf("Up to %s/s started, %s", results.FormatThree(most/span), failures)
	if slowest > 0 {
		label += "; 99 % within " + results.FormatSeconds(slowest) + " in the slowest span"
	}
	var b strings.Builder
	open(&b, height, label)
	fmt.Fprintf(&b, `<text class="name" x="0" y="13">requests, up to %s/s</text><text class="value %s" x="100%%" y="13" text-anchor="end">%s</text>`, results.FormatThree(most/span), map[bool]string{true: "bad", false: "good"}[total > 0], failures)
	width := 100 / float64(columns)
	base := 22 + laneOf
	for i := range started {
		h := float64(laneOf) * started[i] / most
		if h > 0 {
			class := "ok"
			if (float64(i)+0.5)*span < r.WarmUp {
				class = "ok warm"
			}
			fmt.Fprintf(&b, `<rect class="%s" x="%.2f%%" y="%.1f" width="%.2f%%" height="%.1f"/>`, class, float64(i)*width, float64(base)-h, width*0.86, h)
		}
		if failed[i] > 0 {
			h := max(float64(laneOf)*failed[i]/most, 3) // one failure is seen too
			fmt.Fprintf(&b, `<rect class="failed" x="%.2f%%" y="%.1f" width="%.2f%%" height="%.1f"/>`, float64(i)*width, float64(base)-h, width*0.86, h)
		}
	}
	y := base + 16
	if slowest > 0 {
		y = base + 24
		fmt.Fprintf(&b, `<text class="name" x="0" y="%d">response time</text><text class="value" x="100%%" y="%d" text-anchor="end">99 %% within %s</text>`, y, y, html.EscapeString(results.FormatSeconds(slowest)))
		fmt.Fprintf(&b, `<svg x="0" y="%d" width="100%%" height="%d" viewBox="0 0 %d 100" preserveAspectRatio="none">%s</svg>`, y+6, laneOf, columns, band(low, high, slowest))
		y += laneOf + 20
	}
	end := float64(n) * f.Step
	if r.WarmUp > 0 && r.WarmUp < end {
		fmt.Fprintf(&b, `<text class="axis" x="%.2f%%" y="%d" text-anchor="middle">warm-up, not counted</text>`, min(max(50*r.WarmUp/end, 30), 70), y)
	}
	fmt.Fprintf(&b, `<text class="axis" x="0" y="%d">0 s</text><text class="axis" x="100%%" y="%d" text-anchor="end">%s</text></svg>`, y, y, html.EscapeString(results.FormatSeconds(end)))
	p := &Picture{Title: "Requests over time", SVG: b.String()}
	if slowest > 0 {
		p.Note = "The area begins at the time within which half of the requests were over, and ends at that of 99\u00a0%."
	}
	if !r.Doc.Valid && r.Doc.Complete {
		p.Title = "What was recorded (it does not count)"
	}
	return p
}

// timesOver returns the times within which half, and 99 %, of the exchanges due in each column
// were over, in seconds; NaN: none was due. slowest is the longest of all.
func timesOver(h Heat, columns int, span float64) (half, most []float64, slowest float64) {
	counts := make([][]int64, columns)
	for _, cell := range h.Cells {
		at := min(int((float64(cell[0])+0.5)*h.Step/span), columns-1)
		if counts[at] == nil {
			counts[at] = make([]int64, len(h.Rows))
		}
		counts[at][cell[1]] += cell[2]
	}
	half, most = make([]float64, columns), make([]float64, columns)
	for i, list := range counts {
		half[i], most[i] = within(list, h.Rows, 0.5), within(list, h.Rows, 0.99)
		if most[i] > slowest { // not for NaN
			slowest = most[i]
		}
	}
	return half, most, slowest
}

// within returns the upper edge of the row that contains the value below which share of the
// counts lie; NaN if there are none.
func within(counts []int64, edges []float64, share float64) float64 {
	all := int64(0)
	for _, n := range counts {
		all += n
	}
	seen := int64(0)
	for i, n := range counts {
		if seen += n; n > 0 && float64(seen) >= share*float64(all) {
			return edges[i]
		}
	}
	return math.NaN()
}

// band draws the area between two lines, in a box as wide as their length and 100 high.
func band(low, high []float64, top float64) string {
	var b strings.Builder
	for from := 0; from < len(low); from++ {
		if math.IsNaN(low[from]) {
			continue
		}
		to := from
		var upper, lower []string
		for ; to < len(low) && !math.IsNaN(low[to]); to++ {
			for _, x := range []int{to, to + 1} { // a step as wide as its column
				upper = append(upper, fmt.Sprintf("%d,%.1f", x, 100-98*high[to]/top))
				lower = append(lower, fmt.Sprintf("%d,%.1f", x, 100-98*low[to]/top))
			}
		}
		line := strings.Join(upper, " ")
		slices.Reverse(lower)
		fmt.Fprintf(&b, `<polygon class="band" points="%s %s"/><polyline class="slow" points="%s" vector-effect="non-scaling-stroke"/>`, line, strings.Join(lower, " "), line)
		from = to
	}
	return b.String()
}
