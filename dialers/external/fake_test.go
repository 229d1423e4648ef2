package external

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// fakeMode in the environment makes the test binary a driver that breaks one rule.
const fakeMode = "KABENCH_FAKE_DRIVER"

func TestMain(m *testing.M) {
	if mode, ok := os.LookupEnv(fakeMode); ok {
		(&fake{mode: mode}).run()
		return
	}
	os.Exit(m.Run())
}

// fakeDriver is the command of a driver that breaks the rule of that name; "": none.
func fakeDriver(mode string) Command {
	return Command{Name: "fake", Argv: []string{os.Args[0]}, Env: []string{fakeMode + "=" + mode}}
}

// fake is a driver over net/http.
type fake struct {
	mode   string
	mu     sync.Mutex
	client *http.Client
	seen   int
}

func (f *fake) write(v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	f.raw(string(b) + "\n")
}

func (f *fake) raw(text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, _ = io.WriteString(os.Stdout, text)
}

var (
	fakeBegan  = time.Now()
	fakeJumped atomic.Int64 // ns
)

func fakeNow() int64 { return int64(time.Since(fakeBegan)) + fakeJumped.Load() }

type object map[string]any

func (f *fake) run() {
	protocol := 1
	switch f.mode {
	case "version":
		protocol = 2
	case "silent":
		time.Sleep(time.Minute)
	case "banner":
		f.raw("Picked up JAVA_TOOL_OPTIONS\n")
	case "exits":
		fmt.Fprintln(os.Stderr, "no such jar")
		os.Exit(3)
	case "nobye":
		signal.Ignore(syscall.SIGTERM)
	case "environment":
		for _, e := range os.Environ() {
			if name, _, _ := strings.Cut(e, "="); name == "PATH" || strings.HasSuffix(strings.ToLower(name), "_proxy") {
				fmt.Fprintln(os.Stderr, name)
			}
		}
	}
	f.write(object{"type": "hello", "protocol": protocol, "driver": "fake", "client": "Fake", "version": "1", "runtime": "Go", "new": true,
		"settings": []object{{"name": "idle", "kind": "duration", "default": nil, "pool": "idle_timeout"}}, "gauges": []string{"active"}})
	in := bufio.NewReader(os.Stdin)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			if f.mode == "nobye" {
				time.Sleep(time.Minute)
			}
			return
		}
		f.take(line)
	}
}

type fakeFrame struct {
	Type        string
	Seq         uint64
	Method, URL string
	Headers     [][2]string
	Body        int
	Settings    map[string]any
	Gauges      float64
	received    int64
}

func (f *fake) take(line string) {
	var in fakeFrame
	if err := json.Unmarshal([]byte(line), &in); err != nil {
		panic(err)
	}
	in.received = fakeNow()
	switch in.Type {
	case "config":
		for name := range in.Settings {
			if name != "idle" {
				f.write(object{"type": "refused", "setting": name, "text": "it has only idle"})
				return
			}
		}
		f.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		f.write(object{"type": "ready"})
	case "clock":
		if f.mode == "mute" && f.seen > 0 {
			return
		}
		f.write(object{"type": "clock", "now": fakeNow()})
	case "dispatch":
		f.seen++
		f.dispatch(in)
	case "bye":
		if f.mode == "nobye" {
			return
		}
		f.write(object{"type": "bye"})
		os.Exit(0)
	}
}

// dispatch breaks the rule, or sends the request.
func (f *fake) dispatch(in fakeFrame) {
	switch f.mode {
	case "dies":
		if f.seen == 3 {
			fmt.Fprintln(os.Stderr, "java.lang.OutOfMemoryError: Java heap space")
			os.Exit(7)
		}
	case "leaves":
		c := exec.Command("sleep", "60")
		c.Stdout, c.Stderr = os.Stdout, os.Stderr
		if err := c.Start(); err != nil {
			panic(err)
		}
		fmt.Fprintf(os.Stderr, "child %d\n", c.Process.Pid)
		os.Exit(1)
	case "deaf":
		time.Sleep(time.Minute)
	case "mute", "forgets":
		return
	case "line":
		f.raw(strings.Repeat("x", maxLine+1<<16))
	case "frames":
		for range 100_000 {
			f.raw(`{"type":"hm"}` + "\n")
		}
	case "gauges":
		for range 100_000 {
			f.raw(`{"type":"gauges","at":1,"values":{"active":1}}` + "\n")
		}
	case "garbage":
		f.raw("sending request\n")
	case "closes":
		os.Stdout.Close()
		time.Sleep(time.Minute)
	case "jumps":
		fakeJumped.Store(int64(time.Hour))
	}
	go f.send(in)
}

func (f *fake) send(in fakeFrame) {
	done := object{"type": "done", "seq": in.Seq, "received": in.received, "called": fakeNow(), "status": 0, "bytes": 0}
	if f.mode == "claims" {
		done["status"] = 200
	} else {
		f.request(in, done)
	}
	done["finished"] = fakeNow()
	switch f.mode {
	case "unsent":
		f.write(object{"type": "done", "seq": in.Seq + 1_000_000, "received": 1, "called": 1, "finished": 1, "status": 200, "bytes": 0})
	case "early":
		done["received"] = in.received - int64(time.Second)
		done["called"] = done["received"]
	case "late":
		done["finished"] = fakeNow() + int64(time.Second)
	case "backwards":
		done["finished"] = in.received - 1
	case "lacks":
		delete(done, "finished")
	}
	f.write(done)
	if f.mode == "twice" {
		f.write(done)
	}
}

func (f *fake) request(in fakeFrame, done object) {
	r, err := http.NewRequest(in.Method, in.URL, strings.NewReader(strings.Repeat("x", in.Body)))
	if err != nil {
		panic(err)
	}
	for _, h := range in.Headers {
		r.Header.Add(h[0], h[1])
	}
	resp, err := f.client.Do(r)
	if err == nil {
		var n int64
		n, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		done["status"], done["bytes"] = resp.StatusCode, n
	}
	if err != nil {
		done["status"] = 0
		done["error"] = object{"class": fmt.Sprintf("%T", err), "text": err.Error(), "causes": []object{}}
	}
}
