package sandbox

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// helperVariable makes the test binary one of the programs of helper.
const helperVariable = "KABENCH_SANDBOX_TEST"

// helper is a program that the tests run; it returns its exit code.
func helper(what string) int {
	reexec := func() int {
		code, err := Reexec(context.Background(), os.Args, Stdio{os.Stdin, os.Stdout, os.Stderr})
		if err != nil {
			fmt.Println(err)
			return 2
		}
		return code
	}
	switch what {
	case "available":
		if err := Available(); err != nil {
			fmt.Println(err)
			return 2
		}
		return 0
	case "isolated": // is the child in a network of its own, which it rules?
		if os.Getenv(marker+"_LEVEL") == "" {
			os.Setenv(marker+"_LEVEL", "child")
			return reexec()
		}
		if err := inspect(); err != nil {
			fmt.Println(err)
			return 2
		}
		return 7
	case "signals": // says "ready", then the first signal, and whether another came
		if os.Getenv(marker+"_LEVEL") == "" {
			os.Setenv(marker+"_LEVEL", "child")
			return reexec()
		}
		signals := make(chan os.Signal, 8)
		signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
		fmt.Println("ready", os.Getpid())
		fmt.Println(<-signals)
		return 5
	}
	return 99
}

// inspect looks from inside whether this is a sandbox.
func inspect() error {
	if !Inside() {
		return errors.New("not inside")
	}
	h, err := newHost("here", nil, false)
	if err != nil {
		return err
	}
	defer h.close()
	if err := h.Sysctl("net.ipv4.ip_local_port_range", "40000 40009"); err != nil {
		return err
	}
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer ln.Close()
	conn, err := net.Dial("tcp4", ln.Addr().String())
	if err != nil {
		return err
	}
	defer conn.Close()
	if port := conn.LocalAddr().(*net.TCPAddr).Port; port < 40000 || port > 40009 {
		return fmt.Errorf("port %d is not of the range of this namespace", port)
	}
	other, err := newHost("other", nil, true)
	if err != nil {
		return err
	}
	defer other.close()
	switch value, err := other.ReadSysctl("net.ipv4.ip_local_port_range"); {
	case err != nil:
		return err
	case value == "40000\t40009":
		return errors.New("another host has this one's port range")
	}
	return nil
}

// program is the test binary as helper what.
func program(t *testing.T, what string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	needSandbox(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	var out bytes.Buffer
	cmd.Env = append(os.Environ(), helperVariable+"="+what)
	cmd.Stdout, cmd.Stderr = &out, &out
	return cmd, &out
}

func exitCode(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	if err != nil {
		return -1
	}
	return 0
}

func TestReexecIsIsolatedAndReturnsTheExitCode(t *testing.T) {
	cmd, out := program(t, "isolated")
	if err := cmd.Run(); exitCode(err) != 7 {
		t.Errorf("%v: %s", err, out)
	}
}

// asNobody makes cmd run as an ordinary user, which takes a user that may
// become one.
func asNobody(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if !outsideRoot() {
		t.Skip("the tests run without root: all of them test this")
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
}

// outsideRoot reports whether this process has every user id to give.
func outsideRoot() bool {
	b, err := os.ReadFile("/proc/self/uid_map")
	fields := strings.Fields(string(b))
	return err == nil && len(fields) == 3 && fields[2] == "4294967295" && os.Geteuid() == 0
}

func TestReexecWithoutRoot(t *testing.T) {
	cmd, out := program(t, "isolated")
	asNobody(t, cmd)
	err := cmd.Run()
	if exitCode(err) == 7 {
		return
	}
	if hint := namespaceHint(); strings.Contains(hint, "sysctl -w") && strings.Contains(out.String(), hint) {
		t.Skipf("users may not make namespaces here, and it says so: %s", out)
	}
	t.Errorf("%v: %s", err, out)
}

func TestAvailableSaysWhatToEnable(t *testing.T) {
	cmd, out := program(t, "available")
	asNobody(t, cmd)
	err := cmd.Run()
	info, statErr := os.Stat(tunPath)
	if statErr != nil {
		t.Fatal(statErr)
	}
	if open := info.Mode().Perm()&0o006 == 0o006; open {
		if exitCode(err) != 0 && !strings.Contains(out.String(), "sysctl -w") {
			t.Errorf("%v: %s", err, out)
		}
		return
	}
	if exitCode(err) != 2 || !strings.Contains(out.String(), "open it to users: chmod 0666 "+tunPath) {
		t.Errorf("the device is closed to users; %v: %s", err, out)
	}
}

func TestHintsNameTheReason(t *testing.T) {
	for want, err := range map[string]error{
		"modprobe tun": &os.PathError{Op: "open", Path: tunPath, Err: syscall.ENOENT},
		"chmod 0666":   &os.PathError{Op: "open", Path: tunPath, Err: syscall.EACCES},
		"no TUN":       &os.PathError{Op: "open", Path: tunPath, Err: syscall.ENODEV},
	} {
		if hint := tunHint(err); !strings.Contains(hint, want) {
			t.Errorf("%v: %q does not say %q", err, hint, want)
		}
	}
}

// startSignals starts the helper that waits for a signal, and returns what it
// says and the process id of its child.
func startSignals(t *testing.T) (cmd *exec.Cmd, lines *bufio.Scanner, child int) {
	t.Helper()
	cmd, _ = program(t, "signals")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	cmd.Stdout, cmd.Stderr = w, w
	err = cmd.Start()
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	lines = bufio.NewScanner(r)
	lines.Scan()
	child, err = strconv.Atoi(strings.TrimPrefix(lines.Text(), "ready "))
	if err != nil {
		t.Fatalf("the child says %q", lines.Text())
	}
	return cmd, lines, child
}

func TestReexecPassesSignalsOn(t *testing.T) {
	cmd, lines, _ := startSignals(t)
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if lines.Scan(); lines.Text() != "interrupt" {
		t.Errorf("the child heard %q", lines.Text())
	}
	if code := exitCode(cmd.Wait()); code != 5 {
		t.Errorf("exit code %d, want the child's 5", code)
	}
}

func TestReexecDiesWithItsParent(t *testing.T) {
	cmd, lines, child := startSignals(t)
	handle, err := unix.PidfdOpen(child, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(handle)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed, as it should be
	ended := []unix.PollFd{{Fd: int32(handle), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(ended, 30_000)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if n != 1 || err != nil {
			t.Errorf("the child outlived its parent by 30 s: %v", err)
		}
		break
	}
	if lines.Scan() {
		t.Errorf("the child said %q: it was not killed", lines.Text())
	}
}

func TestReexecEndsWithItsContext(t *testing.T) {
	needSandbox(t)
	t.Setenv(helperVariable, "signals")
	t.Setenv(marker+"_LEVEL", "child")
	ctx, cancel := context.WithCancel(context.Background())
	r, w := io.Pipe()
	said := make(chan string, 8)
	go func() {
		for lines := bufio.NewScanner(r); lines.Scan(); {
			if said <- lines.Text(); strings.HasPrefix(lines.Text(), "ready") {
				cancel()
			}
		}
		close(said)
	}()
	code, err := Reexec(ctx, os.Args, Stdio{Out: w, Err: w})
	w.Close()
	if err != nil || code != 5 {
		t.Errorf("exit code %d, %v; want 5", code, err)
	}
	if ready, sig := <-said, <-said; !strings.HasPrefix(ready, "ready") || sig != "terminated" {
		t.Errorf("the child said %q, %q", ready, sig)
	}
}

func TestInsideNeedsMoreThanTheVariable(t *testing.T) {
	here, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(marker, here)
	if Inside() {
		t.Error("inside, in the namespace that the variable says is outside")
	}
}
