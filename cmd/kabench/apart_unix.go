//go:build unix && !linux

package main

import (
	"os/exec"
	"syscall"
)

// apart makes cmd a process group of its own: a Ctrl-C reaches it only by us,
// and so once.
func apart(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
