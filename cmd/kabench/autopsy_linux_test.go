package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/exit"
)

// tcpdump captures what its arguments choose until stop is called, and returns the file.
func tcpdump(t *testing.T, arguments ...string) (file string, stop func()) {
	t.Helper()
	path, err := exec.LookPath("tcpdump")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("tcpdump is not installed")
	}
	file = filepath.Join(t.TempDir(), "dump.pcap")
	c := exec.Command(path, append([]string{"-Z", "root", "-U", "-w", file}, arguments...)...)
	messages, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(messages)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			c.Wait()
			if os.Getenv("CI") != "" {
				t.Fatalf("tcpdump cannot capture: %s", line)
			}
			t.Skipf("tcpdump cannot capture: %s", line)
		}
		if strings.Contains(line, "listening on") {
			break
		}
	}
	return file, func() {
		// The last packets are still on their way through the kernel's buffer.
		deadline := time.Now().Add(10 * time.Second)
		for size, before := int64(1), int64(-1); size != before && time.Now().Before(deadline); time.Sleep(500 * time.Millisecond) {
			before = size
			if info, err := os.Stat(file); err == nil {
				size = info.Size()
			}
		}
		c.Process.Signal(syscall.SIGINT)
		io.Copy(io.Discard, lines)
		c.Wait()
	}
}

// verdict is what the test reads of an autopsy.
type verdict struct {
	Headline              string
	Connections, Requests int
	Met                   map[string]int
	Failures              []struct{ Met, Request string }
	Servers               []struct {
		Requests int
		Met      map[string]int
		Facts    struct {
			Idle struct {
				Closes int
				Min    float64
				Max    float64
			}
		}
	}
}

// Requests that meet the closes of a real server are found in a real capture, of each
// kind that tcpdump makes, and so is the server's timer.
func TestAutopsyOfARealCapture(t *testing.T) {
	const timeout = 400 * time.Millisecond
	for name, arguments := range map[string][]string{"any": {"-i", "any"}, "lo": {"-i", "lo"}, "96 bytes": {"-i", "lo", "-s", "96"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			port := l.Addr().(*net.TCPAddr).Port
			file, stop := tcpdump(t, append(arguments, "tcp", "port", fmt.Sprint(port))...)
			server := &http.Server{IdleTimeout: timeout, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/taken" {
					c, _, err := w.(http.Hijacker).Hijack()
					if err != nil {
						t.Error(err)
						return
					}
					c.Close()
					return
				}
				io.WriteString(w, "ok")
			})}
			go server.Serve(l)
			defer server.Close()

			var conns []net.Conn
			var idleSince []time.Time
			for n := range 30 {
				c, err := net.Dial("tcp", l.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				conns = append(conns, c)
				idleSince = append(idleSince, time.Now()) // not later than the response is sent
				fmt.Fprint(c, "GET /first HTTP/1.1\r\nHost: a\r\n\r\n")
				if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
					t.Fatal(err)
				}
				if n < 5 { // the server takes the request and closes
					fmt.Fprint(c, "GET /taken HTTP/1.1\r\nHost: a\r\n\r\n")
					io.Copy(io.Discard, c)
				}
			}
			longest := 0.0 // that a connection can have been idle, by the client's clock
			for n, c := range conns[5:] {
				io.Copy(io.Discard, c)
				longest = max(longest, time.Since(idleSince[5+n]).Seconds())
			}
			for _, c := range conns[5:9] {
				fmt.Fprint(c, "GET /late HTTP/1.1\r\nHost: a\r\n\r\n")
			}
			for _, c := range conns {
				c.Close()
			}
			stop()

			out, _ := says(t, exit.Done, "autopsy", file, "--json")
			var v verdict
			if err := json.Unmarshal([]byte(out), &v); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if v.Met["arrived"] != 5 || v.Met["late"] != 4 || len(v.Failures) != 9 || v.Connections != 30 || v.Requests != 39 {
				t.Errorf("%v, %d connections, %d requests: %s", v.Met, v.Connections, v.Requests, v.Headline)
			}
			for _, f := range v.Failures {
				if want := map[string]string{"arrived": "GET /taken", "late": "GET /late"}[f.Met]; f.Request != want {
					t.Errorf("the request that was %v is %q", f.Met, f.Request)
				}
			}
			if idle := v.Servers[0].Facts.Idle; idle.Closes != 25 || idle.Min < timeout.Seconds()-0.001 || idle.Max > longest+0.001 {
				t.Errorf("the server's timer: %+v", idle)
			}
		})
	}
}

// Every request of a run that meets the server's close is found in what tcpdump has
// captured beside the run, and no other one.
func TestAutopsyBesideARun(t *testing.T) {
	t.Parallel()
	profile := filepath.Join(t.TempDir(), "race.yaml")
	write(t, profile, `
name: race
load: {rate: 300/s, arrivals: {process: burst, on: 250ms, off: 950ms, off_max: 1000ms, within: poisson}, duration: 5s, warm_up: 0s, timeout: 10s, max_lag: 0}
pool: {lease_order: fifo, idle_timeout: 0s, liveness: events}
target:
  lab: {idle_timeout: 1s, delay: 40ms}
  link: {delay: 5ms}
`)
	file, stop := tcpdump(t, "-i", "any", "-B", "16384", "tcp", "and", "host", "127.0.0.1")
	dir := filepath.Join(t.TempDir(), "out")
	var chatter bytes.Buffer
	if code := run([]string{"run", profile, "--out", dir, "--json"}, io.Discard, &chatter); code != exit.Done && code != exit.Invalid {
		t.Fatalf("exit code %d: %s", code, &chatter)
	}
	stop()
	var document struct {
		Counts struct{ Started, OK, Failed int }
	}
	text, err := os.ReadFile(filepath.Join(dir, "run.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	out, _ := says(t, exit.Done, "autopsy", file, "--json")
	var v verdict
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Fatal(err)
	}
	counts := document.Counts
	t.Logf("%d of %d requests failed", counts.Failed, counts.Started)
	for _, s := range v.Servers {
		met := 0
		for _, n := range s.Met {
			met += n
		}
		if s.Requests == counts.Started && met == counts.Failed {
			return
		}
	}
	t.Errorf("%d of %d requests failed, and no server in the capture shows that: %s", counts.Failed, counts.Started, v.Headline)
}
