package main

import (
	"os/exec"
	"syscall"
)

// apart makes cmd a process group of its own: a Ctrl-C reaches it only by us,
// and so once. It dies with the thread that starts it: the caller must be locked
// to its own until cmd has ended.
func apart(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
