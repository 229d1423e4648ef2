//go:build !linux

package main

func newServer() (server, error) { return newNetServer(), nil }

// cpuTime returns 0: not known.
func cpuTime() int64 { return 0 }
