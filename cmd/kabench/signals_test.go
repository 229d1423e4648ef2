//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/internal/lab"
	"github.com/kabench/kabench/internal/sandbox"
	"github.com/kabench/kabench/profiles/script"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

// process is a kabench of its own: this test's binary under the name kabench,
// which makes testscript.Main run the command.
type process struct {
	*exec.Cmd
	stdout, stderr buffer
}

// buffer is a bytes.Buffer that can be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// prepare makes a process that is not started yet.
func prepare(t *testing.T, args ...string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{Cmd: &exec.Cmd{Path: self, Args: append([]string{"kabench"}, args...)}}
	p.Stdout, p.Stderr = &p.stdout, &p.stderr
	return p
}

func start(t *testing.T, args ...string) *process {
	t.Helper()
	p := prepare(t, args...)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Process.Kill(); p.Wait() })
	return p
}

func (p *process) exitCode(t *testing.T) exit.Code {
	t.Helper()
	err := p.Wait()
	if ended, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.Code(ended.ExitCode())
	}
	if err != nil {
		t.Fatal(err)
	}
	return 0
}

// patience is the longest wait for something that must happen. It is long, because the machine
// may be busy with other tests.
const patience = 5 * time.Minute

// waitFor waits until seen returns true.
func waitFor(t *testing.T, what string, seen func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !seen(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s did not come in %v", what, patience)
		}
	}
}

// recorded waits until exchanges have been written to the run's record.
func recorded(t *testing.T, dir string) {
	t.Helper()
	waitFor(t, "a record with an exchange", func() bool {
		if d, err := record.Open(dir); err == nil {
			for range d.Exchanges() {
				return true
			}
		}
		return false
	})
}

// endless starts a run against a server with that script. The run does not end by itself.
func endless(t *testing.T, cfg script.Server, more ...string) (p *process, dir string) {
	t.Helper()
	server, err := lab.Start(cfg, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	dir = filepath.Join(t.TempDir(), "run")
	args := []string{"run", "--target", server.URL(), "--rate", "100/s", "--duration", "1h", "--out", dir, "--json", "--set", "load.max_lag=0"}
	return start(t, append(args, more...)...), dir
}

// SIGHUP is what a closed terminal sends.
func TestInterruptKeepsAndReportsResults(t *testing.T) {
	heedHangUp(t)
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		p, dir := endless(t, script.Server{})
		recorded(t, dir)
		p.Process.Signal(sig)
		if code := p.exitCode(t); code != exit.Interrupted {
			t.Errorf("%v: exit code %d, want %d\n%s", sig, code, exit.Interrupted, p.stderr.String())
		}
		var run results.Run
		if err := json.Unmarshal([]byte(p.stdout.String()), &run); err != nil {
			t.Fatalf("%v: %v in %s", sig, err, p.stdout.String())
		}
		if !run.Interrupted || !run.Complete || !run.Counts.Balance() || run.Counts.OK == 0 || run.Counts.Unfinished != 0 {
			t.Errorf("%v: interrupted %v, complete %v, %+v", sig, run.Interrupted, run.Complete, run.Counts)
		}
		saved, err := os.ReadFile(filepath.Join(dir, "run.json"))
		if err != nil || !bytes.Equal(saved, []byte(p.stdout.String())) {
			t.Errorf("%v: what was printed is not what was saved (%v)", sig, err)
		}
	}
}

// heedHangUp gives the programs that t starts the default action for SIGHUP, even if the tests
// run under nohup: exec resets a signal that is caught, and keeps one that is ignored.
func heedHangUp(t *testing.T) {
	t.Helper()
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	t.Cleanup(func() { signal.Stop(c) })
}

// A run in a private network has a process of its own, which SIGHUP reaches too.
func TestHangUpStopsARunInANetwork(t *testing.T) {
	heedHangUp(t)
	if err := sandbox.Available(); err != nil {
		t.Skip(err)
	}
	dir := filepath.Join(t.TempDir(), "run")
	p := start(t, "run", "handshake-cost", "--set", "load.duration=1h", "--set", "load.max_lag=0", "--set", "expect=null", "--set", "network.record.packets=1000", "--out", dir, "--json")
	recorded(t, dir)
	p.Process.Signal(syscall.SIGHUP)
	if code := p.exitCode(t); code != exit.Interrupted {
		t.Errorf("exit code %d, want %d\n%s", code, exit.Interrupted, p.stderr.String())
	}
	if _, err := os.Stat(filepath.Join(dir, "run.json")); err != nil {
		t.Error(err)
	}
}

// If kabench is started with SIGHUP ignored, as by nohup, it goes on.
func TestHangUpIsIgnoredWhenToldTo(t *testing.T) {
	server, err := lab.Start(script.Server{}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	dir := filepath.Join(t.TempDir(), "run")
	p := prepare(t, "run", "--target", server.URL(), "--rate", "100/s", "--duration", "3s", "--out", dir, "--json", "--set", "load.max_lag=0")
	self := p.Path
	p.Path = "/bin/sh"
	p.Args = append([]string{"sh", "-c", `trap "" HUP; exec "$0" "$@"`, filepath.Join(t.TempDir(), "kabench")}, p.Args[1:]...)
	if err := os.Symlink(self, p.Args[3]); err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Process.Kill(); p.Wait() })
	recorded(t, dir)
	p.Process.Signal(syscall.SIGHUP)
	if code := p.exitCode(t); code != exit.Done {
		t.Errorf("exit code %d, want %d\n%s", code, exit.Done, p.stderr.String())
	}
}

// A run that ends in its warm-up has measured nothing and is invalid.
func TestStoppedInTheWarmUpIsInvalid(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		p, dir := endless(t, script.Server{}, "--warm-up", "1h")
		recorded(t, dir)
		p.Process.Signal(sig)
		p.Wait()
		text, _ := says(t, exit.Done, "report", dir, "--json")
		var run results.Run
		if err := json.Unmarshal([]byte(text), &run); err != nil {
			t.Fatalf("%v: %v in %s", sig, err, text)
		}
		if run.Valid || len(run.Invalid) == 0 || run.Start.Year() < 2020 || run.End.Before(run.Start) {
			t.Errorf("%v: valid %v, %q, from %v to %v", sig, run.Valid, run.Invalid, run.Start, run.End)
		}
	}
}

// After the second signal kabench does not wait for a server that never responds.
func TestSecondInterruptGivesUpWhatIsInFlight(t *testing.T) {
	silent, err := script.ParseDelay("1h")
	if err != nil {
		t.Fatal(err)
	}
	p, dir := endless(t, script.Server{Delay: silent}, "--set", "load.timeout=0", "--set", "load.max_in_flight=50")
	recorded(t, dir) // those that were dropped at the cap
	p.Process.Signal(os.Interrupt)
	waitFor(t, "the message about the first signal", func() bool { return strings.Contains(p.stderr.String(), "Ctrl-C again") })
	p.Process.Signal(os.Interrupt)
	if code := p.exitCode(t); code != exit.Interrupted {
		t.Errorf("exit code %d, want %d\n%s", code, exit.Interrupted, p.stderr.String())
	}
	var run results.Run
	if err := json.Unmarshal([]byte(p.stdout.String()), &run); err != nil {
		t.Fatalf("%v in %s", err, p.stdout.String())
	}
	if run.Counts.Unfinished != 50 || run.Counts.Failed != 0 || run.Counts.Dropped == 0 || !run.Counts.Balance() {
		t.Errorf("%+v, want 50 unfinished", run.Counts)
	}
}

// The record of a run that was killed can be read.
func TestKilledRunIsReadable(t *testing.T) {
	p, dir := endless(t, script.Server{})
	recorded(t, dir)
	p.Process.Signal(syscall.SIGKILL)
	p.Wait()
	report := start(t, "report", dir, "--json")
	if code := report.exitCode(t); code != 0 {
		t.Fatalf("exit code %d: %s", code, report.stderr.String())
	}
	var run results.Run
	if err := json.Unmarshal([]byte(report.stdout.String()), &run); err != nil {
		t.Fatal(err)
	}
	if run.Complete || run.Counts.OK == 0 || !run.Counts.Balance() || len(run.Warnings) == 0 {
		t.Errorf("complete %v, %+v, warnings %q", run.Complete, run.Counts, run.Warnings)
	}
	text := start(t, "report", dir)
	if text.exitCode(t); !strings.Contains(strings.ToLower(text.stdout.String()), "incomplete") {
		t.Errorf("the text does not say that the run is incomplete:\n%s", text.stdout.String())
	}
}
