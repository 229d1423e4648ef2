package drivers

import (
	"bufio"
	"context"
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
	"testing"
	"time"
)

// talk is a driver's process that a test speaks to, frame by frame.
type talk struct {
	t   *testing.T
	in  io.Writer
	out *bufio.Reader
}

// frame is what a driver writes.
type frame struct {
	Type, Setting, Text, Driver, Version string
	Seq                                  uint64
	Now, Received, Called, Finished      int64
	Status                               int
	Bytes                                int64
	Values                               map[string]float64
	Settings                             []struct{ Name, Kind, Pool string }
	Error                                *struct {
		Class, Text string
		Causes      []struct{ Class, Text string }
	}
}

// built builds a driver into the cache, or skips where a tool is missing.
func built(t *testing.T, name string) []string {
	t.Helper()
	e, err := Find(name)
	if err != nil {
		t.Fatal(err)
	}
	if missing := e.Missing(); len(missing) > 0 {
		err := &MissingError{name, missing}
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	c, err := e.Build(ctx, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	return c.Argv
}

// start starts a driver and reads its hello.
func start(t *testing.T, name string) (*talk, frame) {
	t.Helper()
	argv := built(t, name)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stderr = t.Output()
	cmd.WaitDelay = 5 * time.Second
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d := &talk{t, in, bufio.NewReader(out)}
	t.Cleanup(func() {
		in.Close() // the end of stdin ends a driver
		timer := time.AfterFunc(10*time.Second, func() { cmd.Process.Kill() })
		if err := cmd.Wait(); err != nil {
			t.Errorf("driver %s: %v", name, err)
		}
		timer.Stop()
	})
	hello := d.next("hello")
	if hello.Driver != name || hello.Version == "" {
		t.Errorf("hello of %q %q, wanted driver %s with a version", hello.Driver, hello.Version, name)
	}
	return d, hello
}

// say sends a frame.
func (d *talk) say(format string, args ...any) {
	d.t.Helper()
	if _, err := fmt.Fprintf(d.in, format+"\n", args...); err != nil {
		d.t.Fatal(err)
	}
}

// next returns the next frame of one of the types; those of other types are passed over.
func (d *talk) next(types ...string) frame {
	d.t.Helper()
	for {
		line, err := d.out.ReadBytes('\n')
		if err != nil {
			d.t.Fatalf("waiting for %v: %v", types, err)
		}
		var r frame
		if err := json.Unmarshal(line, &r); err != nil {
			d.t.Fatalf("%v in %s", err, line)
		}
		for _, want := range types {
			if r.Type == want {
				return r
			}
		}
	}
}

// configure sends settings, as the inside of a JSON object, and expects the driver to be ready.
func (d *talk) configure(settings, origin string) {
	d.t.Helper()
	d.say(`{"type":"config","settings":{%s},"timeout":5000,"insecure":false,"gauges":0,"origins":[%q]}`, settings, origin)
	if r := d.next("ready", "refused"); r.Type != "ready" {
		d.t.Fatalf("refused: %s: %s", r.Setting, r.Text)
	}
}

// send performs one exchange and returns how it ended.
func (d *talk) send(seq int, method, url string, body int) frame {
	d.t.Helper()
	d.say(`{"type":"dispatch","seq":%d,"method":%q,"url":%q,"headers":[["X-Request-Id","%020d"]],"body":%d}`, seq, method, url, seq, body)
	r := d.next("done")
	if r.Seq != uint64(seq) || r.Received > r.Called || r.Called > r.Finished {
		d.t.Errorf("done of %d at %d, %d, %d; %d was sent", r.Seq, r.Received, r.Called, r.Finished, seq)
	}
	return r
}

// faulty is a server whose paths fail: /cut closes and /reset resets after the request,
// /body closes within the body, /slow takes 2 s. It counts connections.
func faulty(t *testing.T) (url string, opened func() int) {
	t.Helper()
	connections := make(chan int, 1)
	connections <- 0
	end := func(w http.ResponseWriter, linger int, part string) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		io.WriteString(conn, part)
		conn.(*net.TCPConn).SetLinger(linger)
		conn.Close()
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		switch r.URL.Path {
		case "/cut":
			end(w, -1, "")
		case "/reset":
			end(w, 0, "")
		case "/body":
			end(w, -1, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
		case "/slow":
			time.Sleep(2 * time.Second)
		default:
			fmt.Fprintf(w, "%s %d %s", r.Method, n, r.Header.Get("X-Request-Id"))
		}
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections <- <-connections + 1
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s.URL, func() int {
		n := <-connections
		connections <- n
		return n
	}
}

// refusing is the URL of a port on which nobody listens.
func refusing(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

// expect fails unless the exchange failed with a class or text, of itself or of a cause,
// that contains each of the texts.
func expect(t *testing.T, what string, r frame, texts ...string) {
	t.Helper()
	if r.Error == nil {
		t.Errorf("%s: status %d, and no error; wanted %q", what, r.Status, texts)
		return
	}
	all := r.Error.Class + "\n" + r.Error.Text
	for _, c := range r.Error.Causes {
		all += "\n" + c.Class + "\n" + c.Text
	}
	for _, text := range texts {
		if !strings.Contains(all, text) {
			t.Errorf("%s: %s\ndo not contain %q", what, all, text)
		}
	}
}

func TestGo(t *testing.T) {
	d, hello := start(t, "go")
	if len(hello.Settings) == 0 {
		t.Error("no settings")
	}
	url, opened := faulty(t)
	d.configure(`"MaxIdleConnsPerHost":4,"ResponseHeaderTimeout":300`, url)
	for i := range 3 {
		if r := d.send(i+1, "POST", url+"/x", 10); r.Error != nil || r.Status != 200 || r.Bytes != int64(len("POST 10 "))+20 {
			t.Errorf("%+v", r)
		}
	}
	if n := opened(); n != 1 {
		t.Errorf("%d connections for 3 requests", n)
	}
	expect(t, "cut", d.send(11, "POST", url+"/cut", 0), "*url.Error", "EOF")
	expect(t, "reset", d.send(12, "POST", url+"/reset", 0), "connection reset by peer", "syscall.Errno")
	expect(t, "body", d.send(13, "GET", url+"/body", 0), "unexpected EOF")
	expect(t, "slow", d.send(14, "GET", url+"/slow", 0), "timeout awaiting response headers")
	expect(t, "refused", d.send(15, "GET", refusing(t), 0), "connection refused")

	d.configure(`"IdleConnTimeout":50`, url)
	d.send(21, "GET", url, 0)
	before := opened()
	time.Sleep(500 * time.Millisecond)
	d.send(22, "GET", url, 0)
	if opened() == before {
		t.Error("a connection idle for 500 ms was used again, with IdleConnTimeout 50 ms")
	}
	for setting, text := range map[string]string{`"maxIdle":4`: "there is no such setting", `"MaxIdleConns":0`: "DisableKeepAlives", `"MaxConnsPerHost":1.5`: "whole number", `"IdleConnTimeout":-1`: "milliseconds"} {
		d.say(`{"type":"config","settings":{%s}}`, setting)
		if r := d.next("ready", "refused"); r.Type != "refused" || !strings.Contains(r.Text, text) {
			t.Errorf("%s: %s %q", setting, r.Type, r.Text)
		}
	}
	d.say(`{"type":"bye"}`)
	d.next("bye")
}

// The kit's files and those that a driver is built from are the same.
func TestGoDriversTakeTheWholeKit(t *testing.T) {
	files, err := filepath.Glob("golang/kit/*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	sources := strings.Join(goSources(), "\n")
	for _, f := range files {
		if !strings.HasSuffix(f, "_test.go") && !strings.Contains(sources, filepath.ToSlash(f)+"=") {
			t.Errorf("goSources lacks %s", f)
		}
	}
}

// A proxy is driven through its faults: the words are those of its log.
func TestProxies(t *testing.T) {
	for _, p := range []struct {
		name, settings, times, twice    string // settings that keep connections, of time limits, of a second config
		cut, reset, body, slow, refused []string
	}{
		{
			name: "nginx", settings: `"keepalive":8`, times: `"proxy_read_timeout":200`, twice: `"keepalive":8,"keepalive_timeout":50`,
			cut:     []string{"nginx [error]", "upstream prematurely closed connection while reading response header from upstream"},
			reset:   []string{"recv() failed (104: Connection reset by peer) while reading response header from upstream"},
			body:    []string{"upstream prematurely closed connection while reading upstream"},
			slow:    []string{"upstream timed out (110: Connection timed out) while reading response header from upstream"},
			refused: []string{"connect() failed (111: Connection refused) while connecting to upstream"},
		},
		{
			name: "haproxy", settings: `"retries":0`, times: `"timeout server":200`, twice: `"pool-max-conn":0`,
			cut: []string{"haproxy", "502 SH--"}, reset: []string{"502 SH--"}, body: []string{"200 SD--"}, slow: []string{"504 sH--"}, refused: []string{"503 SC--"},
		},
		{
			name: "envoy", settings: `"concurrency":1`, times: `"timeout":200`, twice: `"idle_timeout":50`,
			cut:     []string{"503 UC upstream_reset_before_response_started{connection_termination}", "reset reason: connection termination"},
			reset:   []string{"503 UC upstream_reset_before_response_started{connection_termination"},
			body:    []string{"200 UPE upstream_reset_after_response_started{protocol_error}"},
			slow:    []string{"504 UT"},
			refused: []string{"503 UF"},
		},
	} {
		t.Run(p.name, func(t *testing.T) {
			if p.name == "envoy" && os.Getenv("KABENCH_ALL_DRIVERS") == "" {
				t.Skip("KABENCH_ALL_DRIVERS is not set: Envoy is a download of 37 MB")
			}
			d, _ := start(t, p.name)
			url, opened := faulty(t)
			d.configure(p.settings, url)
			for i := range 4 {
				if r := d.send(i+1, "POST", url+"/x", 10); r.Error != nil || r.Status != 200 || r.Bytes != int64(len("POST 10 "))+20 {
					t.Errorf("%+v %+v", r, r.Error)
				}
			}
			if n := opened(); n != 1 {
				t.Errorf("%d connections for 4 requests", n)
			}
			fresh := refusing(t)
			for i, c := range []struct {
				url   string
				texts []string
			}{{url + "/cut", p.cut}, {url + "/reset", p.reset}, {url + "/body", p.body}, {fresh, p.refused}} {
				d.configure(p.settings, c.url) // a fresh connection: HAProxy logs no failure of one that was used before
				r := d.send(11+i, "POST", c.url, 3)
				expect(t, c.url, r, c.texts...)
				logError(t, c.url, r)
			}
			if p.name == "haproxy" { // it leaves the retry to its client, and logs nothing
				d.configure(p.settings, url)
				d.send(17, "GET", url, 0)
				expect(t, "cut on a connection that was used before", d.send(18, "GET", url+"/cut", 0), "closed its client's connection without a response", "EOF")
			}
			d.configure(p.settings+","+p.times, url)
			r := d.send(21, "POST", url+"/slow", 0)
			expect(t, "slow", r, p.slow...)
			logError(t, "slow", r)

			d.configure(p.twice, url)
			d.send(31, "GET", url, 0)
			before := opened()
			time.Sleep(400 * time.Millisecond)
			d.send(32, "GET", url, 0)
			if opened() == before {
				t.Errorf("a connection was used again with %s", p.twice)
			}
			d.say(`{"type":"config","settings":{"maxIdle":4}}`)
			if r := d.next("ready", "refused"); r.Type != "refused" || r.Setting != "maxIdle" {
				t.Errorf("%+v", r)
			}
		})
	}
}

// logError shows what a driver said, for the eyes of those who run the test with -v.
func logError(t *testing.T, what string, r frame) {
	if r.Error != nil {
		t.Logf("%s: status %d after %.1f ms: %s: %s %q", what, r.Status, float64(r.Finished-r.Called)/1e6, r.Error.Class, r.Error.Text, r.Error.Causes)
	}
}

// A client in Rust is driven through its faults: the words are those of its error and of the
// errors beneath it.
func TestRust(t *testing.T) {
	if os.Getenv("KABENCH_ALL_DRIVERS") == "" {
		t.Skip("KABENCH_ALL_DRIVERS is not set: to build these takes minutes")
	}
	for _, c := range []struct {
		name, settings, idle            string
		cut, reset, body, slow, refused []string
	}{
		{
			name: "reqwest", settings: `"read_timeout":300,"pool_max_idle_per_host":8`, idle: `"pool_idle_timeout":50`,
			cut:     []string{"reqwest::Error", "error sending request for url", "client error (SendRequest)", "hyper::Error", "connection closed before message completed"},
			reset:   []string{"connection error", "Connection reset by peer (os error 104)", "std::io::Error"},
			body:    []string{"error decoding response body", "end of file before message length reached"},
			slow:    []string{"operation timed out"},
			refused: []string{"client error (Connect)", "tcp connect error", "Connection refused (os error 111)"},
		},
		{
			name: "ureq", settings: `"timeout_recv_response":300`, idle: `"max_idle_age":50`,
			cut:     []string{"ureq::Error::Io", "Peer disconnected"},
			reset:   []string{"Connection reset by peer (os error 104)"},
			body:    []string{"Peer disconnected"},
			slow:    []string{"ureq::Error::Timeout", "timeout"},
			refused: []string{"Connection refused (os error 111)"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, hello := start(t, c.name)
			if e, _ := Find(c.name); hello.Version != e.Version {
				t.Errorf("hello of version %s, the catalogue has %s", hello.Version, e.Version)
			}
			url, opened := faulty(t)
			d.configure(c.settings, url)
			for i := range 3 {
				if r := d.send(i+1, "POST", url+"/x", 10); r.Error != nil || r.Status != 200 || r.Bytes != int64(len("POST 10 "))+20 {
					t.Errorf("%+v %+v", r, r.Error)
				}
			}
			if n := opened(); n != 1 {
				t.Errorf("%d connections for 3 requests", n)
			}
			for i, fault := range []struct {
				url   string
				texts []string
			}{{url + "/cut", c.cut}, {url + "/reset", c.reset}, {url + "/body", c.body}, {url + "/slow", c.slow}, {refusing(t), c.refused}} {
				r := d.send(11+i, "POST", fault.url, 3)
				expect(t, fault.url, r, fault.texts...)
				logError(t, fault.url, r)
			}
			d.configure(c.idle, url)
			d.send(31, "GET", url, 0)
			before := opened()
			time.Sleep(400 * time.Millisecond)
			d.send(32, "GET", url, 0)
			if opened() == before {
				t.Errorf("a connection was used again with %s", c.idle)
			}
			for setting, text := range map[string]string{`"maxIdle":4`: "there is no such setting", strings.Replace(c.idle, "50", "-1", 1): "milliseconds"} {
				d.say(`{"type":"config","settings":{%s}}`, setting)
				if r := d.next("ready", "refused"); r.Type != "refused" || !strings.Contains(r.Text, text) {
					t.Errorf("%s: %s %q", setting, r.Type, r.Text)
				}
			}
		})
	}
}
