package results

import (
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestRenderComparison(t *testing.T) {
	var b strings.Builder
	must(t, RenderComparison(&b, compared()))
	golden(t, "comparison.txt", b.String())
}

// Whatever the names and figures are, a line is no longer than a terminal is wide.
func TestRenderComparisonFits(t *testing.T) {
	c := compared()
	c.Arms[0].Name = "idle_timeout=2500ms lease_order=first_fit max_conns=1000"
	c.Arms[1].Name = strings.Repeat("long", 10)
	wide := Measure{Unit: UnitSeconds, Known: true, Value: 123e-6, Bounded: true, Low: 45e-6, High: 99.4, Per: []float64{1}}
	for i := range c.Arms {
		for _, name := range []string{MeasureResponse + ".p50", MeasureTimeWaitPeer, MeasureFailureRate + ".response_headers.port_exhausted"} {
			c.Arms[i].Measures[name] = wide
		}
		c.Arms[i].Measures[MeasureHandshakes] = Measure{Unit: UnitRatio, Known: true, Value: 1, Bounded: true, Low: 0.00001, High: 1}
		c.Arms[i].Measures[MeasureTimeWait] = Measure{Unit: UnitCount, Known: true, Value: 28123.25, Bounded: true, Low: 21000.5, High: 28231}
	}
	c.Arms = append(c.Arms, c.Arms[0], c.Arms[1], c.Arms[0])
	for i := range c.Runs {
		c.Runs[i].Arm = c.Arms[i%2].Name
	}
	c.Pairs = append(c.Pairs, Pair{A: c.Arms[0].Name, B: c.Arms[1].Name, Verdict: strings.Repeat("so it is and ", 50)})
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
		cool []*CoolDown
		want string
	}{
		{[]*CoolDown{nil, nil}, ""},
		{[]*CoolDown{{Why: "each has its own"}, {Why: "each has its own"}}, "none was needed: each has its own"},
		{[]*CoolDown{{Seconds: 60.1}, nil}, "no TIME_WAIT socket to the target was left when a run began; the longest wait was 60.1 s"},
		{[]*CoolDown{{Seconds: 5, TimeWait: 3, Limited: true}, {Seconds: 1}}, "at most 5.00 s; 1 of 2 runs began at the limit, with at most 3 TIME_WAIT sockets to the target left"},
		{[]*CoolDown{{Why: "not seen"}, {Limited: true, Why: "not seen"}}, "at most 0; 1 of 2 runs began at the limit (not seen)"},
		{[]*CoolDown{{Seconds: 65, Limited: true, Why: "not seen"}}, "at most 65.0 s; 1 of 1 runs began at the limit (not seen)"},
	} {
		c := &Comparison{}
		for _, d := range tt.cool {
			c.Runs = append(c.Runs, ComparedRun{CoolDown: d})
		}
		if got := c.cooled(); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

// What came from a file cannot steer the terminal, however it is placed.
func TestRenderComparisonIsPlainText(t *testing.T) {
	c := compared()
	bad := "x\x1b[2J\x07\u009b\u202e\r\ny"
	c.Name, c.Question, c.Verdict, c.Warnings = bad, bad, bad, []string{bad}
	c.Arms[0].Name, c.Arms[0].Change = bad, map[string]string{bad: bad}
	c.Pairs[0].A, c.Pairs[0].Verdict = bad, bad
	c.Pairs[0].Tests[0].EffectName, c.Pairs[0].Tests[0].Measure = bad, bad
	c.Arms[0].Measures[bad] = c.Arms[0].Measures[MeasureFailureRate]
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
	c := &Comparison{Name: "quick", Verdict: "No difference was seen.", Confidence: 0.95, Pairs: []Pair{{A: "20261121-144754.169-quick", B: "20261121-144813.128-quick", Verdict: "No difference was seen."}}}
	c.Arms = []Arm{{Name: c.Pairs[0].A, Runs: 1}, {Name: c.Pairs[0].B, Runs: 1}}
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

// Names are shortened where they are alike, and never where they differ.
func TestShorten(t *testing.T) {
	for _, tt := range []struct {
		names, want []string
		most        int
	}{
		{[]string{"short", "other"}, []string{"short", "other"}, 21},
		{[]string{"http://127.0.0.1:8080/delay/1000", "http://127.0.0.1:8080/delay/1100"}, []string{"...0.1:8080/delay/1000", "...0.1:8080/delay/1100"}, 22},
		{[]string{"idle_timeout=500ms", "idle_timeout=5s", "idle_timeout=55s"}, []string{"...timeout=500ms", "idle_timeout=5s", "idle_timeout=55s"}, 16},
		{[]string{"one-of-the-directories", "two-of-the-directories"}, []string{"one-of-the-di...", "two-of-the-di..."}, 16},
		{[]string{"http://10.0.0.1:8080/a/long/way", "http://10.0.0.2:8080/a/long/way"}, []string{"...0.0.1:8080...", "...0.0.2:8080..."}, 16},
		{[]string{"a-single-name-that-is-long"}, []string{"a-sing...is-long"}, 16},
		{[]string{"xA" + strings.Repeat("m", 30) + "Bx", "yA" + strings.Repeat("n", 30) + "By"}, []string{"xAmmmm...mmmmmBx", "yAnnnn...nnnnnBy"}, 16},
		{[]string{"same" + strings.Repeat("m", 30) + "same1", "xame" + strings.Repeat("m", 15) + "x" + strings.Repeat("m", 14) + "same1"}, nil, 16},
	} {
		got := Shorten(tt.names, tt.most)
		seen := map[string]bool{}
		for i, name := range got {
			if n := utf8.RuneCountInString(name); n > tt.most || seen[name] {
				t.Errorf("%q of %q has %d characters, or is there twice", name, tt.names[i], n)
			}
			seen[name] = true
		}
		if tt.want != nil && !slices.Equal(got, tt.want) {
			t.Errorf("%q become %q, want %q", tt.names, got, tt.want)
		}
	}
	alike := []string{"a" + strings.Repeat("m", 10) + "1" + strings.Repeat("m", 10) + "z", "a" + strings.Repeat("m", 10) + "2" + strings.Repeat("m", 10) + "z", "b", strings.Repeat("m", 30) + "z"}
	if got := Shorten(alike, 10); got[0] == got[1] {
		t.Errorf("%q become %q", alike, got)
	}
}

// A comparison without a valid run is a line, and no table.
func TestRenderComparisonOfNothing(t *testing.T) {
	c := compared()
	c.Interrupted, c.Runs, c.Pairs, c.Warnings = true, []ComparedRun{{Arm: c.Arms[0].Name, Block: 1, Excluded: "interrupted: it was stopped early"}}, nil, nil
	c.Verdict = "Interrupted before there was a valid run: nothing was compared."
	for i := range c.Arms {
		c.Arms[i].Runs = 0
		c.Arms[i].Measures = map[string]Measure{MeasureFailureRate: {Unit: UnitRatio, Why: "no valid run"}}
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

// A figure without an interval does not stand alone where the runs differ.
func TestCellOfRunsThatDifferTooMuch(t *testing.T) {
	m := Measure{Unit: UnitSeconds, Known: true, Value: 0.003733, Per: []float64{0.042335, 0.003367, 0.000365}}
	if got := m.cell(); got != "3.73 ms (seen 0.36..42.3)" {
		t.Errorf("got %q", got)
	}
	m.Per = []float64{0.003733}
	if got := m.cell(); got != "3.73 ms" {
		t.Errorf("one run: %q", got)
	}
}
