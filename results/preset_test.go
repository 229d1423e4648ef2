package results

import (
	"bytes"
	"strings"
	"testing"
)

// Whose pool it was, and what was changed of it, is said in the terminal and in
// Markdown.
func TestPresetIsShownWithItsChanges(t *testing.T) {
	run := &Run{Name: "mine", Valid: true, Complete: true, Preset: &Preset{Name: "reactor-netty", Client: "reactor-netty", Changed: []PresetChange{
		{"pool.idle_timeout", "0s", "15s"}, {"pool.max_conns", "500", "50"},
	}}}
	const want = "reactor-netty, but idle_timeout 15s (preset: 0s), max_conns 50 (preset: 500)"
	var text bytes.Buffer
	if err := RenderRun(&text, run); err != nil || !strings.Contains(strings.Join(strings.Fields(text.String()), " "), "Pool "+want) {
		t.Errorf("%v\n%s", err, text.String())
	}
	kept := &Kept{Runs: []KeptRun{{Name: "mine", Run: run}}}
	if got := kept.markdownPools(); !strings.Contains(got, "Pool of mine: "+want) {
		t.Errorf("%q", got)
	}
	run.Preset.Changed = nil
	if got := run.Preset.String(); got != "reactor-netty" {
		t.Errorf("%q", got)
	}
}
