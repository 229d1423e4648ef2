//go:build !linux

package main

import (
	"os"
	"runtime"
	"time"
)

func newServer() (server, error) { return newNetServer(), nil }

// cpuTime returns 0: not known.
func cpuTime() int64 { return 0 }

func watchPeak(int) func() (int64, []memoryAt) {
	return func() (int64, []memoryAt) { return 0, nil }
}

// peakMemory returns 0: not known.
func peakMemory(*os.ProcessState, int64) int64 { return 0 }

// busy returns false: not known.
func busy() (time.Duration, bool) { return 0, false }

// portRange returns the number of ports of RFC 6335 section 6, which other systems use.
func portRange() int { return 16_384 }

// manyLoopbacks reports whether every address of 127.0.0.0/8 can be used.
const manyLoopbacks = false

// waitingSockets returns -1: not known.
func waitingSockets() int64 { return -1 }

// mostWaiting returns 0: not known.
func mostWaiting() int { return 0 }

func raiseFiles() error { return nil }

func systemFacts() (cpu, kernel string) { return "", runtime.GOOS }
