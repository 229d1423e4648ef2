package results

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func docs(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../docs/results.md")
	must(t, err)
	return string(text)
}

// section is the text under one heading of docs, up to the next heading.
func section(t *testing.T, docs, heading string) string {
	t.Helper()
	_, text, found := strings.Cut(docs, "\n"+heading+"\n")
	if !found {
		t.Errorf("docs/results.md has no section %q", heading)
	}
	if end := regexp.MustCompile(`(?m)^#`).FindStringIndex(text); end != nil {
		text = text[:end[0]]
	}
	return text
}

var codeSpan = regexp.MustCompile("`([^`]+)`")

// tabled lists the names in the first column of a section's table. One that
// begins with a dot belongs to what the name before it belongs to.
func tabled(section string) []string {
	var names []string
	for line := range strings.Lines(section) {
		cells := strings.Split(line, "|")
		if len(cells) < 3 {
			continue
		}
		last := ""
		for _, span := range codeSpan.FindAllStringSubmatch(cells[1], -1) {
			name := span[1]
			if strings.HasPrefix(name, ".") {
				name = last[:max(strings.LastIndex(last, "."), 0)] + name
			}
			names = append(names, name)
			last = name
		}
	}
	return names
}

// fieldsOf lists the names of typ's fields, those of its parts dotted. A
// latency is described in a place of its own.
func fieldsOf(typ reflect.Type, prefix string) []string {
	var names []string
	for _, f := range reflect.VisibleFields(typ) {
		if f.Anonymous {
			continue // its fields are visible too
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		name = prefix + name
		part := f.Type
		if part.Kind() == reflect.Slice && part.Elem().Kind() == reflect.Struct {
			part, name = part.Elem(), name+"[]"
		}
		if part.Kind() == reflect.Pointer {
			part = part.Elem()
		}
		if part.Kind() == reflect.Struct && part != reflect.TypeFor[time.Time]() && part != reflect.TypeFor[Quantiles]() {
			names = append(names, fieldsOf(part, name+".")...)
		} else {
			names = append(names, name)
		}
	}
	return names
}

// TestDocsNameEveryField: each field has its place in the table of its own
// section, and what is in the table is a field.
func TestDocsNameEveryField(t *testing.T) {
	for heading, typ := range map[string]reflect.Type{
		"## run.json":       reflect.TypeFor[Run](),
		"### A latency":     reflect.TypeFor[Quantiles](),
		"## samples.ndjson": reflect.TypeFor[Sample](),
	} {
		describes(t, heading, typ)
	}
}

// describes holds the table under a heading of docs/results.md to the fields of typ.
func describes(t *testing.T, heading string, typ reflect.Type) {
	t.Helper()
	want, got := fieldsOf(typ, ""), tabled(section(t, docs(t), heading))
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("docs/results.md, %s (-fields +documented):\n%s", heading, diff)
	}
}

func TestDocsNameEveryFieldOfTheRecord(t *testing.T) {
	describes(t, "## The exchange record", reflect.TypeFor[line]())
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

// TestDocsNameEveryPath holds the table of expectations to the paths there are.
func TestDocsNameEveryPath(t *testing.T) {
	var patterns []*regexp.Regexp
	for _, name := range tabled(section(t, docs(t), "## Expectations")) {
		pattern := regexp.MustCompile(`<\w+>`).ReplaceAllString(regexp.QuoteMeta(name), `\w+`)
		patterns = append(patterns, regexp.MustCompile("^"+pattern+"$"))
	}
	paths := knownPaths()
	for _, path := range paths {
		if !slices.ContainsFunc(patterns, func(p *regexp.Regexp) bool { return p.MatchString(path) }) {
			t.Errorf("docs/results.md has no row for the expectation %s", path)
		}
	}
	for _, p := range patterns {
		if !slices.ContainsFunc(paths, p.MatchString) {
			t.Errorf("docs/results.md has a row for %s, and no expectation has such a path", p)
		}
	}
}

func TestDocsExampleIsARealLine(t *testing.T) {
	rest := section(t, docs(t), "## The exchange record")
	for _, e := range []*Exchange{stale(4909), resent(4910), looked(4911)} {
		var example string
		_, rest, _ = strings.Cut(rest, "```json\n")
		example, rest, _ = strings.Cut(rest, "```")
		if diff := cmp.Diff(string(appendLine(nil, e)), example); diff != "" {
			t.Errorf("(-written +documented):\n%s", diff)
		}
	}
}
