package site

import (
	"fmt"
	"math"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/trend"
)

// plot is a chart of a figure over the runs of a series. Places along the runs are in
// percent of the width, so that letters have the same size on every screen; places
// upwards are in pixels.
type plot struct {
	Caption, Label       string
	Size                 string // class: the least width for this number of runs
	Height, Bottom, Foot int
	YTicks               []yTick
	XTicks               []xTick
	Changes              []changeMark
	Levels               []levelLine
	Marks                []mark
}

type yTick struct {
	Y    float64
	Text string
}

type xTick struct {
	X            float64
	Anchor, Text string
	Odd          bool // left out on a small screen
}

type changeMark struct {
	X            float64
	Anchor, Text string
	Worse        bool
}

type levelLine struct{ X1, X2, Y float64 }

// mark is a run. High is 0 without an interval.
type mark struct {
	X, Y, Low, High float64
	Link, Says      string
	Unfit           bool
}

const (
	plotHeight = 240
	plotTop    = 34
	plotBottom = 200
	plotFoot   = 222
)

// value is a figure of a run.
type value struct {
	v, low, high float64 // low and high are 0 without an interval
	known        bool
}

func failuresPlot(s *trend.Series) plot {
	return draw(s, "Failure rate", trend.Failures, results.FormatPercent, func(p *trend.Point) value {
		rate, low, high := p.Rate()
		return value{rate, low, high, p.Started > 0}
	})
}

func timesPlot(s *trend.Series) plot {
	return draw(s, "Response time, 99th percentile", trend.P99, results.FormatSeconds, func(p *trend.Point) value {
		return value{p.P99, p.P99Low, p.P99High, p.P99 > 0}
	})
}

func draw(s *trend.Series, caption, figure string, format func(float64) string, read func(*trend.Point) value) plot {
	of := func(p *trend.Point) value { // with values that can be drawn, whatever the file says
		const most = 1e12
		v := read(p)
		v.v, v.low, v.high = min(v.v, most), min(v.low, most), min(v.high, most)
		if !(v.low <= v.v && v.v <= v.high) {
			v.low, v.high = 0, 0
		}
		return v
	}
	o := plot{Caption: caption, Height: plotHeight, Bottom: plotBottom, Foot: plotFoot, Size: sizeOf(len(s.Points))}
	top, bottom := 0.0, math.Inf(1)
	for i := range s.Points {
		if v := of(&s.Points[i]); v.known && s.Points[i].Unfit == "" {
			top = max(top, v.v*1.05, min(v.high, 4*v.v)) // one wide interval does not press the others down
			if bottom = min(bottom, v.v*0.95); v.high > 0 {
				bottom = min(bottom, v.low)
			}
		}
	}
	if figure == trend.Failures || bottom < top/2 || bottom >= top {
		bottom = 0
	}
	step := roundStep(top - bottom)
	bottom = math.Floor(bottom/step) * step
	top = max(math.Ceil(top/step)*step, bottom+step)
	x := func(i float64) float64 { return round(100 * (i + 0.5) / float64(len(s.Points))) }
	y := func(v float64) float64 {
		return round(plotBottom - (plotBottom-plotTop)*min(max((v-bottom)/(top-bottom), 0), 1.04))
	}
	for n := 0.0; n <= math.Round((top-bottom)/step); n++ {
		o.YTicks = append(o.YTicks, yTick{y(bottom + n*step), format(bottom + n*step)})
	}
	for i := range s.Points {
		p := &s.Points[i]
		v := of(p)
		if !v.known {
			continue
		}
		m := mark{X: x(float64(i)), Y: y(v.v), Link: p.Link, Unfit: p.Unfit != "", Says: p.Which() + ": " + format(v.v)}
		if v.high > 0 {
			m.Low, m.High = y(v.low), y(v.high)
			m.Says += ", 95 % interval " + format(v.low) + " to " + format(v.high)
		}
		if m.Unfit {
			m.Says += "; not used, because it " + p.Unfit
		}
		o.Marks = append(o.Marks, m)
	}
	o.levels(s, figure, x, y)
	o.ticks(s, x)
	o.Label = fmt.Sprintf("%s of %d runs of %s, each a link to its report where there is one", caption, len(o.Marks), s.Title())
	return o
}

// levels draws the changes, and the levels between them.
func (o *plot) levels(s *trend.Series, figure string, x, y func(float64) float64) {
	var list []*trend.Change
	for i := range s.Changes {
		if s.Changes[i].Figure == figure {
			list = append(list, &s.Changes[i])
		}
	}
	last := float64(len(s.Points) - 1)
	for n, c := range list {
		at := float64(c.At) - 0.5
		m := changeMark{X: x(at), Anchor: anchor(x(at)), Text: c.Format(c.Before) + " → " + c.Format(c.After), Worse: c.Worse}
		o.Changes = append(o.Changes, m)
		if n == 0 {
			o.Levels = append(o.Levels, levelLine{x(-0.5), x(at), y(c.Before)})
		}
		to := last + 0.5
		if n+1 < len(list) {
			to = float64(list[n+1].At) - 0.5
		}
		o.Levels = append(o.Levels, levelLine{x(at), x(to), y(c.After)})
	}
}

// ticks names some of the runs below the chart, by their commit or else their day.
func (o *plot) ticks(s *trend.Series, x func(float64) float64) {
	const about = 6
	n := len(s.Points)
	every := max((n+about-1)/about, 1)
	for i := 0; i < n; i += every {
		p := &s.Points[i]
		text := p.Start.UTC().Format("2006-01-02")
		if p.Commit != "" {
			text = p.Commit[:min(len(p.Commit), 7)]
		}
		o.XTicks = append(o.XTicks, xTick{x(float64(i)), anchor(x(float64(i))), text, len(o.XTicks)%2 == 1})
	}
}

// anchor is where a text at x percent is held, so that it stays inside.
func anchor(x float64) string {
	switch {
	case x < 12:
		return "start"
	case x > 85:
		return "end"
	}
	return "middle"
}

// sizeOf is the class of a chart of n runs.
func sizeOf(n int) string {
	switch {
	case n > 240:
		return "most"
	case n > 80:
		return "more"
	case n > 30:
		return "many"
	}
	return "few"
}

// roundStep is a round number about a quarter of top.
func roundStep(top float64) float64 {
	if !(top > 1e-12) { // nothing is there to see
		return 0.01
	}
	step := math.Pow(10, math.Floor(math.Log10(top/4)))
	for _, f := range []float64{1, 2, 5, 10} {
		if f*step >= top/4 {
			return f * step
		}
	}
	return 10 * step
}

func round(v float64) float64 { return math.Round(v*100) / 100 }
