// Package chart places times in rows above an axis, and draws them as an SVG picture in a
// page that runs no program.
package chart

import (
	_ "embed"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Template defines the template "chart", which draws a *Chart.
//
//go:embed chart.html
var Template string

// Style is the style sheet of charts; it needs that of package page.
//
//go:embed chart.css
var Style string

// Chart is a picture whose marks are placed already.
type Chart struct {
	Width, Height float64
	Says          string // for those who cannot see it
	Left, Right   float64
	Top, Bottom   float64
	Ticks         []Tick
	Rows          []Row
	Band          *Band
	Lines         []Line
	Dots          []Dot
	Curves        []Curve
	Axis          string // what it shows
}

// Tick is a mark of the axis.
type Tick struct {
	X    float64
	Text string
}

// Row is the name of a row.
type Row struct {
	Y    float64
	Text string
}

// Band is the interval of the median.
type Band struct{ X, Width, Median float64 }

// Line is a line of a row.
type Line struct {
	X1, X2, Y float64
	Class     string
}

// Dot is a mark of a row. Class is its look.
type Dot struct {
	X, Y  float64
	Class string
	Says  string
}

// Curve joins points by lines.
type Curve struct {
	Points string // as SVG has them
	Class  string
	Says   string
}

// The geometry of a chart, in pixels.
const (
	width     = 960.0
	leftSide  = 130.0
	rightSide = 24.0
	axisSpace = 44.0
	RowHeight = 30.0
	firstRow  = 8.0
)

// New returns a chart without rows, whose axis is axis in seconds.
func New(axis string) *Chart {
	return &Chart{Width: width, Left: leftSide, Right: width - rightSide, Top: firstRow, Axis: axis}
}

// End ends the rows of a chart at y, and draws the axis.
func (c *Chart) End(a Axis, y float64) {
	c.Bottom = y
	c.Height = c.Bottom + axisSpace
	c.Ticks = a.ticks()
}

// Row names a row.
func (c *Chart) Row(y float64, text string) { c.Rows = append(c.Rows, Row{y, text}) }

// Line draws a line in a row.
func (c *Chart) Line(x1, x2, y float64, class string) {
	c.Lines = append(c.Lines, Line{x1, x2, y, class})
}

// Dot draws a mark in a row.
func (c *Chart) Dot(x, y float64, class, says string) {
	c.Dots = append(c.Dots, Dot{x, y, class, says})
}

// Curve draws values over time in a row: the lowest value, 0, is at y, and the highest one,
// most, above it by almost a row.
func (c *Chart) Curve(a Axis, y, most float64, times, values []float64, class, says string) {
	var b strings.Builder
	for i, v := range values {
		fmt.Fprintf(&b, "%.1f,%.1f ", a.X(times[i]), y-min(v/max(most, 1e-9), 1)*(RowHeight-8))
	}
	c.Curves = append(c.Curves, Curve{b.String(), class, says})
}

// Median draws the interval of a median.
func (c *Chart) Median(a Axis, low, median, high float64) {
	c.Band = &Band{a.X(low), max(a.X(high)-a.X(low), 1), a.X(median)}
}

// Axis places times between two ends, which differ.
type Axis struct{ From, To float64 }

// X returns the place of a time, or of the end that is nearest to it.
func (a Axis) X(v float64) float64 {
	v = min(max(v, a.From), a.To)
	return leftSide + (v-a.From)/(a.To-a.From)*(width-leftSide-rightSide)
}

// ticks chooses round numbers on an axis.
func (a Axis) ticks() (list []Tick) {
	const about = 9
	raw := (a.To - a.From) / about
	step := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, f := range []float64{1, 2, 5, 10} {
		if step*f >= raw {
			step *= f
			break
		}
	}
	decimals := max(0, int(-math.Floor(math.Log10(step)+1e-9)))
	for i := math.Ceil(a.From / step); i*step <= a.To; i++ {
		list = append(list, Tick{a.X(i * step), strconv.FormatFloat(i*step, 'f', decimals, 64)})
	}
	return list
}
