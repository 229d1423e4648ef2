package external

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

// process is a driver's process, and the ends of its pipes that are ours.
type process struct {
	cmd    *exec.Cmd
	out    *writer  // to its stdin
	in     *os.File // from its stdout
	stderr tail
	exited chan struct{} // it has ended, and its group was killed
	err    error         // of Wait; valid after exited
}

// run starts the process. It ends with this one: by the system on Linux, and by the end
// of its stdin everywhere.
func run(c Command) (*process, error) {
	if len(c.Argv) == 0 {
		return nil, errors.New("the command is empty")
	}
	p := &process{cmd: exec.Command(c.Argv[0], c.Argv[1:]...), exited: make(chan struct{})}
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
			p.err = p.cmd.Wait()
			kill(p.cmd.Process) // what it had started
			close(p.exited)
		}
	}()
	err := <-started
	closeAll([]*os.File{files[0], files[3], files[5]})
	if err != nil {
		closeAll([]*os.File{files[1], files[2], files[4]})
		return nil, err
	}
	p.out, p.in = newWriter(files[1]), files[2]
	p.stderr.read(files[4], c.Stderr)
	go func() {
		<-p.exited
		p.out.close()
		time.Sleep(leftover)
		p.in.SetReadDeadline(time.Now()) // a process outside the group may hold the other end
		files[4].SetReadDeadline(time.Now())
	}()
	return p, nil
}

// leftover is how long is read from the pipes of a process that has ended.
const leftover = time.Second

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

// how says how the process ended; it has.
func (p *process) how() string {
	text := "ended by itself"
	if p.cmd.ProcessState != nil && !p.cmd.ProcessState.Success() {
		text = "ended with " + strings.ReplaceAll(p.cmd.ProcessState.String(), "exit status", "exit code")
	}
	return text + p.lastWords()
}

// lastWords is what the process wrote to stderr, to append to a sentence.
func (p *process) lastWords() string {
	if text := p.stderr.String(); text != "" {
		return "; the end of its stderr: " + text
	}
	return "; its stderr is empty"
}

// end ends the process group: politely, then not.
func (p *process) end(grace time.Duration) {
	terminate(p.cmd.Process)
	if !p.within(grace) {
		kill(p.cmd.Process)
		<-p.exited
	}
}

// within waits for the process to end, and reports whether it did in time.
func (p *process) within(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-p.exited:
		return true
	case <-timer.C:
		return false
	}
}

const (
	tailLines = 12  // how many lines of stderr are kept
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
	t.lines = append(t.lines, short(line, tailWidth))
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.lines, " | ")
}

// short is the beginning of a text, valid UTF-8.
func short[T string | []byte](text T, most int) string {
	if len(text) <= most {
		return strings.ToValidUTF8(string(text), "?")
	}
	return strings.ToValidUTF8(string(text[:most]), "?") + fmt.Sprintf("... (%d bytes)", len(text))
}
