// Package process runs a driver's process: in a process group of its own that ends with
// this process, with a stdin that never blocks its writer.
package process

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// Command is what is run.
type Command struct {
	Argv   []string
	Dir    string
	Env    []string  // NAME=value, added to this process's environment
	Stderr io.Writer // also gets what it writes to stderr; nil: nobody does
}

// Process is a process, and the ends of its pipes that are ours.
type Process struct {
	In     *Writer       // its stdin
	Out    *os.File      // its stdout
	Exited chan struct{} // closed when it has ended, and its group was killed
	Err    error         // why it did not end well; valid after Exited

	cmd    *exec.Cmd
	stderr tail
	mu     sync.Mutex
	reaped bool // guarded by mu: its number, and its group's, may be another's
}

// Run starts a process. It ends with this one: by the system on Linux, and by the end
// of its stdin everywhere.
func Run(c Command) (*Process, error) {
	if len(c.Argv) == 0 {
		return nil, errors.New("the command is empty")
	}
	p := &Process{cmd: exec.Command(c.Argv[0], c.Argv[1:]...), Exited: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env = c.Dir, environment(c.Env)
	apart(p.cmd)
	var files [6]*os.File // stdin, stdout and stderr: read and write ends
	for i := 0; i < len(files); i += 2 {
		var err error
		if files[i], files[i+1], err = os.Pipe(); err != nil {
			closeAll(files[:i])
			return nil, err
		}
	}
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = files[0], files[3], files[5]
	started := make(chan error)
	go func() {
		// On Linux the process is killed when the thread that started it ends.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.Err = wait(p.cmd, p.last)
			close(p.Exited)
		}
	}()
	err := <-started
	closeAll([]*os.File{files[0], files[3], files[5]})
	if err != nil {
		closeAll([]*os.File{files[1], files[2], files[4]})
		return nil, err
	}
	p.In, p.Out = newWriter(files[1]), files[2]
	p.stderr.read(files[4], c.Stderr)
	go func() {
		<-p.Exited
		p.In.Close()
		time.Sleep(Leftover)
		p.Out.SetReadDeadline(time.Now()) // a process outside the group may hold the other end
		files[4].SetReadDeadline(time.Now())
	}()
	return p, nil
}

// Leftover is how long is read from the pipes of a process that has ended.
const Leftover = time.Second

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// environment is this process's with more added, and without a proxy: a driver may not
// use one, and some clients look for it there.
func environment(more []string) []string {
	env := slices.DeleteFunc(os.Environ(), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return strings.HasSuffix(strings.ToLower(name), "_proxy")
	})
	return append(env, more...)
}

// How says how the process ended; it has.
func (p *Process) How() string {
	text := "ended by itself"
	if p.cmd.ProcessState != nil && !p.cmd.ProcessState.Success() {
		text = "ended with " + strings.ReplaceAll(p.cmd.ProcessState.String(), "exit status", "exit code")
	}
	return text + p.LastWords()
}

// LastWords is what the process wrote to stderr, to append to a sentence.
func (p *Process) LastWords() string {
	if text := p.stderr.String(); text != "" {
		return "; the end of its stderr: " + text
	}
	return "; its stderr is empty"
}

// End ends the process group: politely, then not.
func (p *Process) End(grace time.Duration) {
	p.signal(terminate)
	if !p.Within(grace) {
		p.Kill()
		<-p.Exited
	}
}

// Within waits for the process to end, and reports whether it did in time.
func (p *Process) Within(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-p.Exited:
		return true
	case <-timer.C:
		return false
	}
}

const (
	tailLines = 12  // How many lines of stderr are kept
	tailWidth = 300 // bytes of a line that are kept
)

// tail keeps the last lines that were written to stderr.
type tail struct {
	mu    sync.Mutex
	lines []string // guarded by mu
	done  chan struct{}
}

func (t *tail) read(from *os.File, also io.Writer) {
	t.done = make(chan struct{})
	go func() {
		defer close(t.done)
		defer from.Close()
		r := bufio.NewReaderSize(from, 64<<10)
		for {
			chunk, err := r.ReadSlice('\n')
			if also != nil {
				_, _ = also.Write(chunk)
			}
			if line := strings.TrimRight(string(chunk), "\r\n"); line != "" {
				t.keep(line)
			}
			if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
				return
			}
		}
	}()
}

func (t *tail) keep(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) == tailLines {
		t.lines = slices.Delete(t.lines, 0, 1)
	}
	t.lines = append(t.lines, Short(line, tailWidth))
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.lines, " | ")
}

// PID is the process's number.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Stderr returns the last lines of its stderr.
func (p *Process) Stderr() string { return p.stderr.String() }

// Read waits for the end of its stderr, but not long: a process outside the group may
// hold it.
func (p *Process) Read() {
	select {
	case <-p.stderr.done:
	case <-time.After(Leftover / 2):
	}
}

// Kill kills the process group, unless it has ended.
func (p *Process) Kill() { p.signal(kill) }

// last kills what the process had started, and lets nothing be sent to its number any
// more.
func (p *Process) last() {
	p.Kill()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reaped = true
}

func (p *Process) signal(end func(*os.Process)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		end(p.cmd.Process)
	}
}

// Short is the beginning of a text, valid UTF-8.
func Short[T string | []byte](text T, most int) string {
	if len(text) <= most {
		return strings.ToValidUTF8(string(text), "?")
	}
	return strings.ToValidUTF8(string(text[:most]), "?") + fmt.Sprintf("... (%d bytes)", len(text))
}
