//go:build unix

package drivers

import (
	"os/exec"
	"syscall"
)

// inGroup gives cmd a process group of its own. The whole group is killed when the build is
// stopped: mvn, npm and cargo have children.
func inGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
