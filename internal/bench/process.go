package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// usage is what a process cost and how it ended.
type usage struct {
	cpu    time.Duration // user and system time of the process and of children it waited for
	rss    int64         // peak resident memory in bytes; 0: not known
	memory []memoryAt    // resident memory, every few seconds; nil: not known
	ended  string        // "" for exit code 0, otherwise such as "exit status 3"
	stdout string
	stderr string // the end of it
}

// memoryAt is the resident memory of a process at a time.
type memoryAt struct {
	Seconds float64 `json:"s"` // since its start
	Bytes   int64   `json:"bytes"`
}

// memoryEvery is the time between two figures of a process's resident memory.
const memoryEvery = 10 * time.Second

// Reasons to end a process.
var (
	errEnough  = errors.New("ended: as many requests were sent as the ports allow")
	errTooLong = errors.New("ended: it did not end in time")
)

// runProcess runs a program to its end. When ctx is done, it interrupts the program, and
// kills it after patience. An error means that the program did not run.
func runProcess(ctx context.Context, path string, c call, dir string, patience time.Duration) (usage, error) {
	cmd := exec.CommandContext(ctx, path, c.args...)
	cmd.Dir = dir
	cmd.Cancel = func() error {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			return cmd.Process.Kill() // Windows has no interrupt to send
		}
		return nil
	}
	cmd.WaitDelay = patience
	cmd.Stdin = strings.NewReader(c.stdin)
	stdout, stderr := &limited{most: 16 << 20}, &limited{most: 64 << 10}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	if err := cmd.Start(); err != nil {
		return usage{}, fmt.Errorf("starting %s: %w", path, err)
	}
	peak := watchPeak(cmd.Process.Pid)
	waited := cmd.Wait()
	u := usage{stdout: stdout.String(), stderr: tail(stderr.String(), 300)}
	watched, memory := peak()
	state := cmd.ProcessState
	if state == nil {
		return usage{}, fmt.Errorf("waiting for %s: %w", path, waited)
	}
	u.cpu = state.UserTime() + state.SystemTime()
	u.rss, u.memory = peakMemory(state, watched), memory
	if !state.Success() {
		u.ended = state.String()
	}
	return u, nil
}

// tail returns the last most bytes of a text, in one line.
func tail(text string, most int) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > most {
		text = "..." + text[len(text)-most:]
	}
	return text
}

// limited keeps the first bytes written to it and drops the rest.
type limited struct {
	bytes.Buffer
	most int
}

func (l *limited) Write(p []byte) (int, error) {
	l.Buffer.Write(p[:min(len(p), max(0, l.most-l.Len()))])
	return len(p), nil
}
