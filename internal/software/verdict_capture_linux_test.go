package software

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// reproduction is an incident that is reproduced while tcpdump captures.
type reproduction struct {
	name string
	sets []string
	seed int
}

func (r reproduction) dir() string {
	tls := ""
	for _, set := range r.sets {
		if set == "target.lab.tls=true" {
			tls = ".tls"
		}
	}
	return fmt.Sprintf("%s%s-%d", r.name, tls, r.seed)
}

// The files of a reproduction's directory.
const (
	onLoopback = "lo.pcap"  // tcpdump -i lo
	onAny      = "any.pcap" // tcpdump -i any
	ownResults = "out"
)

// made makes the captures of a reproduction below dir, unless they are there. kabench
// and tcpdump run in a network namespace of their own, so that nothing else is in the
// captures.
func (r reproduction) made(kabench, tcpdump, dir string) error {
	dir = filepath.Join(dir, r.dir())
	if _, err := os.Stat(filepath.Join(dir, ownResults, "reproduction.json")); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	args := []string{"reproduce", r.name, "--json", "--out", filepath.Join(dir, ownResults), "--set", "load.max_lag=0", "--set", fmt.Sprintf("load.seed=%d", r.seed)}
	for _, set := range r.sets {
		args = append(args, "--set", set)
	}
	failed := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with its namespace
		failed <- captured(dir, tcpdump, exec.Command(kabench, args...))
	}()
	return <-failed
}

// captured runs a program in a new network namespace, which it makes for this thread,
// beside two tcpdumps.
func captured(dir, tcpdump string, program *exec.Cmd) error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("no network namespace: %w", err)
	}
	if err := loopbackUp(); err != nil {
		return err
	}
	lo, err := startDump(tcpdump, "lo", filepath.Join(dir, onLoopback))
	if err != nil {
		return err
	}
	defer lo.Process.Kill()
	any, err := startDump(tcpdump, "any", filepath.Join(dir, onAny))
	if err != nil {
		return err
	}
	defer any.Process.Kill()
	var says bytes.Buffer
	program.Stderr = &says
	if err := program.Run(); err != nil && program.ProcessState.ExitCode() != 1 { // 1: not reproduced, which is no matter here
		return fmt.Errorf("%v: %w: %s", program.Args, err, &says)
	}
	for _, dump := range []*dumping{lo, any} {
		if err := dump.stop(); err != nil {
			return err
		}
	}
	return nil
}

func loopbackUp() error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, request)
}

// dumping is a tcpdump at work.
type dumping struct {
	*exec.Cmd
	file string
	mu   sync.Mutex
	says bytes.Buffer
}

func (d *dumping) Write(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.says.Write(b)
}

func (d *dumping) said() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.says.String()
}

func startDump(tcpdump, on, file string) (*dumping, error) {
	d := &dumping{file: file}
	d.Cmd = exec.Command(tcpdump, "-i", on, "-Z", "root", "-U", "-B", "65536", "--time-stamp-precision=nano", "-w", file, "tcp")
	d.Stderr = io.Writer(d)
	if err := d.Start(); err != nil {
		return nil, err
	}
	for end := time.Now().Add(10 * time.Second); !strings.Contains(d.said(), "listening on"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			d.Process.Kill()
			return nil, fmt.Errorf("tcpdump does not capture: %s", d.said())
		}
	}
	return d, nil
}

// stop ends a capture once tcpdump has written nothing for a while: the last packets are
// still on their way through the kernel's buffer.
func (d *dumping) stop() error {
	for size, before := int64(1), int64(-1); size != before; time.Sleep(1500 * time.Millisecond) { // tcpdump reads at least once a second
		before = size
		info, err := os.Stat(d.file)
		if err != nil {
			return err
		}
		size = info.Size()
	}
	d.Process.Signal(syscall.SIGINT)
	if err := d.Wait(); err != nil {
		return fmt.Errorf("tcpdump: %w: %s", err, d.said())
	}
	if !strings.Contains(d.said(), "\n0 packets dropped by kernel") {
		return fmt.Errorf("tcpdump has lost packets: %s", d.said())
	}
	return nil
}

// needCaptures returns tcpdump, where it can capture.
func needCaptures(t *testing.T) string {
	t.Helper()
	tcpdump := program(t, "tcpdump", "tcpdump")
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("a capture takes root, and under CI nothing is skipped")
		}
		t.Skip("a capture takes root")
	}
	return tcpdump
}
