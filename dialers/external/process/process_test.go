package process

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// What finds no room in the pipe is queued, in order, and the caller does not wait.
func TestWriterNeverWaits(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	w := newWriter(write)
	chunk := bytes.Repeat([]byte("0123456789abcdef"), 4096)
	const chunks = 100 // 6 MB: no pipe holds as much
	for range chunks {
		if err := w.Send(chunk); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(10 * time.Millisecond)
	if w.Stuck(time.Now()) <= 0 {
		t.Error("nothing waits")
	}
	got := make([]byte, chunks*len(chunk))
	if _, err := io.ReadFull(read, got); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, bytes.Repeat(chunk, chunks)) {
		t.Error("what was read is not what was sent")
	}
	for deadline := time.Now().Add(10 * time.Second); w.Stuck(time.Now()) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it waits for ever")
		}
	}
	w.Close()
	if err := w.Send(chunk); !errors.Is(err, ErrGone) {
		t.Error(err)
	}
}

// The queue is bounded, and a reader that has gone is noticed.
func TestWriterIsBounded(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	w := newWriter(write)
	sent := 0
	for err == nil && sent < 4*maxQueued {
		err = w.Send(make([]byte, 1<<20))
		sent += 1 << 20
	}
	if !errors.Is(err, ErrQueued) {
		t.Errorf("%d bytes: %v", sent, err)
	}
	read.Close()
	w.Close()

	read, write, err = os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	read.Close()
	w = newWriter(write)
	defer w.Close()
	if err := w.Send([]byte("x")); !errors.Is(err, ErrGone) {
		t.Error(err)
	}
}

// The text about a process that ended has its code and the end of its stderr.
func TestHow(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip(err)
	}
	var also bytes.Buffer
	p, err := Run(Command{Argv: []string{"sh", "-c", "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13; do echo line $i >&2; done; exit 5"}, Stderr: &also})
	if err != nil {
		t.Fatal(err)
	}
	<-p.Exited
	p.Read()
	if how := p.How(); !strings.HasPrefix(how, "ended with exit code 5; the end of its stderr: line 2 | line 3") || !strings.HasSuffix(how, "line 13") {
		t.Error(how)
	}
	if strings.Count(also.String(), "\n") != 13 {
		t.Error(also.String())
	}
	p.End(time.Millisecond) // it has ended already
}
