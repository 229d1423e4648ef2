package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// marker is the environment variable that tells the child it is one. Its value
// is the network namespace that the child must not be in.
const marker = "KABENCH_SANDBOX_OUTSIDE"

// exitGrace is how long the child has after it was asked to end.
const exitGrace = 10 * time.Second

// Stdio is what the child reads and writes. An *os.File is handed to it as is.
type Stdio struct {
	In       io.Reader
	Out, Err io.Writer
}

// Inside reports whether this process was started by Reexec and is in a network
// namespace of its own.
func Inside() bool {
	outside := os.Getenv(marker)
	if outside == "" {
		return false
	}
	here, err := os.Readlink("/proc/self/ns/net")
	return err == nil && here != outside
}

// Reexec runs this program again with the command line args (args[0] is its
// name) in a network namespace of its own, and in a user namespace too unless
// it may make one without, and returns its exit code: 128 and the signal's
// number when a signal ended it. The child finds Inside true.
//
// SIGINT, SIGTERM, SIGHUP and SIGQUIT are passed on to it, once each: it is a
// process group of its own, so that a Ctrl-C does not reach it twice. When ctx
// is done it is sent SIGTERM, and killed 10 s later. It dies with this process,
// whatever ends that.
func Reexec(ctx context.Context, args []string, stdio Stdio) (code int, err error) {
	if len(args) == 0 {
		return 0, errors.New("sandbox: no command line")
	}
	outside, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return 0, fmt.Errorf("sandbox: %w", err)
	}
	// The child is told of the death of the thread that made it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	cmd.Args = args
	cmd.Env = append(os.Environ(), marker+"="+outside)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdio.In, stdio.Out, stdio.Err
	cmd.SysProcAttr = isolated()
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	cmd.SysProcAttr.Setpgid = true
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = exitGrace

	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	defer signal.Stop(signals)
	restore := shortSlice() // which the child inherits
	err = cmd.Start()
	restore()
	if err != nil {
		if why := Available(); why != nil {
			return 0, why
		}
		return 0, fmt.Errorf("sandbox: %w", err)
	}
	ended, forwarded := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(forwarded)
		for {
			select {
			case s := <-signals:
				_ = cmd.Process.Signal(s) // it has ended: Wait says so
			case <-ended:
				return
			}
		}
	}()
	err = cmd.Wait()
	close(ended)
	<-forwarded

	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && cmd.ProcessState == nil {
		return 0, fmt.Errorf("sandbox: %w", err)
	}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return cmd.ProcessState.ExitCode(), nil
}

// shortSlice makes the calling thread, and what it starts, run in slices of
// 100 µs when others want the processor too (Linux 6.12 and later; before, it
// does nothing): a thread that wakes is then served within that time, and not
// after the 3 ms that others may run on. The function it returns undoes it.
func shortSlice() (restore func()) {
	old, err := unix.SchedGetAttr(0, 0)
	if err != nil || old.Policy != unix.SCHED_NORMAL {
		return func() {}
	}
	short := *old
	short.Runtime = uint64(100 * time.Microsecond)
	if unix.SchedSetAttr(0, &short, 0) != nil {
		return func() {}
	}
	return func() { _ = unix.SchedSetAttr(0, old, 0) }
}

// isolated are the namespaces of the child.
func isolated() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	if !privileged() {
		attr.Cloneflags |= unix.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	return attr
}

// privileged reports whether this process may make and rule network namespaces
// as it is.
func privileged() bool {
	const need = 1<<unix.CAP_SYS_ADMIN | 1<<unix.CAP_NET_ADMIN
	var data [2]unix.CapUserData
	err := unix.Capget(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &data[0])
	return err == nil && data[0].Effective&need == need && os.Geteuid() == 0
}

// Available says why the sandbox cannot be made here and what to enable; nil
// when it can. It tries: it makes the namespaces, for a program that does not
// exist.
func Available() error {
	tun, err := os.OpenFile(tunPath, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("the sandbox cannot be made: %w%s", err, tunHint(err))
	}
	_ = tun.Close()
	attr := isolated()
	if attr.Cloneflags&unix.CLONE_NEWUSER != 0 {
		// In two steps: the second needs the rights that the first should give.
		attr.Cloneflags, attr.Unshareflags = unix.CLONE_NEWUSER, unix.CLONE_NEWNET
	}
	const nothing = "/proc/self/fdinfo/no-such-program"
	_, err = syscall.ForkExec(nothing, []string{nothing}, &syscall.ProcAttr{Sys: attr})
	if errors.Is(err, syscall.ENOENT) {
		return nil
	}
	return fmt.Errorf("the sandbox cannot be made: new user and network namespace: %w%s", err, namespaceHint())
}

func tunHint(err error) string {
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "; load the module: modprobe tun (in a container: pass --device " + tunPath + ")"
	case errors.Is(err, syscall.ENODEV) || errors.Is(err, syscall.ENXIO):
		return "; the kernel has no TUN devices: modprobe tun"
	case errors.Is(err, os.ErrPermission):
		return "; open it to users: chmod 0666 " + tunPath + " (udev's default), or run as root"
	}
	return ""
}

// namespaceHint names the settings that forbid namespaces.
func namespaceHint() string {
	var hints []string
	for _, s := range []struct{ key, forbids, set string }{
		{"kernel.unprivileged_userns_clone", "0", "1"},
		{"kernel.apparmor_restrict_unprivileged_userns", "1", "0"},
		{"user.max_user_namespaces", "0", "1000"},
		{"user.max_net_namespaces", "0", "1000"},
	} {
		b, err := os.ReadFile(sysctlPath(s.key))
		if value := strings.TrimSpace(string(b)); err == nil && value == s.forbids {
			hints = append(hints, fmt.Sprintf("%s is %s: sysctl -w %s=%s", s.key, value, s.key, s.set))
		}
	}
	if hints == nil {
		return "; no setting of this system forbids it: a container's seccomp profile may (docker: --security-opt seccomp=unconfined or --cap-add SYS_ADMIN,NET_ADMIN), or run as root"
	}
	return "; " + strings.Join(hints, "; ") + "; or run as root"
}
