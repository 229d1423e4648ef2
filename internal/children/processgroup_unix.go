//go:build unix && !linux

package children

import (
	"os/exec"
	"syscall"
)

// inGroup gives cmd a process group of its own, so that a Ctrl-C in the terminal does
// not reach it as well: only Run passes it on.
func inGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
