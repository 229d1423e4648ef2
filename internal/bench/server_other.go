//go:build !linux

package main

func newServer() (server, error) { return newNetServer(), nil }

// cpuTime is not asked for here.
func cpuTime() int64 { return 0 }
