package process

import (
	"errors"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// apart gives cmd a process group of its own, so that all of it can be ended, and a
// Ctrl-C in the terminal does not reach it. The process is killed when the thread that
// starts it ends.
func apart(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// pipeSize is the pipe's room in bytes, the most that an unprivileged process may ask
// for (pipe(7)). The default has room for 300 requests.
const pipeSize = 1 << 20

// widen gives a pipe more room, if the system lets it.
func widen(file *os.File) {
	if raw, err := file.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, pipeSize) })
	}
}

// wait waits until a process has ended, and calls ended before the process is reaped:
// until then its group keeps its number.
func wait(cmd *exec.Cmd, ended func()) error {
	for errors.Is(unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil), unix.EINTR) {
	}
	ended()
	return cmd.Wait()
}
