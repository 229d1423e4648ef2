//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

// A comparison that is killed keeps its finished runs. They are reported and exported, the
// missing ones are named, and --resume makes those in the order of the same seed.
func TestKilledComparisonGoesOn(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "comparison")
	asked := []string{"compare", "quick", "--axis", "pool.max_idle=-1,0", "--set", "load.duration=1s", "--set", "load.max_lag=0", "--repeats", "3", "--seed", "7"}
	p := start(t, append(slices.Clone(asked), "--out", dir, "--json")...)
	var c *results.Comparison
	waitFor(t, "the second run's end", func() bool {
		var err error
		c, err = record.OpenComparison(dir)
		return err == nil && len(c.Runs) >= 2
	})
	p.Process.Signal(syscall.SIGSTOP) // so that it makes no more runs while others are looked at
	if _, stderr := says(t, exit.Input, "compare", "--resume", dir); !strings.Contains(stderr, "another kabench is making runs in it") {
		t.Errorf("while it goes on: %s", stderr)
	}
	p.Process.Kill()
	p.Wait()
	c, err := record.OpenComparison(dir)
	if err != nil {
		t.Fatal(err)
	}
	made := len(c.Runs)
	text, stderr := says(t, exit.Done, "report", dir)
	if !strings.Contains(text, "of 6 runs are missing: ") || !strings.Contains(stderr, "kabench compare --resume "+dir) {
		t.Errorf("the report does not say what is missing and how to go on:\n%s%s", text, stderr)
	}
	for _, format := range []string{"markdown", "json", "csv", "bench", "junit"} {
		if text, _ := says(t, exit.Done, "export", dir, "--format", format); text == "" {
			t.Errorf("--format %s exports nothing", format)
		}
	}
	page := filepath.Join(t.TempDir(), "report.html")
	says(t, exit.Done, "report", dir, "-o", page)
	if text, err := os.ReadFile(page); err != nil || !strings.Contains(string(text), "of 6 runs are missing") {
		t.Errorf("the page does not say what is missing (%v)", err)
	}
	if _, stderr := says(t, exit.Input, append(slices.Clone(asked), "--resume", dir, "--repeats", "4")...); !strings.Contains(stderr, "started with 3 repeats") {
		t.Errorf("other repeats: %s", stderr)
	}
	whole := compared(t, "compare", "--resume", dir, "--json")
	if whole.Interrupted || len(whole.Runs) != 6 || whole.Seed != 7 || len(whole.Warnings) > 0 && strings.Contains(strings.Join(whole.Warnings, " "), "are missing") {
		t.Fatalf("resumed: %+v", whole)
	}
	if got, want := dirsOf(whole)[:made], dirsOf(c); !slices.Equal(got, want) {
		t.Errorf("runs that were there: %v, now %v", want, got)
	}
	other := compared(t, append(slices.Clone(asked), "--out", "none", "--json")...)
	if got, want := armsOf(whole), armsOf(other); !slices.Equal(got, want) {
		t.Errorf("in the order %v; in one go it is %v", got, want)
	}
	seeds := map[int][]float64{}
	for _, r := range whole.Runs {
		seeds[r.Block] = append(seeds[r.Block], seedOf(t, filepath.Join(dir, r.Dir)))
	}
	for block, s := range seeds {
		if len(s) != 2 || s[0] != s[1] {
			t.Errorf("the arrivals' seeds in block %d: %v", block, s)
		}
	}
}

func compared(t *testing.T, args ...string) *results.Comparison {
	t.Helper()
	text, _ := says(t, exit.Done, args...)
	c := &results.Comparison{}
	if err := json.Unmarshal([]byte(text), c); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return c
}

func armsOf(c *results.Comparison) (names []string) {
	for _, r := range c.Runs {
		names = append(names, r.Arm)
	}
	return names
}

func dirsOf(c *results.Comparison) (names []string) {
	for _, r := range c.Runs {
		names = append(names, r.Dir)
	}
	return names
}

func seedOf(t *testing.T, dir string) float64 {
	t.Helper()
	d, err := record.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := d.Run()
	if err != nil {
		t.Fatal(err)
	}
	var p struct{ Load struct{ Seed float64 } }
	if err := json.Unmarshal(doc.Profile, &p); err != nil {
		t.Fatal(err)
	}
	return p.Load.Seed
}

// A comparison that is killed in its first run reports that it has nothing to compare. It can
// be continued, and the run that was cut off stays.
func TestComparisonKilledInItsFirstRun(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "comparison")
	p := start(t, "compare", "quick", "--axis", "pool.max_idle=-1,0", "--set", "load.duration=4s", "--set", "load.max_lag=0", "--set", "target.headers.Authorization=hush", "--repeats", "1", "--out", dir)
	waitFor(t, "a run", func() bool { return len(record.RunsIn(dir)) == 1 })
	recorded(t, record.RunsIn(dir)[0])
	p.Process.Kill()
	p.Wait()
	text, _ := says(t, exit.Done, "report", dir)
	if !strings.Contains(text, "No run of this comparison was finished") || !strings.Contains(text, "2 of 2 runs are missing") {
		t.Errorf("the report:\n%s", text)
	}
	says(t, exit.Done, "export", dir, "--format", "markdown")
	// The header is a secret and was not kept.
	if plan, err := os.ReadFile(record.PlanPath(dir)); err != nil || bytes.Contains(plan, []byte("hush")) {
		t.Errorf("the plan holds the secret (%v)", err)
	}
	if _, stderr := says(t, exit.Input, "compare", "--resume", dir); !strings.Contains(stderr, "secrets, which were not written") {
		t.Errorf("without the secret: %s", stderr)
	}
	whole := compared(t, "compare", "quick", "--axis", "pool.max_idle=-1,0", "--set", "load.duration=4s", "--set", "load.max_lag=0", "--set", "target.headers.Authorization=hush", "--repeats", "1", "--resume", dir, "--json")
	if len(whole.Runs) != 2 || whole.Interrupted || len(record.RunsIn(dir)) != 3 {
		t.Errorf("%+v, with the runs %v", whole.Runs, record.RunsIn(dir))
	}
}

// The report of a reproduction that is killed in a remedy's run has the incident, and names the
// missing remedies.
func TestKilledReproductionIsReported(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "all", "truncated")
	p := start(t, "reproduce", "truncated", "--set", "load.max_lag=0", "--out", dir)
	waitFor(t, "the incident's document", func() bool {
		_, err := record.OpenReproduction(dir)
		return err == nil
	})
	p.Process.Kill()
	p.Wait()
	rep, err := record.OpenReproduction(dir)
	if err != nil {
		t.Fatal(err)
	}
	incident, found := profiles.Find("truncated")
	if !found {
		t.Fatal("no incident truncated")
	}
	text, _ := says(t, exit.Done, "report", dir)
	if rep.Reproduced || !strings.Contains(text, "remedies were not run to their end") && !strings.Contains(text, "Not reproduced") {
		t.Errorf("%s\n%s", incident.Name, text)
	}
	// The same in the directory of a 'reproduce --all' that was killed.
	all := filepath.Dir(dir)
	plan := &results.Plan{Kind: results.KindCatalogue, Name: "all", Start: time.Now(), Incidents: []string{"truncated", "idle-race", "port-exhaustion"}}
	if err := errors.Join(record.SavePlan(all, plan), os.Mkdir(filepath.Join(all, "idle-race"), 0o755)); err != nil {
		t.Fatal(err)
	}
	text, _ = says(t, exit.Done, "report", all)
	for _, want := range []string{"0 of 3 reproduced, 1 not started", "truncated  50 of 50", "idle-race  -         -              0 s   interrupted"} {
		if !strings.Contains(text, want) {
			t.Errorf("the table lacks %q:\n%s", want, text)
		}
	}
	if _, stderr := says(t, exit.Done, "export", all, "--format", "junit"); !strings.Contains(stderr, "2 of 3 incidents have no results: idle-race, port-exhaustion") {
		t.Errorf("the export does not say what is missing: %s", stderr)
	}
}
