package kept

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

// A diagnosis stands for the incidents that were run in it, and is refused if there is none.
func TestUnfoldADiagnosis(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{cli.FileDiagnosis, "probe.json"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("{}"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s := cli.NewStreams(os.Stdout, os.Stderr)
	if _, err := unfold(s, []string{dir}); err == nil || !strings.Contains(err.Error(), "no incident was run in this diagnosis") {
		t.Errorf("%v", err)
	}
	run := filepath.Join(dir, "idle-race")
	if err := os.Mkdir(run, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := record.SaveReproduction(run, &results.Reproduction{Incident: "idle-race", IncidentRun: &results.Run{}}); err != nil {
		t.Fatal(err)
	}
	if found, err := unfold(s, []string{dir}); err != nil || len(found) != 1 || found[0] != run {
		t.Errorf("%v, %v", found, err)
	}
}
