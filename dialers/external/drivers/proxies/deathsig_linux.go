package main

import "syscall"

// endWithDriver makes the kernel ask the proxy to end when the driver has ended, however
// that was. The proxy stays in the driver's process group.
func endWithDriver() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} }
