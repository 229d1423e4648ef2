//go:build unix

package external

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestStartErrors(t *testing.T) {
	for mode, want := range map[string]string{
		"version": "the driver fake speaks protocol 2, and kabench speaks 1",
		"silent":  "did not say hello within 1s",
		"banner":  "logs to stderr",
		"exits":   "exit code 3; the end of its stderr: no such jar",
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			l := swift
			if mode == "silent" {
				l.hello = time.Second
			}
			_, err := start(t.Context(), fakeDriver(mode), l)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v; want %q", err, want)
			}
		})
	}
	if _, err := Start(t.Context(), Command{Name: "gone", Argv: []string{"/nonexistent/driver"}}); err == nil || !strings.Contains(err.Error(), "the driver gone did not start") {
		t.Error(err)
	}
	if _, err := Start(t.Context(), Command{}); err == nil {
		t.Error("an empty command started")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Start(ctx, fakeDriver("silent")); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestConfigure(t *testing.T) {
	d := started(t, "", usual)
	var refused *RefusedError
	if err := d.Configure(t.Context(), Config{Settings: map[string]any{"pool": 1}}); !errors.As(err, &refused) || refused.Setting != "pool" ||
		err.Error() != "fake refused the setting pool: it has only idle" {
		t.Error(err)
	}
	if err := d.Configure(t.Context(), Config{Settings: map[string]any{"idle": 1500 * time.Millisecond}}); err != nil {
		t.Error(err)
	}
	if d.settings["idle"] != 1500.0 {
		t.Error(d.settings)
	}
	h := d.Hello()
	if s, ok := h.ForPool("idle_timeout"); !ok || s.Name != "idle" || s.Kind != KindDuration {
		t.Error(s, ok)
	}
	if _, ok := h.ForPool(""); ok {
		t.Error("a setting without a field of the pool was found")
	}
	if err := d.Bye(); err != nil {
		t.Error(err)
	}
	if err := d.Close(); err != nil { // again
		t.Error(err)
	}
}

// A driver that ends for no bye, no SIGTERM and no end of stdin is killed.
func TestStubborn(t *testing.T) {
	d := started(t, "nobye", swift)
	if err := d.Close(); err == nil || !strings.Contains(err.Error(), "did not end within 300ms of bye") {
		t.Error(err)
	}
	select {
	case <-d.process.Exited:
	default:
		t.Error("it runs")
	}
}

// alive reports whether a process is there; one that is not reaped yet is not.
func alive(pid int) bool {
	state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(state), ") Z ")
}

func gone(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); alive(pid); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			t.Fatalf("process %d is left", pid)
		}
	}
}

// What a driver had started ends with it.
func TestGroup(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("it looks into /proc")
	}
	d := started(t, "leaves", usual)
	c := d.Converse()
	if err := c.Raw([]byte(`{"type":"dispatch","seq":1}` + "\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Next(20 * time.Second); err == nil || !strings.Contains(err.Error(), "exit code 1") {
		t.Error(err)
	}
	m := regexp.MustCompile(`child (\d+)`).FindStringSubmatch(d.Stderr())
	if m == nil {
		t.Fatal(d.Stderr())
	}
	pid, _ := strconv.Atoi(m[1])
	gone(t, pid)
}

// When kabench is killed, its driver ends too.
func TestKilled(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("it looks into /proc")
	}
	c := exec.Command(os.Args[0], "-test.run=^TestKilledParent$")
	c.Env = append(os.Environ(), "KABENCH_TEST_PARENT=1")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscanf(out, "driver %d\n", &pid); err != nil {
		t.Fatal(err)
	}
	if !alive(pid) {
		t.Error("the driver does not run")
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait()
	gone(t, pid)
}

// TestKilledParent is the process that TestKilled kills.
func TestKilledParent(t *testing.T) {
	if os.Getenv("KABENCH_TEST_PARENT") == "" {
		t.Skip("it is started by TestKilled")
	}
	d, err := Start(t.Context(), fakeDriver("nobye"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("driver %d\n", d.process.PID())
	time.Sleep(time.Minute)
}

func TestWarmUp(t *testing.T) {
	d := started(t, "", usual)
	did, err := d.WarmUp(t.Context(), WarmUp{Requests: 50, Most: 20 * time.Second})
	if err != nil || did.Requests != 50 || did.Failed != 0 || did.Took <= 0 {
		t.Errorf("%+v, %v", did, err)
	}
	if d.warmed == nil || d.warmed.Requests != 50 {
		t.Errorf("%+v", d.warmed)
	}
	if did, err := d.WarmUp(t.Context(), WarmUp{Requests: -1}); err != nil || did.Requests != 0 {
		t.Errorf("%+v, %v", did, err)
	}
	if err := d.Configure(t.Context(), Config{}); err != nil {
		t.Error(err)
	}
	dying := started(t, "dies", usual)
	if _, err := dying.WarmUp(t.Context(), WarmUp{}); err == nil || !strings.Contains(err.Error(), "OutOfMemoryError") {
		t.Error(err)
	}
	mute := started(t, "forgets", usual)
	if did, err := mute.WarmUp(t.Context(), WarmUp{Requests: 5, Most: 50 * time.Millisecond}); err != nil || did.Requests > 5 {
		t.Errorf("%+v, %v", did, err)
	}
}

func TestParseCommand(t *testing.T) {
	for text, want := range map[string][]string{
		"python3 my_driver.py":      {"python3", "my_driver.py"},
		`  a  'b c' "d \" e" f\ g `: {"a", "b c", `d " e`, "f g"},
		`a "" ''`:                   {"a", "", ""},
		`a "\n" 'x\y'`:              {"a", `\n`, `x\y`},
	} {
		c, err := ParseCommand(text)
		if err != nil || fmt.Sprintf("%q", c.Argv) != fmt.Sprintf("%q", want) || c.Name != text {
			t.Errorf("%q: %q, %v", text, c.Argv, err)
		}
	}
	for _, text := range []string{"", "  ", `a 'b`, `a "b`, `a\`, `"" b`} {
		if c, err := ParseCommand(text); err == nil {
			t.Errorf("%q: %q", text, c.Argv)
		}
	}
}

// A driver does not see the proxies of the environment.
func TestEnvironment(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	t.Setenv("no_proxy", "x")
	d := started(t, "environment", usual)
	if text := d.Stderr(); strings.Contains(strings.ToLower(text), "proxy") || !strings.Contains(text, "PATH") {
		t.Error(text)
	}
}

// What a warm-up gave up may be answered later. That is no fault.
func TestLateWarmUp(t *testing.T) {
	d := started(t, "", usual)
	c := d.Converse()
	defer c.End()
	if err := c.Raw([]byte(fmt.Sprintf(`{"type":"dispatch","seq":%d,"method":"GET","url":"http://127.0.0.1:1/"}`+"\n", warmUpSeqs+1))); err != nil {
		t.Fatal(err)
	}
	if a, err := c.Next(500 * time.Millisecond); !errors.Is(err, ErrNoAnswer) {
		t.Errorf("%+v, %v", a, err)
	}
}
