// Package kit speaks the driver's side of kabench's protocol for drivers written in Go:
// it reads frames from standard input, starts each exchange at once, and reports its end
// on standard output.
//
// A driver is built at its user's machine, from the sources that kabench carries. So this
// package and the drivers of Go's own client and of proxies import the standard library and
// one another, and nothing else: building them downloads no package of Go.
package kit

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Setting describes what a client lets its user set, under the client's own name.
type Setting struct {
	Name    string            `json:"name"`
	Kind    string            `json:"kind"`             // duration (milliseconds), count, bool or text
	Default any               `json:"default"`          // the client's own; nil: no limit, or off
	Pool    string            `json:"pool,omitempty"`   // the field of kabench's pool that it is, if any
	Values  []string          `json:"values,omitempty"` // of a text: the allowed ones
	Words   map[string]string `json:"words,omitempty"`  // of a text: kabench's words to the client's
}

// Driver has the contents of the frame hello, and the function that makes a client.
type Driver struct {
	Name, Client, Version, Runtime string
	Settings                       []Setting
	Gauges                         []string
	New                            func(Config) (Client, error) // a *Refused if a setting cannot be taken
}

// Config is what one client is made of.
type Config struct {
	Timeout  time.Duration // of a whole request; 0: none
	Insecure bool          // certificates are not verified
	Origins  []string      // where requests will go, such as http://127.0.0.1:8080, if known
	values   map[string]any
}

// Client performs requests. Do is called by many goroutines at once.
type Client interface {
	Do(Request) Response
	Gauges() map[string]float64 // by the names in Driver.Gauges; nil: unknown at present
	Close()
}

// Request is one exchange to perform.
type Request struct {
	Method, URL string
	Headers     [][2]string
	Body        int // this many bytes of 'x'
}

// Response is what the client told its caller.
type Response struct {
	Status int   // 0: the client gave no response to its caller
	Bytes  int64 // of the body, all read
	Err    error
	// Finished is Now when the response or the error was there; 0: when Do returned.
	Finished int64
}

// Refused says which setting the client cannot take, and what it can.
type Refused struct{ Setting, Text string }

func (r *Refused) Error() string { return r.Setting + ": " + r.Text }

// frame has the fields of all frames, those of kabench and those of the driver.
type frame struct {
	Type     string         `json:"type"`
	Settings map[string]any `json:"settings"`
	Timeout  *float64       `json:"timeout"`
	Insecure bool           `json:"insecure"`
	Gauges   float64        `json:"gauges"`
	Origins  []string       `json:"origins"`
	Seq      uint64         `json:"seq"`
	Method   string         `json:"method"`
	URL      string         `json:"url"`
	Headers  [][2]string    `json:"headers"`
	Body     int            `json:"body"`
}

// done reports one exchange. Its times are of Now.
type done struct {
	Type     string   `json:"type"`
	Seq      uint64   `json:"seq"`
	Received int64    `json:"received"`
	Called   int64    `json:"called"`
	Finished int64    `json:"finished"`
	Status   int      `json:"status"`
	Bytes    int64    `json:"bytes"`
	Error    *failure `json:"error,omitempty"`
}

type failure struct {
	Class  string  `json:"class"`
	Text   string  `json:"text"`
	Causes []cause `json:"causes"`
}

type cause struct {
	Class string `json:"class"`
	Text  string `json:"text"`
}

// maxCauses bounds the chain beneath an error.
const maxCauses = 8

var start = time.Now()

// Now is the driver's clock: nanoseconds since it started.
func Now() int64 { return int64(time.Since(start)) }

// output writes whole frames, one at a time.
type output struct {
	mu sync.Mutex
	w  io.Writer
}

func (o *output) write(v any) {
	line, err := json.Marshal(v)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	line = append(line, '\n')
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, err := o.w.Write(line); err != nil {
		os.Exit(1) // nobody listens any more
	}
}

// garbage is how much the memory may grow, in percent, before the driver looks for garbage:
// more than Go's 100, because there is little of it and each search costs time.
const garbage = 400

// Run speaks for d until kabench says bye or closes standard input.
func Run(d Driver) {
	debug.SetGCPercent(garbage)
	s := &session{driver: d, out: &output{w: os.Stdout}}
	s.out.write(map[string]any{"type": "hello", "protocol": 1, "driver": d.Name, "client": d.Client, "version": d.Version,
		"runtime": d.runtime(), "settings": d.Settings, "gauges": append([]string{}, d.Gauges...)})
	in := bufio.NewReaderSize(stdin(), 1<<16)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			break
		}
		var f frame
		if err := json.Unmarshal(line, &f); err != nil {
			fmt.Fprintln(os.Stderr, "a frame that is no JSON object:", err)
			continue
		}
		if !s.take(f) {
			break
		}
	}
	s.stop()
}

// stdin is the standard input, read without blocking a thread: so the goroutine of an
// exchange runs at once when the next frame is not there yet.
func stdin() io.Reader {
	if syscall.SetNonblock(0, true) != nil {
		return os.Stdin
	}
	return os.NewFile(0, "stdin")
}

func (d Driver) runtime() string {
	if d.Runtime != "" {
		return d.Runtime
	}
	return fmt.Sprintf("Go %s %s/%s", strings.TrimPrefix(runtime.Version(), "go"), runtime.GOOS, runtime.GOARCH)
}

// session is what lies between hello and bye.
type session struct {
	driver Driver
	out    *output
	client Client        // nil before the first config
	ticks  chan struct{} // closed to end the gauges of client
	round  atomic.Int64  // which config it is: kabench has given up what an earlier one began
}

// take acts on one frame of kabench, and says whether more may follow.
func (s *session) take(f frame) bool {
	switch f.Type {
	case "config":
		s.configure(f)
	case "clock":
		s.out.write(map[string]any{"type": "clock", "now": Now()})
	case "dispatch":
		received := Now()
		if s.client == nil {
			s.out.write(done{Type: "done", Seq: f.Seq, Received: received, Called: received, Finished: received,
				Error: &failure{Class: "kabench.protocol", Text: "dispatch before config", Causes: []cause{}}})
			break
		}
		go s.perform(s.client, f, received, s.round.Load())
	case "bye":
		s.out.write(map[string]string{"type": "bye"})
		return false
	}
	return true
}

// perform carries out one exchange and reports it, unless kabench has made a new client since.
func (s *session) perform(c Client, f frame, received, round int64) {
	called := Now()
	r := c.Do(Request{Method: f.Method, URL: f.URL, Headers: f.Headers, Body: f.Body})
	if r.Finished == 0 {
		r.Finished = Now()
	}
	d := done{Type: "done", Seq: f.Seq, Received: received, Called: called, Finished: r.Finished, Status: r.Status, Bytes: r.Bytes}
	if r.Err != nil {
		d.Error = describe(r.Err)
	}
	if s.round.Load() == round {
		s.out.write(d)
	}
}

// configure replaces the client by a new one, with a pool that is fresh.
func (s *session) configure(f frame) {
	s.round.Add(1)
	s.stop()
	c := Config{Insecure: f.Insecure, Origins: f.Origins, values: f.Settings}
	if f.Timeout != nil {
		c.Timeout = milliseconds(*f.Timeout)
	}
	err := check(s.driver.Settings, f.Settings)
	if err == nil {
		s.client, err = s.driver.New(c)
	}
	if err != nil {
		s.client = nil
		var r *Refused
		if !errors.As(err, &r) {
			r = &Refused{Text: err.Error()}
		}
		s.out.write(map[string]string{"type": "refused", "setting": r.Setting, "text": r.Text})
		return
	}
	if f.Gauges > 0 && len(s.driver.Gauges) > 0 {
		s.ticks = make(chan struct{})
		go s.tick(s.client, milliseconds(f.Gauges), s.ticks)
	}
	s.out.write(map[string]string{"type": "ready"})
}

// tick reports the gauges of c every so often.
func (s *session) tick(c Client, every time.Duration, end chan struct{}) {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-end:
			return
		case <-t.C:
			if values := c.Gauges(); values != nil {
				s.out.write(map[string]any{"type": "gauges", "at": Now(), "values": values})
			}
		}
	}
}

// stop ends the client there is.
func (s *session) stop() {
	if s.ticks != nil {
		close(s.ticks)
		s.ticks = nil
	}
	if s.client != nil {
		s.client.Close()
		s.client = nil
	}
}

// Failure is an error whose class and causes are not those of Go: the words of another
// program.
type Failure struct {
	Class, Text string
	Cause       error
}

func (f *Failure) Error() string { return f.Text }
func (f *Failure) Unwrap() error { return f.Cause }

// describe turns an error and the chain beneath it into a frame's fields.
func describe(err error) *failure {
	top := one(err)
	f := &failure{top.Class, top.Text, []cause{}}
	for e := errors.Unwrap(err); e != nil && len(f.Causes) < maxCauses; e = errors.Unwrap(e) {
		f.Causes = append(f.Causes, one(e))
	}
	return f
}

func one(err error) cause {
	if f, ok := err.(*Failure); ok {
		return cause{f.Class, f.Text}
	}
	return cause{fmt.Sprintf("%T", err), err.Error()}
}
