package text

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/results"
)

// summaryMost is how many measures of a pair a line of the summary names.
const summaryMost = 3

// SummaryOfComparison has a line for each pair in which a difference was found: by which
// factor the second configuration differs from the first. In brackets is the interval of the
// difference, as a factor of the first one's value.
func SummaryOfComparison(c *results.Comparison) (lines []string) {
	for i := range c.Pairs {
		if line := pairSummary(c, &c.Pairs[i]); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// phrase is a part of a summary's line: "fails 3.1 times less often", "than", "[2.2, 4.0]".
type phrase struct{ text, than, interval string }

// pairSummary is the line about p; "" if no difference was found.
func pairSummary(c *results.Comparison, p *results.Pair) string {
	nameA, nameB := shortly(c, p.A), shortly(c, p.B)
	var phrases []phrase
	for _, t := range summarized(p) {
		a, foundA := measureOf(c, p.A, t.Measure)
		b, foundB := measureOf(c, p.B, t.Measure)
		if foundA && foundB {
			phrases = append(phrases, phraseOf(t, a.Value, b.Value, nameA))
		}
	}
	var list []string
	named := false
	for _, x := range phrases {
		text := x.text
		if !named && x.than != "" {
			text, named = text+" "+x.than+" "+nameA, true
		}
		if x.interval != "" {
			text += " " + x.interval
		}
		list = append(list, text)
	}
	if len(list) == 0 {
		return ""
	}
	return nameB + " " + joinedByAnd(list) + "."
}

// mostInText is the largest number of characters of an arm's name in a sentence.
const mostInText = 32

// shortly returns text with short names in place of the names of c's arms.
func shortly(c *results.Comparison, text string) string {
	type name struct{ full, short string }
	var names []name
	for i, short := range ArmNames(c, mostInText) {
		if full := c.Arms[i].Name; full != short && full != "" {
			names = append(names, name{full, short})
		}
	}
	slices.SortFunc(names, func(a, b name) int { return len(b.full) - len(a.full) }) // one may be the beginning of another
	for _, n := range names {
		text = strings.ReplaceAll(text, n.full, n.short)
	}
	return text
}

func joinedByAnd(list []string) string {
	if len(list) < 2 {
		return strings.Join(list, "")
	}
	return strings.Join(list[:len(list)-1], ", ") + " and " + list[len(list)-1]
}

// summarized returns the tests of p that a summary names: those that found a difference in
// failures, in the time of responses, and in the connections opened; if there are none,
// others.
func summarized(p *results.Pair) (list []*results.Test) {
	for _, names := range [][]string{
		{results.MeasureFailureRate}, {results.MeasureDropped},
		{results.MeasureResponse + ".p99", results.MeasureResponse + ".p50", results.MeasureResponse + ".p999"},
		{results.MeasureOpened},
	} {
		for _, name := range names {
			if i := slices.IndexFunc(p.Tests, func(t results.Test) bool { return t.Measure == name && t.Differs }); i >= 0 {
				list = append(list, &p.Tests[i])
				break // one percentile is enough
			}
		}
	}
	if len(list) > 0 {
		return list
	}
	for i := range p.Tests {
		if p.Tests[i].Differs && len(list) < summaryMost {
			list = append(list, &p.Tests[i])
		}
	}
	return list
}

func measureOf(c *results.Comparison, arm, name string) (results.Measure, bool) {
	i := slices.IndexFunc(c.Arms, func(a results.Arm) bool { return a.Name == arm })
	if i < 0 {
		return results.Measure{}, false
	}
	m, found := c.Arms[i].Measures[name]
	return m, found && m.Known
}

// phraseOf says how b differs from a in the measure of t. base is the arm that has a.
func phraseOf(t *results.Test, a, b float64, base string) phrase {
	name := results.MeasureLabel(t.Measure)
	rate := t.Measure == results.MeasureFailureRate || t.Measure == results.MeasureDropped
	verb := map[string]string{results.MeasureFailureRate: "fails", results.MeasureDropped: "drops requests"}[t.Measure]
	less := t.Difference < 0 || t.Difference == 0 && t.Effect < 0
	switch {
	case rate && b == 0:
		return phrase{text: strings.Replace("never "+verb+" ("+t.Unit.Text(a)+" with "+base+")", "drops requests (", "drops a request (", 1)}
	case rate && a == 0:
		return phrase{text: fmt.Sprintf("%s (%s; never with %s)", verb, t.Unit.Text(b), base)}
	case a <= 0 || b <= 0 || a == b:
		how := "higher"
		if less {
			how = "lower"
		}
		return phrase{text: fmt.Sprintf("has a %s %s (%s instead of %s)", how, name, t.Unit.Text(b), t.Unit.Text(a))}
	}
	factor := b / a
	low, high := 0.0, math.Inf(1)
	if t.Bounded {
		low, high = 1+t.Low/a, 1+t.High/a
	}
	if less {
		factor = 1 / factor
		low, high = 1/high, inverse(low)
	}
	x := phrase{than: "than", interval: factors(low, high, t.Bounded)}
	times := shortFactor(factor) + " times"
	switch of, stat, _ := strings.Cut(t.Measure, "."); {
	case rate && less:
		x.text = verb + " " + times + " less often"
	case rate:
		x.text = verb + " " + times + " more often"
	case of == results.MeasureResponse && less:
		x.text = fmt.Sprintf("is %s faster at %s", times, strings.Replace(stat, "p999", "p99.9", 1))
	case of == results.MeasureResponse:
		x.text = fmt.Sprintf("is %s slower at %s", times, strings.Replace(stat, "p999", "p99.9", 1))
	case t.Measure == results.MeasureOpened && less:
		x.text = "opens " + times + " fewer connections"
	case t.Measure == results.MeasureOpened:
		x.text, x.than = "opens "+times+" as many connections", "as"
	case less:
		x.text = fmt.Sprintf("has a %s %s lower", name, times)
	default:
		x.text = fmt.Sprintf("has a %s %s higher", name, times)
	}
	return x
}

// inverse is 1/v; +Inf if v is not above 0, which bounds nothing.
func inverse(v float64) float64 {
	if v <= 0 {
		return math.Inf(1)
	}
	return 1 / v
}

// factors writes an interval of factors; "" if there is none, or if it bounds nothing.
func factors(low, high float64, bounded bool) string {
	switch {
	case !bounded || math.IsInf(high, 1) && low <= 0:
		return ""
	case math.IsInf(high, 1):
		return "[at least " + shortFactor(low) + "]"
	}
	return "[" + shortFactor(max(low, 0)) + ", " + shortFactor(high) + "]"
}

// shortFactor writes a factor with two or three digits: 0.87, 3.1, 132.
func shortFactor(v float64) string {
	switch {
	case v >= 9.95:
		return fmt.Sprintf("%.0f", v)
	case v >= 0.995:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// ArmNames returns a short name for each arm of c, of at most most characters, by which the
// arms can be told apart: without the words and the folders that all names share. Arms with
// different names have different short names.
func ArmNames(c *results.Comparison, most int) []string {
	names := make([]string, len(c.Arms))
	for i, arm := range c.Arms {
		names[i] = arm.Name
	}
	return layout.Shorten(withoutCommon(names), most)
}

// withoutCommon removes the words, and the folders of paths, that all names share. If a name
// would be empty, or two that differ the same, all stay as they are.
func withoutCommon(names []string) []string {
	if len(names) < 2 {
		return names
	}
	all := make([][]string, len(names))
	for i, name := range names {
		all[i] = strings.Fields(name)
	}
	shared := slices.DeleteFunc(slices.Clone(all[0]), func(word string) bool {
		return slices.ContainsFunc(all, func(words []string) bool { return !slices.Contains(words, word) })
	})
	short := make([]string, len(names))
	for i, words := range all {
		short[i] = strings.Join(slices.DeleteFunc(words, func(word string) bool { return slices.Contains(shared, word) }), " ")
	}
	folder := short[0][:strings.LastIndexByte(short[0], '/')+1]
	for _, name := range short {
		for !strings.HasPrefix(name, folder) {
			folder = folder[:strings.LastIndexByte(folder[:max(len(folder)-1, 0)], '/')+1]
		}
	}
	taken := map[string]string{}
	for i, name := range short {
		short[i] = strings.TrimPrefix(name, folder)
		other, found := taken[short[i]]
		if short[i] == "" || found && other != names[i] {
			return names
		}
		taken[short[i]] = names[i]
	}
	return short
}

// MainMeasure is the measure that shows the answer of c: the first in which a difference was
// found, of failures, requests dropped, response times and connections opened, then of all
// others. Without a difference it is the failure rate, or if nothing failed, the 99th
// percentile of the response time. "": nothing is known.
func MainMeasure(c *results.Comparison) string {
	first := []string{
		results.MeasureFailureRate, results.MeasureDropped, results.MeasureResponse + ".p99", results.MeasureResponse + ".p50",
		results.MeasureResponse + ".p999", results.MeasureOpened,
	}
	names := c.MeasureNames()
	for _, name := range append(slices.Clone(first), names...) {
		for _, p := range c.Pairs {
			if slices.ContainsFunc(p.Tests, func(t results.Test) bool { return t.Measure == name && t.Differs }) {
				return name
			}
		}
	}
	known := ""
	for _, name := range append(slices.Clone(first), names...) {
		for _, arm := range c.Arms {
			m := arm.Measures[name]
			if m.Known && m.Value > 0 {
				return name
			}
			if m.Known && known == "" {
				known = name
			}
		}
	}
	return known
}
