//go:build unix

package machine

import (
	"os/exec"
	"syscall"
)

// OwnGroup gives the process of cmd a group of its own: a Ctrl-C at the terminal does not reach it.
func OwnGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
