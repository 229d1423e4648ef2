package results

import (
	"errors"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// compared is a small comparison: two arms, two runs of each, one excluded.
func compared() *Comparison {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	return &Comparison{
		Version: "v1.2.3", Name: "quick", Question: "which?", Start: start, End: start.Add(time.Minute),
		Seed: 7, Repeats: 2, Confidence: 0.95,
		Axes: []Axis{{Path: "pool.idle_timeout", Values: []string{"0", "3s"}}},
		Arms: []Arm{
			{Name: "idle_timeout=0", Change: map[string]string{"pool.idle_timeout": "0"}, Runs: 2, Measures: map[string]Measure{
				MeasureFailureRate:                          {Unit: UnitRatio, Known: true, Value: 0.1, Bounded: true, Low: 0.08, High: 0.12, Per: []float64{0.1, 0.1}},
				MeasureFailureRate + ".before_response.fin": {Unit: UnitRatio, Known: true, Value: 0.1, Bounded: true, Low: 0.08, High: 0.12, Per: []float64{0.1, 0.1}},
				MeasureResponse + ".p99":                    {Unit: UnitSeconds, Known: true, Value: 0.05, Per: []float64{0.05, 0.05}, Why: "two runs are too few for an interval"},
			}},
			{Name: "idle_timeout=3s", Change: map[string]string{"pool.idle_timeout": "3s"}, Runs: 1, Excluded: 1, Measures: map[string]Measure{
				MeasureFailureRate: {Unit: UnitRatio, Known: true, Bounded: true, High: 0.003, Per: []float64{0}},
			}},
		},
		Runs: []ComparedRun{
			{Arm: "idle_timeout=0", Block: 1, Dir: "01-idle_timeout-0"},
			{Arm: "idle_timeout=3s", Block: 1, Dir: "02-idle_timeout-3s", CoolDown: &CoolDown{Seconds: 1.5}},
			{Arm: "idle_timeout=3s", Block: 2, Dir: "03-idle_timeout-3s", Excluded: "lag p99 of 9 ms is above 2 ms", CoolDown: &CoolDown{Seconds: 20, TimeWait: 12, Limited: true}},
			{Arm: "idle_timeout=0", Block: 2, Dir: "04-idle_timeout-0"},
		},
		Pairs: []Pair{{A: "idle_timeout=0", B: "idle_timeout=3s", Verdict: "It helps.", Tests: []Test{
			{Measure: MeasureFailureRate, Unit: UnitRatio, Method: "Fisher's exact test", Difference: -0.1, Effect: 0.01, EffectName: "odds ratio", P: 1e-9, PAdjusted: 2e-9, Differs: true},
		}}},
		Warnings: []string{"one is odd"}, Verdict: "Set it.",
	}
}

func TestComparisonRoundTrip(t *testing.T) {
	dir := t.TempDir()
	if _, err := OpenComparison(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("none there: %v, want %v", err, os.ErrNotExist)
	}
	c := compared()
	must(t, SaveComparison(dir, c))
	must(t, SaveComparison(dir, c)) // in the place of the one before
	got, err := OpenComparison(dir)
	must(t, err)
	if diff := cmp.Diff(c.filled(), got); diff != "" {
		t.Errorf("(-saved +opened):\n%s", diff)
	}
	text, err := os.ReadFile(dir + "/comparison.json")
	must(t, err)
	for _, part := range []string{`"schema": "kabench.comparison/v1"`, `"unit": "ratio"`, `"unit": "seconds"`} {
		if !strings.Contains(string(text), part) {
			t.Errorf("the document has no %s:\n%s", part, text)
		}
	}
	if strings.Contains(string(text), "null") {
		t.Errorf("the document has a null:\n%s", text)
	}
}

func TestComparisonRefused(t *testing.T) {
	for _, tt := range []struct{ name, text, say string }{
		{"newer", `{"schema":"kabench.comparison/v2"}`, "made by a newer kabench; this one reads kabench.comparison/v1"},
		{"a run", `{"schema":"kabench.run/v1"}`, "not a comparison document"},
		{"cut", `{"schema":"kabench.comparison/v1",`, "not valid JSON"},
		{"unit", `{"schema":"kabench.comparison/v1","arms":[{"measures":{"x":{"unit":"ells"}}}]}`, `unit "ells"`},
		{"no arms", `{"schema":"kabench.comparison/v1"}`, "it has no arms"},
	} {
		dir := t.TempDir()
		must(t, os.WriteFile(dir+"/comparison.json", []byte(tt.text), 0o644))
		_, err := OpenComparison(dir)
		if err == nil || !strings.Contains(err.Error(), tt.say) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.say)
		}
		if tt.name == "newer" && !errors.Is(err, ErrNewerSchema) {
			t.Errorf("%v is not %v", err, ErrNewerSchema)
		}
	}
}

func TestComparisonHasNoNaN(t *testing.T) {
	c := compared()
	c.Pairs[0].Tests[0].Effect = math.Inf(1)
	if err := SaveComparison(t.TempDir(), c); err == nil || !strings.Contains(err.Error(), "failures.rate is not a finite number") {
		t.Errorf("an infinite effect: %v", err)
	}
}

func TestMeasureNames(t *testing.T) {
	want := []string{MeasureFailureRate, MeasureFailureRate + ".before_response.fin", MeasureResponse + ".p99"}
	if got := compared().MeasureNames(); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	for name, want := range map[string]string{
		MeasureFailureRate: "failure rate", MeasureFailureRate + ".before_response.fin": "before_response / fin",
		MeasureAcquire + ".p999": "queue wait p99.9", MeasureTimeWait: "TIME_WAIT peak, ours", "other": "other",
	} {
		if got := MeasureLabel(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func FuzzComparisonDocument(f *testing.F) {
	f.Add([]byte(`{"schema":"kabench.comparison/v1","arms":[{"name":"x","measures":{"y":{"unit":"count","per_run":[1]}}}],"pairs":[{}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := decodeComparison(data)
		if err != nil {
			return
		}
		var text strings.Builder
		must(t, EncodeComparison(&text, c))
	})
}
