package children

import (
	"os/exec"
	"syscall"
)

// inGroup gives cmd a process group of its own, so that a Ctrl-C in the terminal does
// not reach it as well: only Run passes it on. The process is killed when the thread that
// starts it ends, so the caller must stay on its thread until the process has ended.
func inGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
