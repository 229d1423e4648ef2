package text

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/results"
)

// shownName is the largest number of characters of an arm's name in one line above
// its column.
const shownName = 21

// RenderComparison writes a comparison for a terminal: the question and the
// verdict, a table of the arms' measures with their intervals, what each pair
// showed, and which runs were left out.
func RenderComparison(w io.Writer, c *results.Comparison) error {
	var b bytes.Buffer
	wrap(&b, "", c.Name)
	if c.Question != "" {
		wrap(&b, "", c.Question)
	}
	if !slices.ContainsFunc(c.Arms, func(a results.Arm) bool { return a.Runs > 0 }) {
		return renderNothing(c, w, &b)
	}
	if c.Interrupted {
		fmt.Fprintln(&b, "Unfinished: stopped, killed, or still going on; this is of the runs that were made")
	}
	fmt.Fprintln(&b)
	wrap(&b, "", runsMade(c))
	renderChanges(c, &b)
	fmt.Fprintln(&b)
	armTable(c, &b, c.Arms)
	fmt.Fprintln(&b)
	for _, p := range c.Pairs {
		if len(c.Pairs) == 1 && strings.HasSuffix(c.Verdict, p.Verdict) { // the comparison's verdict has it, at the end
			p.Verdict = ""
		}
		if p.Verdict == "" && !slices.ContainsFunc(p.Tests, func(t results.Test) bool { return t.Differs }) {
			continue
		}
		wrap(&b, "", p.B+" against "+p.A)
		renderPair(c, &b, p)
		fmt.Fprintln(&b)
	}
	renderRuns(c, &b)
	renderWarnings(c, &b)
	renderSummary(c, &b)
	wrap(&b, "", c.Verdict)
	return layout.Print(w, b.String(), textWidth)
}

// renderSummary writes the outcome, and a line for each pair that differs.
func renderSummary(c *results.Comparison, b *bytes.Buffer) {
	fmt.Fprintln(b, strings.ToUpper(outcomeOfComparison(c).text))
	for _, line := range SummaryOfComparison(c) {
		wrap(b, "  ", line)
	}
}

func renderWarnings(c *results.Comparison, b *bytes.Buffer) {
	for i, text := range c.Warnings {
		if i == 0 {
			fmt.Fprintln(b, "Warnings")
		}
		wrap(b, "  - ", text)
	}
	if len(c.Warnings) > 0 {
		fmt.Fprintln(b)
	}
}

// renderNothing writes a comparison without a valid run: the reasons, and no table.
func renderNothing(c *results.Comparison, w io.Writer, b *bytes.Buffer) error {
	fmt.Fprintln(b)
	if !c.Interrupted || len(c.Runs) > 1 {
		renderRuns(c, b)
	}
	renderWarnings(c, b)
	wrap(b, "", c.Verdict)
	return layout.Print(w, b.String(), textWidth)
}

// renderChanges says in a line or two what an arm sets, unless its name says it.
func renderChanges(c *results.Comparison, b *bytes.Buffer) {
	const most = 180
	var names, texts []string
	for _, arm := range c.Arms {
		names, texts = append(names, arm.Name), append(texts, changes(arm.Change))
	}
	names, texts = layout.Shorten(names, most), layout.Shorten(texts, most)
	for i, arm := range c.Arms {
		if len(arm.Change) == 0 {
			continue // an arm made of finished runs sets nothing
		}
		if !strings.Contains(arm.Name, "=") || len(arm.Change) > 1 {
			wrap(b, "  ", names[i]+": "+texts[i])
		}
	}
}

// runsMade says how many runs were made, of how many settings and in which order.
func runsMade(c *results.Comparison) string {
	left := 0
	for _, r := range c.Runs {
		if r.Excluded != "" {
			left++
		}
	}
	text := fmt.Sprintf("%s of %s", results.FormatCount(uint64(len(c.Runs)), "run"), results.FormatCount(uint64(len(c.Arms)), "setting"))
	if c.Seed != 0 {
		text += fmt.Sprintf(", in blocks with a random order in each (seed %d)", c.Seed)
	}
	if left > 0 {
		text += fmt.Sprintf("; %d left out", left)
	}
	return text + fmt.Sprintf("; intervals of %s", results.FormatPercent(c.Confidence))
}

// armTable writes the measures, a column for each arm. If the columns do not fit
// beside each other, there are several tables, and each repeats the first arm.
func armTable(c *results.Comparison, b *bytes.Buffer, arms []results.Arm) {
	t := layout.Grid(b, 2)
	heads := make([][]string, len(arms))
	lines := 0
	short := shortWords(c)
	for i, arm := range arms {
		heads[i] = inLines(arm.Name, short)
		lines = max(lines, len(heads[i]))
	}
	for line := range lines {
		for _, head := range heads {
			text := ""
			if line < len(head) {
				text = head[line]
			}
			fmt.Fprintf(t, "\t%s", text)
		}
		fmt.Fprintln(t)
	}
	fmt.Fprint(t, "runs")
	for _, arm := range arms {
		fmt.Fprintf(t, "\t%d", arm.Runs)
		if arm.Excluded > 0 {
			fmt.Fprintf(t, " (%d left out)", arm.Excluded)
		}
	}
	fmt.Fprintln(t)
	for _, name := range c.MeasureNames() {
		label := results.MeasureLabel(name)
		if strings.HasPrefix(name, results.MeasureFailureRate+".") {
			label = "  " + label
		}
		fmt.Fprint(t, label)
		for _, arm := range arms {
			fmt.Fprintf(t, "\t%s", measureCell(arm.Measures[name]))
		}
		fmt.Fprintln(t)
	}
	t.Flush()
}

// shortWords maps each word of the arms' names to a form of at most shownName
// characters. Words at the same place in several names lose the part that they share.
func shortWords(c *results.Comparison) map[string]string {
	short := map[string]string{}
	for place, more := 0, true; more; place++ {
		more = false
		var words []string
		for _, arm := range c.Arms {
			if list := strings.Fields(arm.Name); place < len(list) {
				words, more = append(words, list[place]), true
			}
		}
		for i, text := range layout.Shorten(words, shownName) {
			if _, known := short[words[i]]; !known {
				short[words[i]] = text
			}
		}
	}
	return short
}

// inLines breaks a name between words into lines of at most shownName characters.
func inLines(name string, short map[string]string) []string {
	var lines []string
	for _, word := range strings.Fields(name) {
		word = short[word]
		if last := len(lines) - 1; last >= 0 && utf8.RuneCountInString(lines[last]+word) < shownName {
			lines[last] += " " + word
		} else {
			lines = append(lines, word)
		}
	}
	return lines
}

// measureCell returns a measure with its interval: "12.3 ms (12.1..12.5)". If the runs
// differ too much for an interval, it has the range: "12.3 ms (seen 0.42..65.1)".
func measureCell(m results.Measure) string {
	if !m.Bounded && m.Known && len(m.Per) > 1 && slices.Min(m.Per) < slices.Max(m.Per) {
		m.Bounded, m.Low, m.High = true, slices.Min(m.Per), slices.Max(m.Per)
		return strings.Replace(measureCell(m), "(", "(seen ", 1)
	}
	if !m.Known {
		return "-"
	}
	text := m.Unit.Text(m.Value)
	switch {
	case !m.Bounded:
		return text
	case m.Unit == results.UnitRatio:
		return fmt.Sprintf("%s (%s..%s)", text, shortNumber(m.Low*100), shortNumber(m.High*100))
	case m.Unit == results.UnitSeconds && m.High > 0:
		high := results.FormatSeconds(m.High)
		_, unit, _ := strings.Cut(high, " ")
		factor := map[string]float64{"s": 1, "ms": 1e3, "µs": 1e6}[unit]
		if strings.HasSuffix(text, " "+unit) {
			high = strings.TrimSuffix(high, " "+unit) // one unit for both ends
		}
		return fmt.Sprintf("%s (%s..%s)", text, shortNumber(m.Low*factor), high)
	}
	return fmt.Sprintf("%s (%s..%s)", text, shortNumber(m.Low), shortNumber(m.High))
}

// shortNumber returns v with three digits, and 0 as "0".
func shortNumber(v float64) string {
	if v == 0 {
		return "0"
	}
	return results.FormatThree(v)
}

// renderPair writes the measures that differ between the two arms, and the verdict.
func renderPair(c *results.Comparison, b *bytes.Buffer, p results.Pair) {
	t := table(b)
	for _, test := range p.Tests {
		if !test.Differs {
			continue
		}
		fmt.Fprintf(t, "  %s\t%s\t", results.MeasureLabel(test.Measure), signed(test.Unit, test.Difference))
		if test.Bounded {
			fmt.Fprintf(t, "(%s to %s)", signed(test.Unit, test.Low), signed(test.Unit, test.High))
		}
		fmt.Fprint(t, "\t")
		if test.EffectName != "" {
			fmt.Fprintf(t, "%s %.3g", test.EffectName, test.Effect)
		}
		fmt.Fprintf(t, "\tp %s\n", results.FormatP(test.PAdjusted))
	}
	t.Flush()
	if p.Verdict != "" {
		wrap(b, "  ", p.Verdict)
	}
}

// signed returns v with its unit and its sign.
func signed(u results.Unit, v float64) string {
	if v > 0 {
		return "+" + u.Text(v)
	}
	return u.Text(v)
}

// renderRuns names the runs that were left out of all measures, and describes the
// cool-downs between runs.
func renderRuns(c *results.Comparison, b *bytes.Buffer) {
	left := false
	for i, r := range c.Runs {
		if r.Excluded == "" {
			continue
		}
		if !left {
			fmt.Fprintln(b, "Left out")
		}
		left = true
		name := r.Dir
		if name == "" {
			name = fmt.Sprintf("run %d", i+1)
		}
		wrap(b, "  ", fmt.Sprintf("%s (%s, block %d): %s", name, r.Arm, r.Block, r.Excluded))
	}
	if left {
		fmt.Fprintln(b)
	}
	if text := coolDowns(c); text != "" {
		wrap(b, "Cool-down: ", text)
		fmt.Fprintln(b)
	}
}

// coolDowns describes the waits before the runs; "" if no run waited.
func coolDowns(c *results.Comparison) string {
	waited, limited, longest, left := 0, 0, 0.0, 0
	var why []string
	for _, r := range c.Runs {
		d := r.CoolDown
		if d == nil {
			continue
		}
		waited++
		longest, left = max(longest, d.Seconds), max(left, d.TimeWait)
		if d.Limited {
			limited++
		}
		if d.Why != "" && !slices.Contains(why, d.Why) {
			why = append(why, d.Why)
		}
	}
	switch {
	case waited == 0:
		return ""
	case len(why) > 0 && longest == 0 && limited == 0:
		return "none was needed: " + strings.Join(why, "; ")
	case limited == 0:
		return fmt.Sprintf("no TIME_WAIT socket to the target was left when a run began; the longest wait was %s", results.FormatSeconds(longest))
	}
	text := fmt.Sprintf("at most %s; %d of %d runs began at the limit", results.FormatSeconds(longest), limited, waited)
	if left > 0 {
		text += fmt.Sprintf(", with at most %s to the target left", results.FormatCount(uint64(left), "TIME_WAIT socket"))
	}
	if len(why) > 0 {
		text += " (" + strings.Join(why, "; ") + ")"
	}
	return text
}
