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

// marker is the environment variable that only the child has. Its value is the network
// namespace of the parent, in which the child must not be.
const marker = "KABENCH_SANDBOX_OUTSIDE"

// exitGrace is how long the child may run after it was asked to end.
const exitGrace = 10 * time.Second

// Stdio is what the child reads and writes. An *os.File is passed on unchanged.
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

// Reexec runs this program again, as a child in a network namespace of its own. args is
// the command line; args[0] is the program's name. The child also gets a user namespace
// of its own, unless this process may make network namespaces without one. In the
// child, Inside is true. Reexec returns the child's exit code; if a signal ended the
// child, that is 128 plus the signal's number.
//
// Reexec passes SIGINT, SIGTERM, SIGHUP and SIGQUIT on to the child, each once. The
// child has a process group of its own, so that a Ctrl-C does not reach it twice. When
// ctx is done, the child is sent SIGTERM, and it is killed 10 s later. The kernel kills
// the child when this process ends.
func Reexec(ctx context.Context, args []string, stdio Stdio) (code int, err error) {
	if len(args) == 0 {
		return 0, errors.New("sandbox: no command line")
	}
	outside, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return 0, fmt.Errorf("sandbox: %w", err)
	}
	// The kernel kills the child when the thread that made it ends.
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
	restore := shortSlice() // the child inherits it
	err = cmd.Start()
	restore()
	if err != nil {
		if why := Isolates(); why != nil {
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
				_ = cmd.Process.Signal(s) // an error means that it has ended; Wait returns how
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

// shortSlice gives the calling thread, and the threads and programs it starts, time
// slices of 100 µs. On a busy processor, a thread that wakes then runs within that
// time; otherwise other threads may run on for 3 ms. It needs Linux 6.12; older kernels
// ignore it. The function that it returns undoes it.
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

// isolated returns how to start the child in its namespaces.
func isolated() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	if !privileged() {
		attr.Cloneflags |= unix.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	return attr
}

// privileged reports whether this process may make and configure network namespaces
// without a user namespace.
func privileged() bool {
	const need = 1<<unix.CAP_SYS_ADMIN | 1<<unix.CAP_NET_ADMIN
	var data [2]unix.CapUserData
	err := unix.Capget(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &data[0])
	return err == nil && data[0].Effective&need == need && os.Geteuid() == 0
}

// Available returns nil if the sandbox can be made here; otherwise the error says why
// not and what to enable. To find out, it makes the namespaces for a program that does
// not exist.
func Available() error {
	tun, err := os.OpenFile(tunPath, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("the sandbox cannot be made: %w%s", err, tunHint(err))
	}
	_ = tun.Close()
	if err := settable("/proc/sys"); err != nil {
		return err
	}
	return Isolates()
}

// settable returns an error if the kernel settings below a directory cannot be written,
// whatever rights this process has.
func settable(dir string) error {
	var mounted unix.Statfs_t
	if unix.Statfs(dir, &mounted) == nil && mounted.Flags&unix.ST_RDONLY != 0 {
		return fmt.Errorf("the sandbox cannot be made: %s is mounted read-only, and its hosts have kernel settings of their own; in a container: pass --security-opt systempaths=unconfined", dir)
	}
	return nil
}

// Isolates returns nil if Reexec can make a namespace here, in which there need be no
// Network; otherwise the error says what to enable.
func Isolates() error {
	attr := isolated()
	if attr.Cloneflags&unix.CLONE_NEWUSER != 0 {
		// In two steps: the second one needs the rights that the first one gives.
		attr.Cloneflags, attr.Unshareflags = unix.CLONE_NEWUSER, unix.CLONE_NEWNET
	}
	const nothing = "/proc/self/fdinfo/no-such-program"
	_, err := syscall.ForkExec(nothing, []string{nothing}, &syscall.ProcAttr{Sys: attr})
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
