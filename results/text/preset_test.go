package text

import (
	"bytes"
	"strings"
	"testing"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

// Whose pool it was, and what was changed of it, is said in the terminal and in
// Markdown.
func TestPresetIsShownWithItsChanges(t *testing.T) {
	run := &results.Run{Name: "mine", Valid: true, Complete: true, Preset: &results.Preset{Name: "reactor-netty", Client: "reactor-netty", Changed: []results.PresetChange{
		{Path: "pool.idle_timeout", Preset: "0s", Run: "15s"}, {Path: "pool.max_conns", Preset: "500", Run: "50"},
	}}}
	const want = "reactor-netty, but idle_timeout 15s (preset: 0s), max_conns 50 (preset: 500)"
	var text bytes.Buffer
	if err := RenderRun(&text, run); err != nil || !strings.Contains(strings.Join(strings.Fields(text.String()), " "), "Pool "+want) {
		t.Errorf("%v\n%s", err, text.String())
	}
	kept := &record.Archive{Runs: []record.ArchivedRun{{Name: "mine", Run: run}}}
	if got := markdownPools(kept); !strings.Contains(got, "Pool of mine: "+want) {
		t.Errorf("%q", got)
	}
	run.Preset.Changed = nil
	if got := run.Preset.String(); got != "reactor-netty" {
		t.Errorf("%q", got)
	}
}
