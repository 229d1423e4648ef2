package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/internal/lab"
	"github.com/kabench/kabench/profiles/script"
)

// watched is what the test reads of a watch.
type watched struct {
	Schema string
	Layers []struct {
		Layer, Lacks string
		On           bool
	}
	Totals struct {
		Connections, Older, Requests, Failures int
		Met, Closes                            map[string]int
	}
	Verdict struct {
		Headline, Incident string
		Failures           []struct{ Basis string }
		Settings           []struct{ Client, Text string }
		Servers            []struct {
			Address  string
			Requests int
			Facts    struct {
				Connections int
				Idle        struct{ Median float64 }
			}
		}
	}
}

// As root and as a plain user, the watch of a service that runs names its race, the server's
// timer and the setting that ends it, and counts as many failures as the service itself.
func TestWatchNamesTheRace(t *testing.T) {
	const timer = 300 * time.Millisecond
	if os.Getuid() != 0 {
		t.Skip("needs root, to start a service as another user")
	}
	for name, user := range map[string]*syscall.Credential{"root": nil, "plain user": {Uid: 65534, Gid: 65534}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, err := lab.Start(script.Server{IdleTimeout: timer, Body: 100}, "")
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			as := &syscall.SysProcAttr{Credential: user, Pdeathsig: syscall.SIGKILL}
			self := readable(t)
			service := &exec.Cmd{Path: self, Args: []string{"kabench-service", server.URL() + "/", timer.String()}, SysProcAttr: as, Stderr: os.Stderr, Dir: "/"}
			in, err := service.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out, err := service.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := service.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = service.Process.Kill(); _ = service.Wait() }()
			lines := bufio.NewReader(out)
			if text, err := lines.ReadString('\n'); err != nil || text != "ready\n" {
				t.Fatal(text, err)
			}
			dir := filepath.Join(filepath.Dir(self), "out")
			watch := &exec.Cmd{
				Path: self, SysProcAttr: as, Dir: "/",
				Args: []string{"kabench", "watch", "--pid", fmt.Sprint(service.Process.Pid), "--out", dir, "--client", "okhttp"},
			}
			var said bytes.Buffer
			watch.Stdout = &said
			chatter, err := watch.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := watch.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = watch.Process.Kill() }()
			begun := bufio.NewReader(chatter)
			for {
				text, err := begun.ReadString('\n')
				if err != nil {
					t.Fatalf("the watch did not begin: %v", err)
				}
				if strings.Contains(text, "packets: ") {
					break
				}
			}
			go io.Copy(io.Discard, begun)
			fmt.Fprintln(in, "go")
			waitFor(t, "enough failures", func() bool { return server.Seen().Connections > 150 })
			in.Close()
			var counts struct{ OK, Failed int }
			if err := json.NewDecoder(lines).Decode(&counts); err != nil {
				t.Fatal(err)
			}
			code := exit.Done
			if err := watch.Wait(); err != nil {
				code = exit.Code(err.(*exec.ExitError).ExitCode())
			}
			text, err := os.ReadFile(filepath.Join(dir, "watch.json"))
			if err != nil {
				t.Fatal(err)
			}
			var w watched
			if err := json.Unmarshal(text, &w); err != nil {
				t.Fatal(err)
			}
			for _, layer := range w.Layers {
				want := layer.Layer == "sockets" || user == nil && layer.Layer != "gauges"
				if layer.On != want || !layer.On && layer.Lacks == "" {
					t.Errorf("layer %+v", layer)
				}
			}
			if counts.Failed == 0 || code != exit.Unmet || w.Schema != "kabench.watch/v1" {
				t.Fatalf("the service failed %d times; exit code %d, %s", counts.Failed, code, said.String())
			}
			if n := w.Totals.Failures; max(n-counts.Failed, counts.Failed-n) > max(1, counts.Failed/50) {
				t.Errorf("%d failures seen, and the service had %d: %v", n, counts.Failed, w.Totals.Met)
			}
			v := &w.Verdict
			if !slices.Contains([]string{"idle-race", "direct-idle-order"}, v.Incident) {
				t.Errorf("incident %q", v.Incident)
			}
			if len(v.Servers) != 1 || v.Servers[0].Facts.Idle.Median < (timer-20*time.Millisecond).Seconds() || v.Servers[0].Facts.Idle.Median > (timer+200*time.Millisecond+server.Late().Max).Seconds() {
				t.Errorf("servers %+v, and the server was late: %+v", v.Servers, server.Late())
			}
			if len(v.Settings) != 1 || !strings.Contains(v.Settings[0].Text, "ConnectionPool") {
				t.Errorf("settings %+v", v.Settings)
			}
			for _, want := range []string{"met the server's close: " + server.Addr() + " closes idle connections after", "This is the incident", "new ConnectionPool(", "Cost: "} {
				if !strings.Contains(said.String(), want) {
					t.Errorf("the text lacks %q:\n%s", want, said.String())
				}
			}
			for _, file := range []string{"report.html", "server.yaml", "series.csv"} {
				if info, err := os.Stat(filepath.Join(dir, file)); err != nil || info.Size() == 0 {
					t.Errorf("%s: %v", file, err)
				}
			}
			if seen := server.Seen(); user == nil && w.Totals.Closes["server"]+8 < int(seen.ClosedIdle)-16 {
				t.Errorf("the server closed %d, and %d closes were seen", seen.ClosedIdle, w.Totals.Closes["server"])
			}
		})
	}
}

// readable copies this test's program to where every user may run it, in a directory where
// every user may write.
func readable(t *testing.T) (file string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "kabench-watch")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	file = filepath.Join(dir, "kabench.test")
	self, err := os.Executable()
	if err == nil {
		var text []byte
		if text, err = os.ReadFile(self); err == nil {
			err = os.WriteFile(file, text, 0o755)
		}
	}
	if err == nil {
		err = os.Chmod(dir, 0o777)
	}
	if err != nil {
		t.Fatal(err)
	}
	return file
}
