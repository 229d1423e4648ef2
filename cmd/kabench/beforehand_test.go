//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/profiles/script"
)

// What cannot be written, or cannot be, is said before anything is sent.
func TestMistakesAreFoundBeforeSending(t *testing.T) {
	t.Parallel()
	server := labServer(t, script.Server{})
	dir := t.TempDir()
	full := filepath.Join(dir, "full")
	if err := os.MkdirAll(filepath.Join(full, "mine"), 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	probe := []string{"probe", server.URL()}
	aimed := []string{"reproduce", "idle-race", "--target", server.URL()}
	diagnose := []string{"diagnose", premature, "--target", server.URL()}
	for _, test := range []struct {
		args []string
		more []string
		want string
	}{
		{probe, []string{"--out", full}, "is not empty (it holds mine): choose another --out"},
		{probe, []string{"--out", file}, "is not a directory"},
		{probe, []string{"--out", filepath.Join(file, "x")}, "name a directory that you may write to"},
		{probe, []string{"--out", "none", "-o", filepath.Join(dir, "none", "x.yaml")}, "name a file in a directory that exists"},
		{probe, []string{"--out", "none", "--facts", full}, "is a directory; name a file"},
		{aimed, []string{"--out", full}, "is not empty"},
		{aimed, []string{"--out", filepath.Join(file, "x")}, "name a directory that you may write to"},
		{diagnose, []string{"--out", full}, "is not empty"},
		{diagnose, []string{"--out", filepath.Join(file, "x")}, "name a directory that you may write to"},
		{aimed, []string{"--max-requests", "0"}, "--max-requests 0: want at least 1"},
		{aimed, []string{"--max-connections", "0"}, "--max-connections 0: want at least 1"},
		{aimed, []string{"--budget-time", "0"}, "--budget-time 0s: want a time above 0"},
		{aimed, []string{"--link-delay", "-5ms"}, "--link-delay -5ms: want 0 (no link) to 1m"},
		{diagnose, []string{"--link-delay", "-5ms"}, "--link-delay -5ms: want 0 (no link) to 1m"},
	} {
		code, stdout, stderr := command(append(append([]string{}, test.args...), test.more...)...)
		if code != exit.Input || !strings.Contains(stderr, test.want) || stdout != "" {
			t.Errorf("%s %q: exit code %d, %q lacks %q", test.args[0], test.more, code, stdout+stderr, test.want)
		}
	}
	if n := server.Seen().Requests; n != 0 {
		t.Errorf("%d requests were sent", n)
	}
	for _, left := range []string{filepath.Join(full, ".claim"), filepath.Join(full, "probe.json")} {
		if _, err := os.Stat(left); err == nil {
			t.Errorf("%s is left", left)
		}
	}
}

// What is only explained is not worth a directory, unless one is named.
func TestExplainedOnlyKeepsNothing(t *testing.T) {
	t.Chdir(t.TempDir())
	command("diagnose", premature)
	if _, err := os.Stat("kabench-results"); err == nil {
		t.Error("there is a directory of results")
	}
	command("diagnose", premature, "--out", "named")
	if _, err := os.Stat(filepath.Join("named", "diagnosis.txt")); err != nil {
		t.Error(err)
	}
}

// A probe that finds no server leaves no directory.
func TestProbeOfNothingLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "results")
	code, _, stderr := command("probe", "http://127.0.0.1:1/", "--out", dir)
	if _, err := os.Stat(dir); code != exit.Input || err == nil {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}

// Ctrl-C in the probe before an aimed incident says so, and keeps what the probe knows.
func TestAimedProbeInterrupted(t *testing.T) {
	t.Parallel()
	server := labServer(t, script.Server{IdleTimeout: time.Second})
	out := filepath.Join(t.TempDir(), "results")
	p := start(t, "reproduce", "idle-race", "--target", server.URL(), "--out", out)
	waitFor(t, "closes", func() bool { return server.Seen().ClosedIdle > 4 })
	if err := p.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := p.exitCode(t); code != exit.Interrupted || !strings.Contains(p.stderr.String(), "interrupted during the probe") {
		t.Errorf("exit code %d: %s", code, &p.stderr)
	}
	if s, err := profiles.ReadServer(filepath.Join(out, "server.yaml")); err != nil || s.Measured == nil || s.Measured.Closes == 0 {
		t.Errorf("it kept %+v, %v", s, err)
	}
}

// A file about another server than the target is taken, with a warning that names both.
func TestServerFileOfAnotherServer(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "server.yaml")
	text := "facts: {idle_timeout: 5s}\nlab: {idle_timeout: 5s}\nmeasured: {url: 'http://127.0.0.1:81/x', from: probe, at: 2026-01-01T00:00:00Z, closes: 3, idle_min: 5s, idle_median: 5s, idle_max: 5s, close: fin}\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for target, warns := range map[string]bool{"http://127.0.0.1:82/": true, "http://localhost:81/y": false} {
		for _, args := range [][]string{{"reproduce", "idle-race"}, {"diagnose", premature}} {
			_, _, stderr := command(append(args, "--target", target, "--server", file, "--dry-run")...)
			if warned := strings.Contains(stderr, "was measured at http://127.0.0.1:81/x, and the target is "+target); warned != warns {
				t.Errorf("%s %s: %s", args[0], target, stderr)
			}
		}
	}
}
