package telemetry

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/kabench/kabench/results/timings"
)

// Kind is what the values of a metric mean.
type Kind int

// The kinds. An UpDown is a sum that may fall, as OpenTelemetry has them; Prometheus shows
// it as a gauge.
const (
	Counter Kind = iota
	Gauge
	UpDown
	Histogram
)

// Metric is one metric with all its points.
type Metric struct {
	Name   string // OpenTelemetry's: "http.client.request.duration"
	Unit   string // as UCUM writes it: "s", "{connection}", "1"
	Help   string // one sentence
	Kind   Kind
	Points []Point
}

// Point is one series of a metric.
type Point struct {
	Labels    []Label // by name
	Value     float64 // of all kinds except Histogram
	Histogram *timings.Histogram
}

// Label is an attribute of a point.
type Label struct {
	Name  string // OpenTelemetry's: "error.type"
	Value string
}

// MaxLabel bounds the value of a label, in bytes.
const MaxLabel = 120

// Printable makes any text fit to be the value of a label: valid UTF-8 that can be printed, of
// at most MaxLabel bytes.
func Printable(text string) string { return Line(text, MaxLabel) }

// Line makes any text valid UTF-8 on one line that can be printed, of at most that number of
// bytes.
func Line(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
	if len(text) <= most {
		return text
	}
	cut := most
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut]
}

// labels makes labels of names and values in turn, sorted. Empty values are left out, which
// means the same in Prometheus.
func labels(pairs ...string) []Label {
	var list []Label
	for i := 0; i+1 < len(pairs); i += 2 {
		if v := Printable(pairs[i+1]); v != "" {
			list = append(list, Label{pairs[i], v})
		}
	}
	slices.SortFunc(list, func(a, b Label) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// units are the suffixes of units in Prometheus' names. Units in braces have none.
var units = map[string]string{"s": "_seconds", "By": "_bytes"}

// PrometheusName is the name of m in Prometheus, by OpenTelemetry's rules: with its unit, and
// "_total" if it is a counter.
func (m *Metric) PrometheusName() string {
	name := PrometheusLabel(m.Name)
	if suffix := units[m.Unit]; !strings.HasSuffix(name, suffix) {
		name += suffix
	}
	if m.Kind == Counter {
		name += "_total"
	}
	return name
}

// PrometheusLabel is the name of a label in Prometheus.
func PrometheusLabel(name string) string { return strings.ReplaceAll(name, ".", "_") }
