package expect

import (
	"strings"
	"testing"
)

func TestParseLine(t *testing.T) {
	for line, want := range map[string][2]string{
		"failures = 0":                        {"failures", "== 0"},
		"failures=0":                          {"failures", "== 0"},
		"failures: 0":                         {"failures", "0"},
		"failures: not worse than baseline":   {"failures", "not worse than baseline"},
		" failures.rate < 1 % ":               {"failures.rate", "< 1 %"},
		"response.p99<=80ms":                  {"response.p99", "<= 80ms"},
		"response.p99 975ms..1005ms":          {"response.p99", "975ms..1005ms"},
		"failures != 3":                       {"failures", "!= 3"},
		"failures not worse than baseline":    {"failures", "not worse than baseline"},
		"counts.ok = counts.started":          {"counts.ok", "== counts.started"},
		"valid true":                          {"valid", "true"},
		"failures.before_response.fin\t>=\t5": {"failures.before_response.fin", ">= 5"},
	} {
		path, condition, err := ParseLine(line)
		if err != nil || path != want[0] || condition != want[1] {
			t.Errorf("%q: %q %q %v", line, path, condition, err)
		}
		if err := Validate(map[string]string{path: condition}); err != nil {
			t.Errorf("%q: %v", line, err)
		}
	}
	for line, say := range map[string]string{
		"":                    "not a path and its condition",
		"failures":            "not a path and its condition",
		"= 0":                 "not a path and its condition",
		"failurs = 0":         "the nearest is failures",
		"failures =":          "a value is missing",
		"failures < 5ms":      "failures: it is a count",
		"response.p99 < 5":    "give a unit",
		"failures = incident": "only what a remedy expects",
		"failures = null":     "is not a condition",
	} {
		if _, _, err := ParseLine(line); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%q: %v, want %q", line, err, say)
		}
	}
}

// What ParseLine accepts, a profile accepts.
func FuzzParseLine(f *testing.F) {
	for _, line := range []string{"failures = 0", "failures.rate<1%", "a b", "failures not worse than 110% of baseline", "valid==true"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		path, condition, err := ParseLine(line)
		if err != nil {
			return
		}
		if err := Validate(map[string]string{path: condition}); err != nil {
			t.Errorf("%q: %v", line, err)
		}
	})
}
