package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
)

// Every profile that can be drawn is valid, and the same seed draws the same.
func TestDrawnProfilesAreValid(t *testing.T) {
	for seed := range uint64(5) {
		for i := range 40 {
			d := draw(seed, i, time.Minute)
			if _, err := profiles.Load("drawn.yaml", []byte(d.yaml), nil); err != nil {
				t.Errorf("seed %d, %d: %v\n%s", seed, i, err, d.yaml)
			}
			if again := draw(seed, i, time.Minute); again != d {
				t.Errorf("seed %d, %d: drawn twice, it differs", seed, i)
			}
		}
	}
}

func TestTableCountsWhatAgrees(t *testing.T) {
	made := func(failed, opened uint64) *results.Run {
		run := &results.Run{}
		run.Counts.Started, run.Counts.Failed, run.Connections.Opened = 1000, failed, opened
		run.Forecast = &results.Simulation{Figures: []results.SimulatedCount{{Path: "connections.opened", Low: 95, High: 105}}}
		return run
	}
	text := table([]row{
		{forecast: made(10, 100), run: made(12, 104)},
		{forecast: made(100, 100), run: made(12, 50)},
		{forecast: made(0, 1), run: made(0, 1), invalid: "late"},
	}, 1, time.Minute)
	for _, want := range []string{"Of 3 profiles", "2 runs were valid", "interval in 1 of them", "within 5 % in 1 and within the interval of 95 % of the forecast's runs in 1,", "95 to 105", "+100.0 %", "**no**", "not judged"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}

func TestReplaceKeepsTheRest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "doc.md")
	os.WriteFile(path, []byte("a\n"+begin+"old\n"+end+"b\n"), 0o600)
	if err := replace(path, "new\n"); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(path); string(got) != "a\n"+begin+"new\n"+end+"b\n" {
		t.Errorf("%s", got)
	}
	os.WriteFile(path, []byte("a\n"), 0o600)
	if err := replace(path, "new\n"); err == nil {
		t.Error("a document without marks was accepted")
	}
}
