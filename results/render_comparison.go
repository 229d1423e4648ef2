package results

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/kabench/kabench/internal/layout"
)

// shownName is how many characters of an arm's name stand in a line above its
// column.
const shownName = 21

// RenderComparison writes a comparison for a terminal: the question and the
// verdict, a table of the arms' measures with their intervals, what each pair
// showed, and which runs were left out.
func RenderComparison(w io.Writer, c *Comparison) error {
	var b bytes.Buffer
	wrap(&b, "", c.Name)
	if c.Question != "" {
		wrap(&b, "", c.Question)
	}
	if !slices.ContainsFunc(c.Arms, func(a Arm) bool { return a.Runs > 0 }) {
		return c.renderNothing(w, &b)
	}
	if c.Interrupted {
		fmt.Fprintln(&b, "Interrupted: stopped early by a signal; this is of the runs that were made")
	}
	fmt.Fprintln(&b)
	wrap(&b, "", c.made())
	c.renderChanges(&b)
	fmt.Fprintln(&b)
	c.armTable(&b, c.Arms)
	fmt.Fprintln(&b)
	for _, p := range c.Pairs {
		if len(c.Pairs) == 1 && strings.HasSuffix(c.Verdict, p.Verdict) { // it is said at the end
			p.Verdict = ""
		}
		if p.Verdict == "" && !slices.ContainsFunc(p.Tests, func(t Test) bool { return t.Differs }) {
			continue
		}
		wrap(&b, "", p.B+" against "+p.A)
		c.renderPair(&b, p)
		fmt.Fprintln(&b)
	}
	c.renderRuns(&b)
	c.renderWarnings(&b)
	wrap(&b, "", c.Verdict)
	return layout.Print(w, b.String(), textWidth)
}

func (c *Comparison) renderWarnings(b *bytes.Buffer) {
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

// renderNothing writes a comparison without a valid run: why there is none, and no
// table.
func (c *Comparison) renderNothing(w io.Writer, b *bytes.Buffer) error {
	fmt.Fprintln(b)
	if !c.Interrupted || len(c.Runs) > 1 {
		c.renderRuns(b)
	}
	c.renderWarnings(b)
	wrap(b, "", c.Verdict)
	return layout.Print(w, b.String(), textWidth)
}

// Printable is text without what a terminal would act upon but line ends: names and
// reasons may come from files.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
}

// renderChanges says what each arm sets, in a line or two, where its name does not.
func (c *Comparison) renderChanges(b *bytes.Buffer) {
	const most = 180
	var names, texts []string
	for _, arm := range c.Arms {
		names, texts = append(names, arm.Name), append(texts, changes(arm.Change))
	}
	names, texts = Shorten(names, most), Shorten(texts, most)
	for i, arm := range c.Arms {
		if len(arm.Change) == 0 {
			continue // finished runs of one setting
		}
		if !strings.Contains(arm.Name, "=") || len(arm.Change) > 1 {
			wrap(b, "  ", names[i]+": "+texts[i])
		}
	}
}

// made says how many runs were made, and how.
func (c *Comparison) made() string {
	left := 0
	for _, r := range c.Runs {
		if r.Excluded != "" {
			left++
		}
	}
	text := fmt.Sprintf("%s of %s", plural(uint64(len(c.Runs)), "run"), plural(uint64(len(c.Arms)), "setting"))
	if c.Seed != 0 {
		text += fmt.Sprintf(", in blocks with a random order in each (seed %d)", c.Seed)
	}
	if left > 0 {
		text += fmt.Sprintf("; %d left out", left)
	}
	return text + fmt.Sprintf("; intervals of %s", percent(c.Confidence))
}

// armTable writes the measures, the first arm repeated where not all fit beside
// each other.
func (c *Comparison) armTable(b *bytes.Buffer, arms []Arm) {
	t := layout.Grid(b, 2)
	heads := make([][]string, len(arms))
	lines := 0
	short := c.shortWords()
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
		label := MeasureLabel(name)
		if strings.HasPrefix(name, MeasureFailureRate+".") {
			label = "  " + label
		}
		fmt.Fprint(t, label)
		for _, arm := range arms {
			fmt.Fprintf(t, "\t%s", arm.Measures[name].cell())
		}
		fmt.Fprintln(t)
	}
	t.Flush()
}

// shortWords are the words of the arms' names, each in at most shownName
// characters. Words that stand in the same place in several names are shortened
// where these are alike.
func (c *Comparison) shortWords() map[string]string {
	short := map[string]string{}
	for place, more := 0, true; more; place++ {
		more = false
		var words []string
		for _, arm := range c.Arms {
			if list := strings.Fields(arm.Name); place < len(list) {
				words, more = append(words, list[place]), true
			}
		}
		for i, text := range Shorten(words, shownName) {
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

// cell is "12.3 ms (12.1..12.5)".
func (m Measure) cell() string {
	if !m.Known {
		return "-"
	}
	text := m.Unit.Text(m.Value)
	switch {
	case !m.Bounded:
		return text
	case m.Unit == UnitRatio:
		return fmt.Sprintf("%s (%s..%s)", text, shortNumber(m.Low*100), shortNumber(m.High*100))
	case m.Unit == UnitSeconds && m.High > 0:
		high := humanSeconds(m.High)
		_, unit, _ := strings.Cut(high, " ")
		factor := map[string]float64{"s": 1, "ms": 1e3, "µs": 1e6}[unit]
		if strings.HasSuffix(text, " "+unit) {
			high = strings.TrimSuffix(high, " "+unit) // said once
		}
		return fmt.Sprintf("%s (%s..%s)", text, shortNumber(m.Low*factor), high)
	}
	return fmt.Sprintf("%s (%s..%s)", text, shortNumber(m.Low), shortNumber(m.High))
}

// shortNumber is v as short as three digits let it be.
func shortNumber(v float64) string {
	if v == 0 {
		return "0"
	}
	return three(v)
}

// renderPair writes what differs, and the verdict.
func (c *Comparison) renderPair(b *bytes.Buffer, p Pair) {
	t := table(b)
	for _, test := range p.Tests {
		if !test.Differs {
			continue
		}
		fmt.Fprintf(t, "  %s\t%s\t", MeasureLabel(test.Measure), signed(test.Unit, test.Difference))
		if test.Bounded {
			fmt.Fprintf(t, "(%s to %s)", signed(test.Unit, test.Low), signed(test.Unit, test.High))
		}
		fmt.Fprint(t, "\t")
		if test.EffectName != "" {
			fmt.Fprintf(t, "%s %.3g", test.EffectName, test.Effect)
		}
		fmt.Fprintf(t, "\tp %s\n", PText(test.PAdjusted))
	}
	t.Flush()
	if p.Verdict != "" {
		wrap(b, "  ", p.Verdict)
	}
}

// signed is v with its sign.
func signed(u Unit, v float64) string {
	if v > 0 {
		return "+" + u.Text(v)
	}
	return u.Text(v)
}

// renderRuns names the runs that are in no measure, and says how the runs cooled
// down.
func (c *Comparison) renderRuns(b *bytes.Buffer) {
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
	if text := c.cooled(); text != "" {
		wrap(b, "Cool-down: ", text)
		fmt.Fprintln(b)
	}
}

// cooled sums up the waits before the runs; "" when there is nothing to say.
func (c *Comparison) cooled() string {
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
		return fmt.Sprintf("no TIME_WAIT socket to the target was left when a run began; the longest wait was %s", humanSeconds(longest))
	}
	text := fmt.Sprintf("at most %s; %d of %d runs began at the limit", humanSeconds(longest), limited, waited)
	if left > 0 {
		text += fmt.Sprintf(", with at most %s to the target left", plural(uint64(left), "TIME_WAIT socket"))
	}
	if len(why) > 0 {
		text += " (" + strings.Join(why, "; ") + ")"
	}
	return text
}
