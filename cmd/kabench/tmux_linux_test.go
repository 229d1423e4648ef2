package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// In a real tmux, with a window that the progress lines fill, none of them is in the history
// after the run.
func TestProgressInTmux(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out what takes seconds")
	}
	if _, err := exec.LookPath("tmux"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	kabench, socket := filepath.Join(dir, "kabench"), filepath.Join(dir, "tmux")
	if err := os.Symlink(self, kabench); err != nil {
		t.Fatal(err)
	}
	tmux := func(args ...string) string {
		text, err := exec.Command("tmux", append([]string{"-S", socket, "-f", os.DevNull}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("tmux %q: %v\n%s", args, err, text)
		}
		return string(text)
	}
	tmux("new-session", "-d", "-x", "70", "-y", "5", "trap : INT; "+kabench+" run quick --duration 1h --out none --set load.max_lag=0 >/dev/null; echo THE END; read wait")
	t.Cleanup(func() { tmux("kill-server") })
	drawn := map[string]bool{}
	waitFor(t, "two drawings", func() bool {
		screen := tmux("capture-pane", "-p")
		if strings.Contains(screen, "requests   in flight") {
			drawn[screen] = true
		}
		return len(drawn) >= 2
	})
	tmux("send-keys", "C-c")
	waitFor(t, "the end of the run", func() bool { return strings.Contains(tmux("capture-pane", "-p"), "THE END") })
	if all := tmux("capture-pane", "-p", "-S", "-"); strings.Contains(all, "offered") || strings.Contains(all, "requests   in") {
		t.Errorf("progress is in the history:\n%s", all)
	}
}
