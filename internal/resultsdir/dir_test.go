package resultsdir

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestOutDirNamesAreSafe(t *testing.T) {
	for _, name := range []string{"../../etc", "a b/c", "쇼핑"} {
		dir := Out("", name)
		if filepath.Dir(dir) != "kabench-results" {
			t.Errorf("%q leads to %s", name, dir)
		}
	}
	if Out("none", "x") != "" || Out("here", "x") != "here" {
		t.Error("--out is not taken as it is")
	}
}

func TestNewestResults(t *testing.T) {
	t.Chdir(t.TempDir())
	if _, err := Newest(); err == nil {
		t.Error("there are none")
	}
	day := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	newest := func() string {
		t.Helper()
		dir, err := Newest()
		if err != nil {
			t.Fatal(err)
		}
		return filepath.Base(dir)
	}
	for _, test := range []struct {
		name string
		made time.Time
		want string // the newest then
	}{
		{"mine", day, "mine"}, // named with --out
		{"20260301-130000.000-quick", day.Add(9 * time.Hour), "20260301-130000.000-quick"},
		{"20260301-110000.000-quick", day.Add(9 * time.Hour), "20260301-130000.000-quick"}, // copied here later
		{"later", day.Add(2 * time.Hour), "later"},
	} {
		dir := filepath.Join(parent, test.name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(dir, test.made, test.made); err != nil {
			t.Fatal(err)
		}
		if got := newest(); got != test.want {
			t.Errorf("with %s the newest is %s, want %s", test.name, got, test.want)
		}
	}
	if err := os.WriteFile(filepath.Join(parent, "zzz.html"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := newest(); got != "later" {
		t.Errorf("a page beside the runs: %s", got)
	}
}
