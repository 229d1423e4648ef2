package results

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDocsNameEveryField checks that each field is in the table of its section, and
// that the tables contain only fields.
func TestDocsNameEveryField(t *testing.T) {
	for heading, typ := range map[string]reflect.Type{
		"## run.json":       reflect.TypeFor[Run](),
		"### A latency":     reflect.TypeFor[Quantiles](),
		"## samples.ndjson": reflect.TypeFor[Sample](),
	} {
		describes(t, heading, typ)
	}
}

// docs/results.md names each field of a setting in the words of a client.
func TestDocsNameEveryFieldOfASetting(t *testing.T) {
	_, about, _ := strings.Cut(docs(t), "its `settings` have")
	about, _, _ = strings.Cut(about, "`plan.json`")
	for i := range reflect.TypeFor[ClientSetting]().NumField() {
		name, _, _ := strings.Cut(reflect.TypeFor[ClientSetting]().Field(i).Tag.Get("json"), ",")
		if !strings.Contains(about, "`"+name+"`") {
			t.Errorf("docs/results.md does not name %s", name)
		}
	}
}

func TestDocsNameEveryPhaseAndCause(t *testing.T) {
	text := strings.Join(strings.Fields(section(t, docs(t), "### Phases and causes")), " ")
	phases, causes, _ := strings.Cut(text, ". ")
	words := regexp.MustCompile(`\w+`)
	for p := range NumPhases {
		if name := Phase(p).String(); !slices.Contains(words.FindAllString(phases, -1), name) {
			t.Errorf("docs/results.md does not list the phase %s", name)
		}
	}
	for c := CauseNone + 1; int(c) < NumCauses; c++ {
		if !slices.Contains(words.FindAllString(causes, -1), c.String()) {
			t.Errorf("docs/results.md does not list the cause %v", c)
		}
	}
}

func TestDocsNameEveryKernelCounter(t *testing.T) {
	var want []string
	for _, c := range KernelCounters {
		want = append(want, c.Name)
	}
	got := tabled(section(t, docs(t), "### Kernel counters"))
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("docs/results.md, kernel counters (-counted +documented):\n%s", diff)
	}
}
