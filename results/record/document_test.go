package record

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kabench/kabench/results"
)

func TestReproductionRoundTrip(t *testing.T) {
	dir := t.TempDir()
	if _, err := OpenReproduction(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("none there: %v, want %v", err, os.ErrNotExist)
	}
	r := &results.Reproduction{
		Incident: "idle-race", Question: "how many?", Reproduced: true, IncidentRun: rendered(), Verdict: "So it is.",
		RemedyRuns: []results.RemedyRun{{Remedy: "shorter", Change: map[string]string{"pool.idle_timeout": "800ms"}, Cleared: true, Run: rendered()}},
	}
	must(t, SaveReproduction(dir, r))
	must(t, SaveReproduction(dir, r)) // replaces the first
	got, err := OpenReproduction(dir)
	must(t, err)
	if diff := cmp.Diff(filledReproduction(r), got); diff != "" {
		t.Errorf("(-saved +opened):\n%s", diff)
	}
	entries, err := os.ReadDir(dir)
	must(t, err)
	if len(entries) != 1 || entries[0].Name() != "reproduction.json" {
		t.Errorf("the directory holds %v", entries)
	}
}

func TestReproductionRefused(t *testing.T) {
	for _, tt := range []struct{ name, text, say string }{
		{"newer", `{"schema":"kabench.reproduction/v2"}`, "made by a newer kabench; this one reads kabench.reproduction/v1"},
		{"a run", `{"schema":"kabench.run/v1"}`, "not a reproduction document"},
		{"cut", `{"schema":"kabench.reproduction/v1",`, "not valid JSON"},
		{"type", `{"schema":"kabench.reproduction/v1","remedy_runs":7}`, "not a valid reproduction document"},
		{"no run", `{"schema":"kabench.reproduction/v1"}`, "it has no incident_run"},
	} {
		dir := t.TempDir()
		w, err := Create(filepath.Join(dir, "incident"))
		must(t, err)
		must(t, w.Close(begun()))
		must(t, os.Mkdir(filepath.Join(dir, "notes"), 0o755))
		must(t, os.WriteFile(filepath.Join(dir, fileReproduction), []byte(tt.text), 0o644))
		_, err = OpenReproduction(dir)
		if err == nil || !strings.Contains(err.Error(), tt.say) ||
			!strings.HasSuffix(err.Error(), "read one by one: "+filepath.Join(dir, "incident")) {
			t.Errorf("%s: %v, want %q and the run inside", tt.name, err, tt.say)
		}
		if tt.name == "newer" && !errors.Is(err, ErrNewerSchema) {
			t.Errorf("%v is not %v", err, ErrNewerSchema)
		}
	}
}
