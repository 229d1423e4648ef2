package site

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/results/trend"
)

// Charts of extreme figures have places that are numbers and inside, and the page shows
// hostile texts as they are.
func TestExtremeTrends(t *testing.T) {
	const evil = `</title><script>alert(1)</script>`
	for name, p := range map[string]trend.Point{
		"nothing":     {},
		"none failed": {Started: 10, P99: 0.02},
		"all failed":  {Started: 10, Failed: 10},
		"too many":    {Started: 1, Failed: math.MaxUint64},
		"tiny":        {Started: 1e9, Failed: 1, P99: 5e-324},
		"huge":        {Started: 1, P99: math.MaxFloat64, P99Low: 1, P99High: math.MaxFloat64},
	} {
		var points []trend.Point
		for i := range 12 {
			p.Question, p.Name, p.Arm, p.Asks, p.Version, p.Machine, p.Link = "q", evil, evil, evil, evil, evil, "javascript:alert(1)"
			p.Start = began.AddDate(0, 0, i)
			if p.Unfit = ""; i == 3 {
				p.Unfit = evil
			}
			points = append(points, p)
		}
		all := trend.Of(points)
		for _, plot := range []plot{failuresPlot(&all[0]), timesPlot(&all[0])} {
			for _, m := range plot.Marks {
				for _, v := range []float64{m.X, m.Y, m.Low, m.High} {
					if !(v >= 0 && v <= plotHeight) {
						t.Errorf("%s: a mark is at %+v", name, m)
					}
				}
			}
			if len(plot.YTicks) < 2 || len(plot.YTicks) > 12 {
				t.Errorf("%s: %d ticks", name, len(plot.YTicks))
			}
		}
		var b bytes.Buffer
		must(t, WriteTrend(&b, evil, "", all))
		for _, text := range []string{"<script", "NaN", "Inf", `"javascript:`} {
			if strings.Contains(b.String(), text) {
				t.Errorf("%s: %q is in the page", name, text)
			}
		}
	}
	// Any number of runs has a chart.
	for _, n := range []int{1, 2, 25, 100, 300, 1000} {
		var points []trend.Point
		for i := range n {
			points = append(points, trend.Point{Question: "q", Start: began.Add(time.Duration(i) * time.Hour), Started: 100, Failed: uint64(i % 3), P99: 0.02})
		}
		all := trend.Of(points)
		if got := failuresPlot(&all[0]); len(got.Marks) != n || len(got.XTicks) > 7 {
			t.Errorf("%d runs: %d marks, %d ticks", n, len(got.Marks), len(got.XTicks))
		}
	}
}
