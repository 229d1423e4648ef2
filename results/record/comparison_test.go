package record

import (
	"errors"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kabench/kabench/results"
)

func TestComparisonRoundTrip(t *testing.T) {
	dir := t.TempDir()
	if _, err := OpenComparison(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("none there: %v, want %v", err, os.ErrNotExist)
	}
	c := compared()
	must(t, SaveComparison(dir, c))
	must(t, SaveComparison(dir, c)) // replaces the first
	got, err := OpenComparison(dir)
	must(t, err)
	if diff := cmp.Diff(filledComparison(c), got); diff != "" {
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

// docs/compare.md has every field of the document.
func TestDocsDescribeTheComparison(t *testing.T) {
	text, err := os.ReadFile("../../docs/compare.md")
	must(t, err)
	_, after, found := strings.Cut(string(text), "\n## comparison.json\n")
	if !found {
		t.Fatal("there is no section comparison.json")
	}
	named := map[string]bool{}
	for _, name := range tabled(after) {
		named[name] = true
	}
	fields := fieldsOf(reflect.TypeFor[results.Comparison](), "")
	for _, name := range fieldsOf(reflect.TypeFor[results.Measure](), "") {
		fields = append(fields, "arms[].measures.<name>."+name)
	}
	for _, name := range fields {
		if !named[name] {
			t.Errorf("docs/compare.md does not have %s", name)
		}
	}
}
