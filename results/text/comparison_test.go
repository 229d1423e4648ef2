package text

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/kabench/kabench/results"
)

func TestRenderComparison(t *testing.T) {
	var b strings.Builder
	must(t, RenderComparison(&b, compared()))
	golden(t, "comparison.txt", b.String())
}

// With any names and figures, no line is wider than the terminal.
func TestRenderComparisonFits(t *testing.T) {
	c := compared()
	c.Arms[0].Name = "idle_timeout=2500ms lease_order=first_fit max_conns=1000"
	c.Arms[1].Name = strings.Repeat("long", 10)
	wide := results.Measure{Unit: results.UnitSeconds, Known: true, Value: 123e-6, Bounded: true, Low: 45e-6, High: 99.4, Per: []float64{1}}
	for i := range c.Arms {
		for _, name := range []string{results.MeasureResponse + ".p50", results.MeasureTimeWaitPeer, results.MeasureFailureRate + ".response_headers.port_exhausted"} {
			c.Arms[i].Measures[name] = wide
		}
		c.Arms[i].Measures[results.MeasureHandshakes] = results.Measure{Unit: results.UnitRatio, Known: true, Value: 1, Bounded: true, Low: 0.00001, High: 1}
		c.Arms[i].Measures[results.MeasureTimeWait] = results.Measure{Unit: results.UnitCount, Known: true, Value: 28123.25, Bounded: true, Low: 21000.5, High: 28231}
	}
	c.Arms = append(c.Arms, c.Arms[0], c.Arms[1], c.Arms[0])
	for i := range c.Runs {
		c.Runs[i].Arm = c.Arms[i%2].Name
	}
	c.Pairs = append(c.Pairs, results.Pair{A: c.Arms[0].Name, B: c.Arms[1].Name, Verdict: strings.Repeat("so it is and ", 50)})
	var b strings.Builder
	must(t, RenderComparison(&b, c))
	for line := range strings.Lines(b.String()) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > textWidth {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

func TestRenderComparisonCooled(t *testing.T) {
	for _, tt := range []struct {
		cool []*results.CoolDown
		want string
	}{
		{[]*results.CoolDown{nil, nil}, ""},
		{[]*results.CoolDown{{Why: "each has its own"}, {Why: "each has its own"}}, "none was needed: each has its own"},
		{[]*results.CoolDown{{Seconds: 60.1}, nil}, "no TIME_WAIT socket to the target was left when a run began; the longest wait was 60.1 s"},
		{[]*results.CoolDown{{Seconds: 5, TimeWait: 3, Limited: true}, {Seconds: 1}}, "at most 5.00 s; 1 of 2 runs began at the limit, with at most 3 TIME_WAIT sockets to the target left"},
		{[]*results.CoolDown{{Why: "not seen"}, {Limited: true, Why: "not seen"}}, "at most 0; 1 of 2 runs began at the limit (not seen)"},
		{[]*results.CoolDown{{Seconds: 65, Limited: true, Why: "not seen"}}, "at most 65.0 s; 1 of 1 runs began at the limit (not seen)"},
	} {
		c := &results.Comparison{}
		for _, d := range tt.cool {
			c.Runs = append(c.Runs, results.ComparedRun{CoolDown: d})
		}
		if got := coolDowns(c); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

// Text that came from a file cannot control the terminal, wherever it is printed.
func TestRenderComparisonIsPlainText(t *testing.T) {
	c := compared()
	bad := "x\x1b[2J\x07\u009b\u202e\r\ny"
	c.Name, c.Question, c.Verdict, c.Warnings = bad, bad, bad, []string{bad}
	c.Arms[0].Name, c.Arms[0].Change = bad, map[string]string{bad: bad}
	c.Pairs[0].A, c.Pairs[0].Verdict = bad, bad
	c.Pairs[0].Tests[0].EffectName, c.Pairs[0].Tests[0].Measure = bad, bad
	c.Arms[0].Measures[bad] = c.Arms[0].Measures[results.MeasureFailureRate]
	c.Runs[2].Excluded, c.Runs[2].Arm, c.Runs[2].Dir = bad, bad, bad
	c.Runs[2].CoolDown.Why = bad
	var b strings.Builder
	must(t, RenderComparison(&b, c))
	for _, r := range b.String() {
		if r != '\n' && !unicode.IsPrint(r) {
			t.Errorf("%q is in:\n%q", r, b.String())
		}
	}
}

func TestComparisonOfOnePair(t *testing.T) {
	c := &results.Comparison{Name: "quick", Verdict: "No difference was seen.", Confidence: 0.95, Pairs: []results.Pair{{A: "20261121-144754.169-quick", B: "20261121-144813.128-quick", Verdict: "No difference was seen."}}}
	c.Arms = []results.Arm{{Name: c.Pairs[0].A, Runs: 1}, {Name: c.Pairs[0].B, Runs: 1}}
	var b strings.Builder
	if err := RenderComparison(&b, c); err != nil {
		t.Fatal(err)
	}
	if strings.Count(b.String(), "No difference was seen.") != 1 {
		t.Errorf("the verdict is not there once:\n%s", b.String())
	}
	if !strings.Contains(b.String(), "...1-144754.169-quick  ...1-144813.128-quick") {
		t.Errorf("the columns cannot be told apart:\n%s", b.String())
	}
	if strings.Contains(b.String(), "changes nothing") {
		t.Error(b.String())
	}
}

// A comparison without a valid run is printed as a line, without a table.
func TestRenderComparisonOfNothing(t *testing.T) {
	c := compared()
	c.Interrupted, c.Runs, c.Pairs, c.Warnings = true, []results.ComparedRun{{Arm: c.Arms[0].Name, Block: 1, Excluded: "interrupted: it was stopped early"}}, nil, nil
	c.Verdict = "Interrupted before there was a valid run: nothing was compared."
	for i := range c.Arms {
		c.Arms[i].Runs = 0
		c.Arms[i].Measures = map[string]results.Measure{results.MeasureFailureRate: {Unit: results.UnitRatio, Why: "no valid run"}}
	}
	var b strings.Builder
	must(t, RenderComparison(&b, c))
	if want := "quick\nwhich?\n\n" + c.Verdict + "\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
	c.Interrupted, c.Runs[0].Excluded = false, "invalid: lag"
	b.Reset()
	must(t, RenderComparison(&b, c))
	if !strings.Contains(b.String(), "invalid: lag") || strings.Contains(b.String(), "failure rate") {
		t.Errorf("%s", b.String())
	}
}

// A figure without an interval is printed with the range of the runs if they differ.
func TestCellOfRunsThatDifferTooMuch(t *testing.T) {
	m := results.Measure{Unit: results.UnitSeconds, Known: true, Value: 0.003733, Per: []float64{0.042335, 0.003367, 0.000365}}
	if got := measureCell(m); got != "3.73 ms (seen 0.36..42.3)" {
		t.Errorf("got %q", got)
	}
	m.Per = []float64{0.003733}
	if got := measureCell(m); got != "3.73 ms" {
		t.Errorf("one run: %q", got)
	}
}
