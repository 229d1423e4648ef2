package record

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOpenArchive(t *testing.T) {
	incident := keep(t, reproduced())
	compared := keepCompared(t, compared())
	alone := t.TempDir()
	must(t, os.Rename(filepath.Join(incident, "remedy-1"), filepath.Join(alone, "one")))
	for _, tt := range []struct {
		dir, kind string
		runs      int
		records   int
	}{
		{incident, KindIncident, 2, 1}, // the remedy's record has been moved away; its document is in the incident's
		{filepath.Join(incident, "incident"), KindRun, 1, 1},
		{compared, KindComparison, 4, 4},
		{alone, KindRun, 1, 1},
	} {
		k, err := OpenArchive(tt.dir)
		must(t, err)
		records := 0
		for _, r := range k.Runs {
			if r.Dir != nil {
				records++
			}
		}
		if k.Kind() != tt.kind || len(k.Runs) != tt.runs || records != tt.records || k.Title() == "" || k.Start().IsZero() {
			t.Errorf("%s: a %s, %d runs, %d with a record; want %+v", tt.dir, k.Kind(), len(k.Runs), records, tt)
		}
	}
	must(t, os.RemoveAll(filepath.Join(compared, "02-idle_timeout-3s")))
	k, err := OpenArchive(compared)
	must(t, err)
	if len(k.Runs) != 3 || len(k.Notes) != 1 || !strings.Contains(k.Notes[0], "a run of idle_timeout=3s is left out") {
		t.Errorf("%d runs, notes %q, want the missing one named", len(k.Runs), k.Notes)
	}
}

func TestOpenArchiveRefuses(t *testing.T) {
	newer := t.TempDir()
	must(t, os.WriteFile(filepath.Join(newer, fileComparison), []byte(`{"schema":"kabench.comparison/v2"}`), 0o644))
	newerRun := t.TempDir()
	must(t, os.WriteFile(filepath.Join(newerRun, fileRun), []byte(`{"schema":"kabench.run/v2"}`), 0o644))
	file := filepath.Join(newer, fileComparison)
	several := t.TempDir()
	for _, name := range []string{"a", "b"} {
		must(t, os.Mkdir(filepath.Join(several, name), 0o755))
		must(t, writeDocument(filepath.Join(several, name), fileRun, dated()))
	}
	for _, tt := range []struct{ path, say string }{
		{newer, "made by a newer kabench"},
		{newerRun, "made by a newer kabench"},
		{file, "not a directory"},
		{filepath.Join(newer, "none"), "there is no such directory"},
		{t.TempDir(), "not a run directory"},
		{several, "holds several runs; name one"},
	} {
		_, err := OpenArchive(tt.path)
		if err == nil || !strings.Contains(err.Error(), tt.say) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", tt.path, err, tt.say)
		}
	}
}
