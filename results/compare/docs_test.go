package compare

import (
	"os"
	"strings"
	"testing"

	"github.com/kabench/kabench/results"
)

// The docs name every measure and every method.
func TestDocsNameMeasuresAndMethods(t *testing.T) {
	text, err := os.ReadFile("../../docs/compare.md")
	if err != nil {
		t.Fatal(err)
	}
	docs := string(text)
	run := &results.Run{
		Counts:   results.Counts{Dropped: 1},
		Outcomes: []results.Outcome{{Phase: results.PhaseConnect, Cause: results.CauseRST, Count: 1}, {Phase: results.PhaseAcquire, Cause: results.CauseTimeout, Count: 1}},
	}
	ways := 0
	for _, m := range measuresOf([]*results.Run{run}) {
		if strings.HasPrefix(m.name, results.MeasureFailureRate+".") {
			ways++
			continue
		}
		if !strings.Contains(docs, "`"+m.name+"`") {
			t.Errorf("docs/compare.md does not name %s", m.name)
		}
		if results.MeasureLabel(m.name) == m.name {
			t.Errorf("%s has no label", m.name)
		}
	}
	if ways != 2 {
		t.Errorf("%d ways to fail, want 2", ways)
	}
	for _, method := range []string{methodRates, methodFisher, methodU, methodWelch, methodPaired} {
		name, _, _ := strings.Cut(method, " over ")
		if !strings.Contains(docs, name) {
			t.Errorf("docs/compare.md does not name %s", name)
		}
	}
}
