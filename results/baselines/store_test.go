package baselines

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// written makes the directory of a run that began at that many minutes after noon.
func written(t *testing.T, minute int, change func(*results.Run)) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	w, err := record.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.WriteProfile([]byte("name: mine\n")); err != nil {
		t.Fatal(err)
	}
	run := &results.Run{Name: "mine", Start: noon.Add(time.Duration(minute) * time.Minute), Complete: true, Valid: true, Profile: []byte("{}")}
	if err := w.Begin(run); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(run)
	}
	if err := w.Close(run); err != nil {
		t.Fatal(err)
	}
	return dir
}

func names(t *testing.T, store string) (list []string) {
	t.Helper()
	all, err := Entries(store)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		list = append(list, filepath.Base(e.Dir))
	}
	return list
}

// A store begins empty. It lists the newest run first, also if an older one is added later,
// and Prune counts the runs of each name separately.
func TestAddAndPrune(t *testing.T) {
	store := filepath.Join(t.TempDir(), "deep", "store")
	if got := names(t, store); len(got) != 0 {
		t.Fatalf("an empty store has %q", got)
	}
	for _, minute := range []int{2, 1, 3} {
		dir, run, err := Add(store, written(t, minute, nil), false)
		if err != nil || run.Name != "mine" {
			t.Fatal(err)
		}
		if _, err := record.Open(dir); err != nil {
			t.Error(err)
		}
	}
	if _, _, err := Add(store, written(t, 0, func(r *results.Run) { r.Name = "other/../one" }), false); err != nil {
		t.Fatal(err)
	}
	want := "20260301-120300.000000-mine 20260301-120200.000000-mine 20260301-120100.000000-mine 20260301-120000.000000-other----one"
	if got := strings.Join(names(t, store), " "); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	removed, err := Prune(store, "mine", 2)
	if err != nil || len(removed) != 1 || filepath.Base(removed[0]) != "20260301-120100.000000-mine" {
		t.Errorf("removed %q, %v", removed, err)
	}
	want = "20260301-120300.000000-mine 20260301-120200.000000-mine 20260301-120000.000000-other----one"
	if got := strings.Join(names(t, store), " "); got != want {
		t.Errorf("left are %s, want %s", got, want)
	}
	left, err := filepath.Glob(filepath.Join(store, unfinished+"*"))
	if err != nil || len(left) > 0 {
		t.Errorf("%q is left over, %v", left, err)
	}
}

// Only documents are kept: exchanges, samples and packets may be large.
func TestWhatIsKept(t *testing.T) {
	from := written(t, 0, nil)
	if err := os.WriteFile(filepath.Join(from, "packets.pcapng"), []byte("large"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir, _, err := Add(t.TempDir(), from, false)
	if err != nil {
		t.Fatal(err)
	}
	found, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, f := range found {
		list = append(list, f.Name())
	}
	if got := strings.Join(list, " "); got != "latency.hlog profile.yaml run.json" {
		t.Errorf("kept are %s", got)
	}
}

// A run that cannot be a baseline is refused. One whose expectations were not met may be
// accepted.
func TestAddRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*results.Run)
		want   string
	}{
		"invalid":     {func(r *results.Run) { r.Valid = false }, "it is invalid"},
		"cut off":     {func(r *results.Run) { r.Complete = false }, "it was cut off"},
		"interrupted": {func(r *results.Run) { r.Interrupted = true }, "it was interrupted"},
		"stopped":     {func(r *results.Run) { r.Interrupted, r.Stopped = true, &results.Stopped{} }, "abort_when stopped it early"},
		"forecast":    {func(r *results.Run) { r.Forecast = &results.Simulation{} }, "it is a forecast"},
		"lost": {func(r *results.Run) {
			r.Counts.Due, r.Outcomes = 100, []results.Outcome{{Cause: results.CauseAgentLost, Count: 50}}
		}, "were lost with agents"},
		"unmet": {func(r *results.Run) { r.Expect = []results.Expectation{{Path: "failures"}} }, ErrUnmet.Error()},
	} {
		store := filepath.Join(t.TempDir(), "store")
		dir := written(t, 0, test.change)
		_, _, err := Add(store, dir, false)
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), dir+" cannot be a baseline") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(store); err == nil {
			t.Errorf("%s: a store was made for nothing", name)
		}
		_, _, err = Add(store, dir, true)
		if (err == nil) != (name == "unmet") {
			t.Errorf("%s, accepted: %v", name, err)
		}
	}
	if _, _, err := Add(t.TempDir(), t.TempDir(), false); !errors.Is(err, record.ErrNotARun) {
		t.Errorf("an empty directory: %v", err)
	}
}

// Of several jobs that add one run at the same time, one adds it, and the others find it.
func TestAddAtTheSameTime(t *testing.T) {
	store, from := t.TempDir(), written(t, 0, nil)
	var all sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		all.Go(func() { _, _, errs[i] = Add(store, from, false) })
	}
	all.Wait()
	added := 0
	for _, err := range errs {
		switch {
		case err == nil:
			added++
		case !errors.Is(err, ErrThere):
			t.Error(err)
		}
	}
	if got := names(t, store); added != 1 || len(got) != 1 {
		t.Errorf("added %d times, and the store has %q", added, got)
	}
}

// A damaged run, a file and a hidden directory do not hide the runs beside them.
func TestDamagedStore(t *testing.T) {
	store := t.TempDir()
	good, _, err := Add(store, written(t, 0, nil), false)
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{".git", "cut", "newer", "empty"} {
		if err := os.Mkdir(filepath.Join(store, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"README.md": "about", "cut/run.json": `{"schema": "kabench.run/v1", "na`, "newer/run.json": `{"schema": "kabench.run/v99"}`} {
		if err := os.WriteFile(filepath.Join(store, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	all, err := Entries(store)
	if err != nil || len(all) != 4 || all[0].Dir != good || all[0].Err != nil {
		t.Fatalf("%+v, %v", all, err)
	}
	for _, e := range all[1:] {
		if e.Err == nil || e.Run != nil {
			t.Errorf("%s is read as a run", e.Dir)
		}
	}
	if removed, err := Prune(store, "mine", 1); err != nil || len(removed) != 0 {
		t.Errorf("removed %q, %v", removed, err)
	}
	file := filepath.Join(store, "README.md")
	if _, err := Entries(file); err == nil {
		t.Error("a file is read as a store")
	}
}
