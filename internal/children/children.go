// Package children runs programs in processes of their own, several at a time, and
// passes a request to stop on to them.
package children

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"time"
)

// Program is what a child runs.
type Program struct {
	Path string
	Name string // the process's argument 0
}

// Self is the program that calls it.
func Self() (Program, error) {
	path, err := os.Executable()
	return Program{path, os.Args[0]}, err
}

// Child is a process that has ended.
type Child struct {
	Took           time.Duration
	Code           int // its exit code
	Stdout, Stderr []byte
	Err            error // why it could not be run
}

// endTime is how long a child may take to end after its context; then it is killed.
const endTime = 30 * time.Second

// Run runs the program with args until it ends. When stop is closed the child is
// interrupted; when ctx ends it is interrupted too, and killed after endTime.
func (p Program) Run(ctx context.Context, stop <-chan struct{}, args ...string) Child {
	runtime.LockOSThread() // on Linux the child ends with the thread that started it
	defer runtime.UnlockOSThread()
	began := time.Now()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, p.Path, args...)
	cmd.Args[0] = p.Name
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	inGroup(cmd)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = endTime
	err := cmd.Start()
	if err == nil {
		ended := make(chan struct{})
		go func() {
			select {
			case <-stop:
				_ = cmd.Process.Signal(os.Interrupt) // if it has ended already, Wait says so
			case <-ended:
			}
		}()
		err = cmd.Wait()
		close(ended)
	}
	c := Child{Took: time.Since(began), Stdout: stdout.Bytes(), Stderr: stderr.Bytes()}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		c.Code = exit.ExitCode()
	} else {
		c.Err = err
	}
	return c
}

// Each calls work for the numbers from 0 to n-1, at most jobs of them at a time, and
// waits until all have returned. It begins no more once stop is closed.
func Each(stop <-chan struct{}, jobs, n int, work func(i int)) {
	places := make(chan struct{}, jobs)
	var running sync.WaitGroup
	for i := range n {
		select {
		case <-stop:
		case places <- struct{}{}:
		}
		if Stopped(stop) {
			break
		}
		running.Go(func() {
			defer func() { <-places }()
			work(i)
		})
	}
	running.Wait()
}

// Stopped reports whether stop is closed.
func Stopped(stop <-chan struct{}) bool {
	select {
	case <-stop:
		return true
	default:
		return false
	}
}
