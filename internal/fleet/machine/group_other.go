//go:build !unix

package machine

import "os/exec"

// OwnGroup does nothing here.
func OwnGroup(*exec.Cmd) {}
