package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/internal/lab"
	"github.com/kabench/kabench/profiles/script"
)

// An endpoint of gauges that is slow, answers HTML, lies or stops is said, once, and the watch
// goes on.
func TestWatchOfBadMetrics(t *testing.T) {
	t.Parallel()
	over := make(chan struct{})
	var scrapes atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("/slow", func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-over:
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("/html", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<html>")
	})
	mux.HandleFunc("/lies", func(w http.ResponseWriter, _ *http.Request) {
		n := scrapes.Add(1)
		fmt.Fprintf(w, "hikaricp_connections_idle{pool=\"a\"} -%d\nhikaricp_connections_active{pool=\"a\"} NaN\nhikaricp_connections_max{pool=\"a\"} many\n", n)
	})
	mux.HandleFunc("/flood", func(w http.ResponseWriter, _ *http.Request) {
		for i := range 30_000 {
			fmt.Fprintf(w, "hikaricp_connections_idle{pool=\"%d\"} 1\n", i)
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close) // after the subtests, which run together
	t.Cleanup(func() { close(over) })
	for path, want := range map[string]string{
		"/slow":    "it does not answer in 3s",
		"/html":    "it answers text/html, which is no format of metrics",
		"/nothing": "it answers 404 Not Found",
		"/lies":    "hikaricp_connections_idle is -1, which is no number of connections or requests",
		"/flood":   "it has more than 20000 lines with gauges of pools",
	} {
		t.Run(path[1:], func(t *testing.T) {
			t.Parallel()
			p := start(t, "watch", "--target", "127.0.0.1:1", "--for", "1h", "--scrape", "100ms", "--out", "none", "--metrics", server.URL+path)
			waitFor(t, "the complaint", func() bool { return strings.Contains(p.stderr.String(), want) })
			if path == "/lies" {
				waitFor(t, "further scrapes", func() bool { return scrapes.Load() > 5 })
			}
			if err := p.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			if code := p.exitCode(t); code != exit.Interrupted {
				t.Errorf("exit code %d: %s", code, p.stderr.String())
			}
			if n := strings.Count(p.stderr.String(), "hikaricp_connections_idle is"); n > 1 {
				t.Errorf("the same complaint %d times", n)
			}
			said := p.stdout.String()
			if !strings.Contains(said, "No request was seen on 0 connections") || !strings.Contains(said, "gauges: off; lacks "+server.URL+path) {
				t.Errorf("it says\n%s", said)
			}
		})
	}
}

// A watch ends with its service, says so, and has its results.
func TestWatchEndsWithTheService(t *testing.T) {
	t.Parallel()
	server, err := lab.Start(script.Server{IdleTimeout: time.Minute, Body: 100}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	service := &exec.Cmd{Path: self, Args: []string{"kabench-service", server.URL() + "/", "20ms"}, Stderr: os.Stderr}
	in, err := service.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := service.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := service.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = service.Process.Kill(); _ = service.Wait() }()
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "out")
	p := start(t, "watch", "--pid", fmt.Sprint(service.Process.Pid), "--for", "1h", "--out", dir)
	waitFor(t, "the watch", func() bool { return strings.Contains(p.stderr.String(), "packets: ") })
	before := server.Seen().Requests
	fmt.Fprintln(in, "go")
	waitFor(t, "requests", func() bool { return server.Seen().Requests > before+50 })
	if err := service.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = service.Wait() // a zombie is no service
	if code := p.exitCode(t); code != exit.Done && code != exit.Unmet {
		t.Errorf("exit code %d: %s", code, p.stderr.String())
	}
	if want := fmt.Sprintf("process %d: the process has ended", service.Process.Pid); !strings.Contains(p.stdout.String(), want) {
		t.Errorf("the text lacks %q:\n%s", want, p.stdout.String())
	}
	text, err := os.ReadFile(filepath.Join(dir, "watch.json"))
	if err != nil {
		t.Fatal(err)
	}
	var w watched
	if err := json.Unmarshal(text, &w); err != nil || w.Totals.Connections < 16 || w.Totals.Older < 16 {
		t.Errorf("%v; %+v", err, w.Totals)
	}
}

// BenchmarkWatch is what the whole command costs beside a server at which connections are
// opened, pass a request and its response, and are closed, half by either side. The benchmark
// opens 2,000 in a second, if the machine can: 20,000 take 10 s.
//
//	go test -run - -bench BenchmarkWatch -benchtime 20000x ./cmd/kabench
func BenchmarkWatch(b *testing.B) {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer server.Close()
	go func() {
		for {
			c, err := server.Accept()
			if err != nil {
				return
			}
			go answer(c)
		}
	}()
	dir := filepath.Join(b.TempDir(), "out")
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	p := &exec.Cmd{Path: self, Args: []string{"kabench", "watch", "--target", server.Addr().String(), "--out", dir}}
	chatter, err := p.StderrPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := p.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() { _ = p.Process.Kill() }()
	lines := bufio.NewReader(chatter)
	for text := ""; !strings.Contains(text, "packets: "); {
		if text, err = lines.ReadString('\n'); err != nil {
			b.Fatal("the watch did not begin: ", err)
		}
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }()

	b.ResetTimer()
	began := time.Now()
	var all sync.WaitGroup
	room := make(chan struct{}, 200)
	for i := range b.N {
		time.Sleep(time.Until(began.Add(time.Duration(i) * time.Second / 2000)))
		room <- struct{}{}
		all.Go(func() {
			defer func() { <-room }()
			if err := exchange(server.Addr().String(), i%2 == 0); err != nil {
				b.Error(err)
			}
		})
	}
	all.Wait()
	took := time.Since(began)
	b.StopTimer()
	if err := p.Process.Signal(os.Interrupt); err != nil {
		b.Fatal(err)
	}
	_ = p.Wait() // its exit code says whether requests failed
	text, err := os.ReadFile(filepath.Join(dir, "watch.json"))
	if err != nil {
		b.Fatal(err)
	}
	var w struct {
		Layers []struct {
			Layer string
			On    bool
			Lost  float64
		}
		Totals struct {
			Failures int
			Closes   map[string]int
		}
	}
	if err := json.Unmarshal(text, &w); err != nil {
		b.Fatal(err)
	}
	use := p.ProcessState.SysUsage().(*syscall.Rusage)
	spent := time.Duration(use.Utime.Nano() + use.Stime.Nano())
	b.ReportMetric(float64(b.N)/took.Seconds(), "closes/s")
	b.ReportMetric(float64(w.Totals.Failures), "failures")
	b.ReportMetric(100*spent.Seconds()/took.Seconds(), "%core")
	b.ReportMetric(spent.Seconds()*1e6/float64(b.N), "own-µs/close")
	b.ReportMetric(float64(w.Totals.Closes["server"]+w.Totals.Closes["client"])/float64(b.N), "seen/close")
	for _, l := range w.Layers {
		if l.On {
			b.ReportMetric(l.Lost, "lost-"+l.Layer)
		}
	}
}

// answer answers one request of a connection: 'k' is kept open until the client closes.
func answer(c net.Conn) {
	defer c.Close()
	var b [1]byte
	if _, err := io.ReadFull(c, b[:]); err != nil {
		return
	}
	_, _ = c.Write(b[:])
	if b[0] == 'k' {
		_, _ = c.Read(b[:])
	}
}

// exchange opens a connection for one request; the client or the server closes it first.
func exchange(address string, client bool) error {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	ask := []byte("c")
	if client {
		ask[0] = 'k'
	}
	if _, err := c.Write(ask); err != nil {
		return err
	}
	if _, err := io.ReadFull(c, ask); err != nil || client {
		return err
	}
	if _, err := c.Read(ask); err != io.EOF {
		return fmt.Errorf("the server's close: %w", err)
	}
	return nil
}
