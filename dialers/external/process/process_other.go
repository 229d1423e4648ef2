//go:build !unix

package process

import (
	"os"
	"os/exec"
)

func apart(*exec.Cmd) {}

func terminate(p *os.Process) { _ = p.Kill() }
func kill(p *os.Process)      { _ = p.Kill() }

func widen(*os.File) {}

// wait waits until a process has ended, and calls ended.
func wait(cmd *exec.Cmd, ended func()) error {
	defer ended()
	return cmd.Wait()
}
