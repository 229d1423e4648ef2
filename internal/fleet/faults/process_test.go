package faults

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/sandbox"
)

// process is one process of a fleet, in a host of the private network.
type process struct {
	name           string
	cmd            *exec.Cmd
	stdout, stderr output
	ended          chan struct{} // closed when it has ended
}

// output is what a process has printed so far.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// start starts kabench with args in a host. The test kills it at its end at the latest, and
// shows what it printed if the test has failed.
func start(t *testing.T, h *sandbox.Host, name string, args ...string) *process {
	t.Helper()
	return begin(t, h, name, exec.Command(program(t), args...))
}

// startRole starts the test binary in a role.
func startRole(t *testing.T, h *sandbox.Host, name, role string, args ...string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	return begin(t, h, name, cmd)
}

func begin(t *testing.T, h *sandbox.Host, name string, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{name: name, cmd: cmd, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.stdout, &p.stderr
	cmd.Dir = t.TempDir()
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = append(cmd.Env, "GORACE=atexit_sleep_ms=50")
	if err := h.Start(cmd); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	go func() {
		_ = cmd.Wait() // its exit code is in cmd.ProcessState
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.kill()
		printed := p.stdout.String() + p.stderr.String()
		if strings.Contains(printed, "DATA RACE") || strings.Contains(printed, "panic: ") || strings.Contains(printed, "fatal error: ") {
			t.Errorf("%s is broken", name)
		}
		if t.Failed() {
			t.Logf("%s: %s\n%s", name, strings.Join(cmd.Args[1:], " "), tail(p.stderr.String(), 6000))
		}
	})
	return p
}

// tail is the end of a text, at most n bytes.
func tail(text string, n int) string {
	if len(text) > n {
		return "[...]" + text[len(text)-n:]
	}
	return text
}

// kill ends the process at once, as a power failure of its machine would, and waits for it.
// It reports whether the process was still there.
func (p *process) kill() bool {
	if p.over() {
		return false
	}
	_ = p.cmd.Process.Kill() // an error means that it has ended by itself
	<-p.ended
	return true
}

func (p *process) over() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// wait waits for the end of the process and returns its exit code.
func (p *process) wait(t *testing.T, within time.Duration) int {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(within):
		t.Fatalf("%s has not ended within %v", p.name, within)
	}
	return p.cmd.ProcessState.ExitCode()
}

// waitFor waits until cond is true.
func waitFor(t *testing.T, what string, within time.Duration, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !cond(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s", within, what)
		}
	}
}
