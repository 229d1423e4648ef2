package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/internal/lab"
	"github.com/kabench/kabench/internal/watch/services"
	"github.com/kabench/kabench/profiles/script"
)

// The race of real clients is named, with the server's timer and the setting in the client's
// own words, and their pools' gauges agree with their sockets.
func TestWatchOfRealClients(t *testing.T) {
	const timer = 500 * time.Millisecond
	for client, c := range map[string]struct{ preset, setting string }{
		"reactor-netty": {"", "maxIdleTime"}, // by its gauges
		"okhttp":        {"", "ConnectionPool"},
		"apache-hc5":    {"", "onnectionKeepAlive"},
		"undici":        {"undici", "keepAliveTimeout"},
		"requests":      {"requests", ""},
	} {
		t.Run(client, func(t *testing.T) {
			if client != "reactor-netty" && client != "undici" && os.Getenv("KABENCH_WATCH") != "all" {
				t.Skip("KABENCH_WATCH=all runs it; a race of requests takes minutes")
			}
			entry, err := services.Find(client)
			if err != nil {
				t.Fatal(err)
			}
			if _, built := entry.Built(); !built {
				if os.Getenv("CI") != "" {
					t.Fatal("not built; run .ci/drivers")
				}
				t.Skip("not built; run .ci/drivers")
			}
			t.Parallel()
			server, err := lab.Start(script.Server{IdleTimeout: timer, Body: 100}, "")
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			// A call every half second, on one connection, comes when the server closes it.
			s, err := services.Start(t.Context(), client, services.Options{URL: server.URL() + "/", Rate: 2, Method: "POST", Connections: 4, Idle: time.Minute}, nil)
			if err != nil {
				t.Fatal(err)
			}
			dir := filepath.Join(t.TempDir(), "out")
			args := []string{"watch", "--pid", fmt.Sprint(s.PID), "--target", server.Addr(), "--for", "1h", "--until", "failures >= 3", "--times", "1", "--out", dir}
			if s.Metrics != "" {
				args = append(args, "--metrics", s.Metrics)
			}
			if c.preset != "" {
				args = append(args, "--client", c.preset)
			}
			p := start(t, args...)
			if code := p.exitCode(t); code != 1 {
				t.Fatalf("exit code %d: %s", code, p.stderr.String())
			}
			report, err := s.Stop()
			if err != nil {
				t.Fatal(err)
			}
			failed := 0
			for _, n := range report.Errors {
				failed += n
			}
			text, err := os.ReadFile(filepath.Join(dir, "watch.json"))
			if err != nil {
				t.Fatal(err)
			}
			var w watched
			if err := json.Unmarshal(text, &w); err != nil {
				t.Fatal(err)
			}
			if failed < w.Totals.Failures || w.Totals.Failures < 3 {
				t.Errorf("%d failures seen, and the service reports %v", w.Totals.Failures, report.Errors)
			}
			v := &w.Verdict
			if !slices.Contains([]string{"idle-race", "direct-idle-order"}, v.Incident) || len(v.Servers) != 1 {
				t.Fatalf("%s; incident %q, %+v", v.Headline, v.Incident, v.Servers)
			}
			if idle := v.Servers[0].Facts.Idle.Median; idle < (timer-30*time.Millisecond).Seconds() || idle > (timer+200*time.Millisecond).Seconds() {
				t.Errorf("the server's timer is %v", idle)
			}
			if len(v.Settings) == 0 || !strings.Contains(v.Settings[0].Text, c.setting) {
				t.Errorf("settings %+v", v.Settings)
			}
			found, err := filepath.Glob(filepath.Join(dir, "0001-*", "report.html"))
			if err != nil || len(found) != 1 {
				t.Errorf("results of the condition: %v, %v", found, err)
			}
			for _, layer := range w.Layers {
				if layer.Layer == "gauges" && layer.On != (s.Metrics != "") {
					t.Errorf("%+v", layer)
				}
			}
		})
	}
}

// What is kept has headers only: no byte of a request is in any file.
func TestWatchKeepsNoPayload(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to see packets")
	}
	const secret = "kabenchs-own-secret"
	server, err := lab.Start(script.Server{IdleTimeout: 200 * time.Millisecond, Body: 100}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	dir := filepath.Join(t.TempDir(), "out")
	p := start(t, "watch", "--target", server.Addr(), "--until", "closes > 0", "--times", "1", "--out", dir)
	waitFor(t, "the watch", func() bool { return strings.Contains(p.stderr.String(), "packets: ") })
	if out, err := exec.Command("curl", "-s", "--no-keepalive", "-d", secret, server.URL()+"/"+secret, server.URL()+"/again").CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	p.exitCode(t)
	files := 0
	err = filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		files++
		if bytes.Contains(text, []byte(secret)) || bytes.Contains(text, []byte("HTTP/1")) && strings.HasSuffix(path, "pcapng") {
			t.Errorf("%s has bytes of a request", path)
		}
		return err
	})
	if err != nil || files < 8 {
		t.Errorf("%d files, %v", files, err)
	}
	packets, _ := filepath.Glob(filepath.Join(dir, "0001-*", "packets.pcapng"))
	if len(packets) != 1 {
		t.Fatal("no packets are kept")
	}
	again := start(t, "autopsy", packets[0], "--json")
	if code := again.exitCode(t); code != 0 || !strings.Contains(again.stdout.String(), server.Addr()) {
		t.Errorf("autopsy of the headers: exit code %d, %s", code, again.stderr.String())
	}
}

// The page is served while the watch goes on; Ctrl-C ends it, keeps the results, and exits with
// what was found.
func TestWatchLiveAndInterrupted(t *testing.T) {
	server, err := lab.Start(script.Server{IdleTimeout: time.Minute, Body: 100}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	c, err := net.Dial("tcp", server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, length := range []string{"", "1h"} {
		dir := filepath.Join(t.TempDir(), "out")
		args := []string{"watch", "--target", server.Addr(), "--live", ":0", "--out", dir}
		want := exit.Done
		if length != "" {
			args, want = append(args, "--for", length), exit.Interrupted
		}
		p := start(t, args...)
		at := regexp.MustCompile(`live: (http://\S+)`)
		waitFor(t, "the address", func() bool { return at.MatchString(p.stderr.String()) })
		page := ""
		waitFor(t, "the page", func() bool {
			response, err := http.Get(at.FindStringSubmatch(p.stderr.String())[1])
			if err != nil {
				return false
			}
			defer response.Body.Close()
			text, _ := io.ReadAll(response.Body)
			page = string(text)
			return strings.Contains(page, "1 of them older than the watch")
		})
		if !strings.Contains(page, `http-equiv="refresh"`) || strings.Contains(page, "<script") {
			t.Error("the page does not load itself again, or runs a program")
		}
		if err := p.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		if code := p.exitCode(t); code != want {
			t.Errorf("--for %q: exit code %d, want %d: %s", length, code, want, p.stderr.String())
		}
		text, err := os.ReadFile(filepath.Join(dir, "report.html"))
		if err != nil || strings.Contains(string(text), `http-equiv="refresh"`) {
			t.Errorf("the page that is kept: %v", err)
		}
	}
}
