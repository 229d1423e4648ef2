//go:build unix && !linux

package process

import (
	"os"
	"os/exec"
	"syscall"
)

// apart gives cmd a process group of its own, so that all of it can be ended, and a
// Ctrl-C in the terminal does not reach it.
func apart(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func widen(*os.File) {}

// wait waits until a process has ended, and calls ended.
func wait(cmd *exec.Cmd, ended func()) error {
	defer ended()
	return cmd.Wait()
}
