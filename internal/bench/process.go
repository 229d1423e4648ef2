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
	cpu    time.Duration // user and system, of it and the children it waited for
	rss    int64         // its peak resident memory in bytes; 0 when it is not known
	ended  string        // "" for exit code 0, else as "exit status 3"
	stdout string
	stderr string // its end
}

// Why a process is ended before it ends on its own.
var (
	errEnough  = errors.New("ended: as many requests were sent as the ports allow")
	errTooLong = errors.New("ended: it did not end in time")
)

// runProcess runs a program to its end, or until ctx is done: then it is
// interrupted, and killed if it does not go within its patience. An error means
// that it did not run at all.
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
	watched := peak()
	state := cmd.ProcessState
	if state == nil {
		return usage{}, fmt.Errorf("waiting for %s: %w", path, waited)
	}
	u.cpu = state.UserTime() + state.SystemTime()
	u.rss = peakMemory(state, watched)
	if !state.Success() {
		u.ended = state.String()
	}
	return u, nil
}

// tail returns the end of a text, at most most bytes, in one line.
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
