//go:build !linux

package main

import "syscall"

func endWithDriver() *syscall.SysProcAttr { return nil }
