package results

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDocsNameEveryField(t *testing.T) {
	text, err := os.ReadFile("../docs/results.md")
	must(t, err)
	docs := string(text)
	var check func(typ reflect.Type, where string)
	check = func(typ reflect.Type, where string) {
		for i := range typ.NumField() {
			f := typ.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if !strings.Contains(docs, "`"+name) && !strings.Contains(docs, "."+name+"`") {
				t.Errorf("docs/results.md does not name %s%s", where, name)
			}
			switch f.Type {
			case reflect.TypeFor[Counts](), reflect.TypeFor[Rate](), reflect.TypeFor[Connections](), reflect.TypeFor[Reuse](),
				reflect.TypeFor[PoolPeaks](), reflect.TypeFor[Sockets](), reflect.TypeFor[Instrument](),
				reflect.TypeFor[Recording](), reflect.TypeFor[Host]():
				check(f.Type, name+".")
			}
		}
	}
	check(reflect.TypeFor[Run](), "")
	check(reflect.TypeFor[Quantiles](), "latency.")
	check(reflect.TypeFor[Outcome](), "outcomes.")
	check(reflect.TypeFor[Expectation](), "expectations.")
	check(reflect.TypeFor[LabSeen](), "lab.")
	check(reflect.TypeFor[Sample](), "samples: ")
	check(reflect.TypeFor[line](), "record: ")
}

func TestDocsExampleIsARealLine(t *testing.T) {
	text, err := os.ReadFile("../docs/results.md")
	must(t, err)
	_, rest, _ := strings.Cut(string(text), "```json\n")
	example, _, _ := strings.Cut(rest, "```")
	if diff := cmp.Diff(string(appendLine(nil, stale(49))), example); diff != "" {
		t.Errorf("(-written +documented):\n%s", diff)
	}
}
