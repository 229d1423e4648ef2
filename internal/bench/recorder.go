package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// recorder is the process of the recording server, as bench uses it. serve describes its
// commands.
type recorder struct {
	cmd *exec.Cmd
	mu  sync.Mutex // one command at a time
	in  io.WriteCloser
	out *bufio.Reader
}

// startRecorder starts this program, exe, as the recording server.
func startRecorder(exe string) (*recorder, error) {
	cmd := exec.Command(exe, serveCommand)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the recording server: %w", err)
	}
	return &recorder{cmd: cmd, in: in, out: bufio.NewReaderSize(out, 1<<16)}, nil
}

// ask sends a command and scans the words of the line that it gets back into fields.
func (r *recorder) ask(command string, fields ...any) error {
	if _, err := fmt.Fprintln(r.in, command); err != nil {
		return fmt.Errorf("recording server: %s: %w", command, err)
	}
	line, err := r.out.ReadString('\n')
	if err != nil {
		return fmt.Errorf("recording server: %s: no answer: %w", command, err)
	}
	if why, failed := strings.CutPrefix(line, "error "); failed {
		return fmt.Errorf("recording server: %s", strings.TrimSpace(why))
	}
	if _, err := fmt.Sscan(strings.TrimPrefix(line, "ok"), fields...); err != nil && len(fields) > 0 {
		return fmt.Errorf("recording server: %s: answer %q: %w", command, line, err)
	}
	return nil
}

// listen makes the server listen on another address, and returns the address with its
// port.
func (r *recorder) listen(host string, as manner) (addr string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	err = r.ask("listen "+host+" "+as.String(), &addr)
	return addr, err
}

func (r *recorder) reset(capacity int, closeEach bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ask(fmt.Sprintf("reset %d %t", capacity, closeEach))
}

// count returns the requests since the reset and the connections open now.
func (r *recorder) count() (requests, open int64, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	err = r.ask("count", &requests, &open)
	return requests, open, err
}

func (r *recorder) take() (seen, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var s seen
	var stamps int
	err := r.ask("take", &s.requests, &s.accepted, &s.used, &s.refused, &s.broken, &s.open, &s.peak,
		&s.shaken, &s.resumed, &s.first, &s.last, &s.cpu, &stamps)
	if err != nil {
		return seen{}, err
	}
	s.stamps = make([]int64, stamps)
	if err := binary.Read(r.out, binary.LittleEndian, s.stamps); err != nil {
		return seen{}, fmt.Errorf("recording server: reading %d stamps: %w", stamps, err)
	}
	return s, nil
}

// idle waits until no connection is open: the last tool has ended, and the server has
// noticed it.
func (r *recorder) idle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		_, open, err := r.count()
		if err != nil || open == 0 {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("recording server: %d connections are still open: %w", open, ctx.Err())
		}
	}
}

// close ends the server, which stops at the end of its input. If it does not, close
// kills it.
func (r *recorder) close() error {
	closed := r.in.Close()
	kill := time.AfterFunc(5*time.Second, func() { r.cmd.Process.Kill() })
	defer kill.Stop()
	return errors.Join(closed, r.cmd.Wait())
}
