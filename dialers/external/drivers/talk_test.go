package drivers

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/kabench/kabench/dialers/external"
)

// talk is a driver's process, spoken to frame by frame. It shares no code with package
// external, whose faults it would share.
type talk struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    io.WriteCloser
	send  sync.Mutex
	got   chan frame // all that the driver says
	hello frame
	log   *tail
}

type frame map[string]any

// patience is how long a driver may take to answer, on a busy machine.
const patience = 30 * time.Second

// start starts a driver, and waits for its hello.
func start(t *testing.T, c external.Command) *talk {
	t.Helper()
	cmd := exec.Command(c.Argv[0], c.Argv[1:]...)
	cmd.Env = append(cmd.Environ(), c.Env...)
	d := &talk{t: t, cmd: cmd, got: make(chan frame, 100_000), log: &tail{}}
	cmd.Stderr = d.log
	inGroup(cmd)
	cmd.Cancel = nil // the command has no context
	var err error
	if d.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	go d.read(out)
	d.hello = d.next("hello")
	return d
}

func (d *talk) read(out io.Reader) {
	defer close(d.got)
	for lines := bufio.NewReader(out); ; {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var f frame
		if err := json.Unmarshal(line, &f); err != nil {
			f = frame{"type": "no frame", "text": string(line)}
		}
		d.got <- f
	}
}

// say sends a frame.
func (d *talk) say(f frame) {
	d.t.Helper()
	line, err := json.Marshal(f)
	if err != nil {
		d.t.Fatal(err)
	}
	d.send.Lock()
	defer d.send.Unlock()
	if _, err := d.in.Write(append(line, '\n')); err != nil {
		d.t.Fatalf("%v\n%s", err, d.log)
	}
}

// next returns the next frame, which must be of this type. Gauges are left out unless they
// are waited for.
func (d *talk) next(kind string) frame {
	d.t.Helper()
	for end := time.After(patience); ; {
		select {
		case f, more := <-d.got:
			switch {
			case !more:
				d.t.Fatalf("the driver has ended before %s\n%s", kind, d.log)
			case f["type"] == "gauges" && kind != "gauges":
				continue
			case f["type"] != kind:
				d.t.Fatalf("%v, not %s\n%s", f, kind, d.log)
			}
			return f
		case <-end:
			d.t.Fatalf("no %s after %v\n%s", kind, patience, d.log)
		}
	}
}

// configure makes the client. It must be ready.
func (d *talk) configure(settings frame, timeout time.Duration, gauges int) {
	d.t.Helper()
	if settings == nil {
		settings = frame{}
	}
	d.say(frame{"type": "config", "settings": settings, "timeout": timeout.Milliseconds(), "insecure": true, "gauges": gauges})
	d.next("ready")
}

// dispatch sends a request.
func (d *talk) dispatch(seq int, method, url string, body int) {
	d.t.Helper()
	d.say(frame{"type": "dispatch", "seq": seq, "method": method, "url": url, "headers": [][2]string{{"X-Request-Id", fmt.Sprintf("%020d", seq)}, {"User-Agent", "kabench"}}, "body": body})
}

// done waits for the end of the request, and checks what every end must say.
func (d *talk) done() frame {
	d.t.Helper()
	f := d.next("done")
	received, called, finished := number(f["received"]), number(f["called"]), number(f["finished"])
	if received > called || called > finished || received == 0 {
		d.t.Errorf("received %v, called %v, finished %v", received, called, finished)
	}
	return f
}

// bye ends the driver.
func (d *talk) bye() {
	d.t.Helper()
	d.say(frame{"type": "bye"})
	d.next("bye")
	ended := make(chan error, 1)
	go func() { ended <- d.cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			d.t.Errorf("after bye: %v\n%s", err, d.log)
		}
	case <-time.After(patience):
		d.t.Errorf("after bye it goes on\n%s", d.log)
	}
}

func number(v any) int64 {
	f, _ := v.(float64)
	return int64(f)
}

// tail keeps the end of a driver's log.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if extra := len(t.text) - 4000; extra > 0 {
		t.text = t.text[extra:]
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
