package probepage

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/probe"
)

// chart is a picture whose marks are placed already.
type chart struct {
	Width, Height float64
	Says          string // for those who cannot see it
	Left, Right   float64
	Top, Bottom   float64
	Ticks         []tick
	Rows          []row
	Band          *band
	Lines         []line
	Dots          []dot
	Axis          string
}

type tick struct {
	X    float64
	Text string
}

type row struct {
	Y    float64
	Text string
}

// band is the interval of the median.
type band struct{ X, Width, Median float64 }

type line struct {
	X1, X2, Y float64
	Class     string
}

type dot struct {
	X, Y  float64
	Class string
	Says  string
}

const (
	width     = 960.0
	leftSide  = 130.0
	rightSide = 24.0
	rowHeight = 30.0
	axisSpace = 44.0
)

// axis places times between two ends.
type axis struct{ from, to float64 }

func (a axis) x(v float64) float64 {
	v = min(max(v, a.from), a.to)
	return leftSide + (v-a.from)/(a.to-a.from)*(width-leftSide-rightSide)
}

// outcomes are the rows below the closes, in their order.
var outcomes = []struct{ met, label string }{
	{"response", "got a response"}, {"408", "got a 408"}, {"fin", "met a FIN"}, {"close_notify", "met close_notify"}, {"rst", "met an RST"}, {"silent", "met silence"}, {"nothing", "got nothing"},
}

// closesChart draws when idle connections were closed, and what late requests met.
func closesChart(f probe.Found) *chart {
	if len(f.Idle) == 0 {
		return nil
	}
	idle := slices.Sorted(slices.Values(f.Idle))
	first, last := idle[0], idle[len(idle)-1]
	margin := max((last-first)*0.6, 0.004)
	a := axis{max(first-margin, 0), last + margin}
	c := &chart{Width: width, Left: leftSide, Right: width - rightSide, Top: 8, Axis: "seconds since the response"}
	c.Says = fmt.Sprintf("%d idle connections were closed after %.4f to %.4f seconds.", len(idle), first, last)
	y := c.Top + rowHeight
	c.Rows = append(c.Rows, row{y, "closes"})
	for i, v := range idle {
		c.Dots = append(c.Dots, dot{a.x(v), y + float64(i%5-2)*4, "close", fmt.Sprintf("closed after %.6f s", v)})
	}
	y += rowHeight
	for _, o := range outcomes {
		n := 0
		for _, l := range f.Late {
			if l.Met != o.met {
				continue
			}
			if n++; n == 1 {
				y += rowHeight
				c.Rows = append(c.Rows, row{y, o.label})
			}
			c.Dots = append(c.Dots, lateDot(a, l, y))
		}
	}
	if len(f.Late) > 0 {
		c.Says += " The rows below show what requests met that were sent about then; a ring at an edge lies outside the picture."
	}
	c.Bottom = y + rowHeight*0.7
	c.Height = c.Bottom + axisSpace
	c.Ticks = ticksOf(a)
	if t := f.Server.Idle; t.Known() {
		low, high := a.x(t.Low.Seconds()), a.x(t.High.Seconds())
		c.Band = &band{low, max(high-low, 1), a.x(t.Median.Seconds())}
	}
	return c
}

func lateDot(a axis, l probe.LateRequest, y float64) dot {
	d := dot{a.x(l.Idle), y, "late " + l.Met, fmt.Sprintf("sent after %.6f s", l.Idle)}
	if l.Idle < a.from || l.Idle > a.to {
		d.Class += " outside"
	}
	return d
}

// ticksOf chooses round numbers on an axis.
func ticksOf(a axis) (list []tick) {
	const about = 9
	raw := (a.to - a.from) / about
	step := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, f := range []float64{1, 2, 5, 10} {
		if step*f >= raw {
			step *= f
			break
		}
	}
	decimals := max(0, int(-math.Floor(math.Log10(step)+1e-9)))
	for i := math.Ceil(a.from / step); i*step <= a.to; i++ {
		list = append(list, tick{a.x(i * step), strconv.FormatFloat(i*step, 'f', decimals, 64)})
	}
	return list
}

// livesChart draws each connection from its opening to its end.
func livesChart(seen []evidence.Connection, took float64) *chart {
	if len(seen) == 0 || took <= 0 {
		return nil
	}
	const height = 9.0
	a := axis{0, took}
	c := &chart{Width: width, Left: leftSide, Right: width - rightSide, Top: 8, Axis: "seconds since the start"}
	c.Says = fmt.Sprintf("The life of %d connections: a line is an open connection, a dot on it a request, and the mark at its end shows how the server closed it.", len(seen))
	for i, conn := range seen {
		y := c.Top + float64(i+1)*height
		end, class := conn.Until, "ours"
		if conn.Close.At != evidence.NotSeen {
			end, class = conn.Close.At, conn.Close.How.String()
		}
		c.Lines = append(c.Lines, line{a.x(conn.Opened.Seconds()), a.x(end.Seconds()), y, "open"})
		for _, e := range conn.Exchanges {
			if e.Sent != evidence.NotSeen {
				c.Dots = append(c.Dots, dot{a.x(e.Sent.Seconds()), y, "sent", "request after " + exact(e.Sent)})
			}
		}
		if conn.Half != evidence.NotSeen {
			c.Dots = append(c.Dots, dot{a.x(conn.Half.Seconds()), y, "half", "half a request head after " + exact(conn.Half)})
		}
		if class != "ours" {
			c.Dots = append(c.Dots, dot{a.x(end.Seconds()), y, "end " + class, class + " after " + exact(end)})
		}
	}
	c.Bottom = c.Top + float64(len(seen)+1)*height
	c.Height = c.Bottom + axisSpace
	c.Ticks = ticksOf(a)
	return c
}

// exact prints a time to a tenth of a millisecond.
func exact(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 4, 64) + " s" }
