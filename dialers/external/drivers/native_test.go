package drivers

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// native starts a driver that is built, or builds it: in CI it must be possible.
func native(t *testing.T, name string) *talk {
	t.Helper()
	e, err := Find(name)
	if err != nil {
		t.Fatal(err)
	}
	c, err := e.Build(t.Context(), t.Output())
	var missing *MissingError
	if errors.As(err, &missing) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return start(t, c)
}

// fresh makes a client for the server at origin.
func (d *talk) fresh(origin string, settings frame) {
	d.t.Helper()
	d.say(frame{"type": "config", "settings": settings, "timeout": 5000, "origins": []string{origin}})
	d.next("ready")
}

// once performs one exchange and returns how it ended.
func (d *talk) once(seq int, method, url string, body int) ending {
	d.t.Helper()
	d.dispatch(seq, method, url, body)
	text, _ := json.Marshal(d.done())
	var e ending
	if err := json.Unmarshal(text, &e); err != nil || e.Seq != seq {
		d.t.Fatalf("%v: %s, and %d was sent", err, text, seq)
	}
	return e
}

// ending is a frame done.
type ending struct {
	Seq, Status, Bytes int
	Called, Finished   int64
	Error              *struct {
		Class, Text string
		Causes      []struct{ Class, Text string }
	}
}

// works sends requests one after another, which must succeed.
func (d *talk) works(url string, n int) {
	d.t.Helper()
	for i := range n {
		if r := d.once(i+1, "POST", url+"/x", 10); r.Error != nil || r.Status != 200 || r.Bytes != len("POST 10 ")+20 {
			d.t.Errorf("%+v %+v", r, r.Error)
		}
	}
}

// expires checks that a connection that has been idle is not used again.
func (d *talk) expires(url string, settings frame, opened func() int) {
	d.t.Helper()
	d.fresh(url, settings)
	d.once(31, "GET", url, 0)
	before := opened()
	time.Sleep(400 * time.Millisecond)
	d.once(32, "GET", url, 0)
	if opened() == before {
		d.t.Errorf("a connection was used again with %v", settings)
	}
}

// refuses checks that a setting is refused, with this in the text.
func (d *talk) refuses(name string, value any, text string) {
	d.t.Helper()
	d.say(frame{"type": "config", "settings": frame{name: value}})
	if r := d.next("refused"); r["setting"] != name || !strings.Contains(r["text"].(string), text) {
		d.t.Errorf("%s %v: %v", name, value, r)
	}
}

// failing is a server whose paths fail: /cut closes and /reset resets after the request,
// /body closes within the body, /slow takes 2 s. It counts connections.
func failing(t *testing.T) (url string, opened func() int) {
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

// fails performs an exchange that must fail, with a class or text, of itself or of a cause,
// that contains each of the texts. It shows them to who runs the test with -v.
func (d *talk) fails(seq int, method, url string, texts ...string) {
	d.t.Helper()
	r := d.once(seq, method, url, 0)
	if r.Error == nil {
		d.t.Errorf("%s: status %d, and no error; wanted %q", url, r.Status, texts)
		return
	}
	all := r.Error.Class + "\n" + r.Error.Text
	for _, c := range r.Error.Causes {
		all += "\n" + c.Class + "\n" + c.Text
	}
	for _, text := range texts {
		if !strings.Contains(all, text) {
			d.t.Errorf("%s: %s\ndo not contain %q", url, all, text)
		}
	}
	d.t.Logf("%s: status %d after %.1f ms: %s: %s %q", url, r.Status, float64(r.Finished-r.Called)/1e6, r.Error.Class, r.Error.Text, r.Error.Causes)
}

func TestGo(t *testing.T) {
	d := native(t, "go")
	url, opened := failing(t)
	d.fresh(url, frame{"MaxIdleConnsPerHost": 4, "ResponseHeaderTimeout": 300})
	d.works(url, 3)
	if n := opened(); n != 1 {
		t.Errorf("%d connections for 3 requests", n)
	}
	d.fails(11, "POST", url+"/cut", "*url.Error", "EOF")
	d.fails(12, "POST", url+"/reset", "connection reset by peer", "syscall.Errno")
	d.fails(13, "GET", url+"/body", "unexpected EOF")
	d.fails(14, "GET", url+"/slow", "timeout awaiting response headers")
	d.fails(15, "GET", refusing(t), "connection refused")
	d.expires(url, frame{"IdleConnTimeout": 50}, opened)
	d.refuses("maxIdle", 4, "there is no such setting")
	d.refuses("MaxIdleConns", 0, "DisableKeepAlives")
	d.refuses("MaxConnsPerHost", 1.5, "whole number")
	d.refuses("IdleConnTimeout", -1, "milliseconds")
	d.bye()
}

// The kit's files and those that a driver is built from are the same.
func TestGoDriversTakeTheWholeKit(t *testing.T) {
	for folder, list := range map[string][]string{"golang/kit": goSources(), "proxies": proxySources()} {
		files, err := filepath.Glob(folder + "/*.go")
		if err != nil || len(files) == 0 {
			t.Fatal(files, err)
		}
		sources := strings.Join(list, "\n")
		for _, f := range files {
			if !strings.HasSuffix(f, "_test.go") && !strings.Contains(sources, filepath.ToSlash(f)) {
				t.Errorf("the sources lack %s", f)
			}
		}
	}
}

// A proxy is driven through its faults: the words are those of its log.
func TestProxies(t *testing.T) {
	for _, p := range []struct {
		name                            string
		settings, times, idle, few      frame // that keep connections, with a time limit, with a short idle timeout, with a low cap
		cut, reset, body, slow, refused []string
		full                            string
	}{
		{
			name: "nginx", settings: frame{"keepalive": 8}, times: frame{"proxy_read_timeout": 200}, idle: frame{"keepalive": 8, "keepalive_timeout": 50},
			cut:     []string{"nginx [error]", "upstream prematurely closed connection while reading response header from upstream"},
			reset:   []string{"recv() failed (104: Connection reset by peer) while reading response header from upstream"},
			body:    []string{"upstream prematurely closed connection while reading upstream"},
			slow:    []string{"upstream timed out (110: Connection timed out) while reading response header from upstream"},
			refused: []string{"connect() failed (111: Connection refused) while connecting to upstream"},
			few:     frame{"max_conns": 1}, full: "no live upstreams while connecting to upstream",
		},
		{
			name: "haproxy", settings: frame{"retries": 0}, times: frame{"timeout server": 200}, idle: frame{"pool-max-conn": 0},
			cut: []string{"haproxy", "502 SH--"}, reset: []string{"502 SH--"}, body: []string{"200 SD--"}, slow: []string{"504 sH--"}, refused: []string{"503 SC--"},
			few: frame{"maxconn": 1, "timeout queue": 100}, full: "503 sQ--",
		},
		{
			name: "envoy", settings: nil, times: frame{"timeout": 200}, idle: frame{"idle_timeout": 50},
			cut:     []string{"503 UC upstream_reset_before_response_started{connection_termination}", "reset reason: connection termination"},
			reset:   []string{"503 UC upstream_reset_before_response_started{connection_termination"},
			body:    []string{"200 UPE upstream_reset_after_response_started{protocol_error}"},
			slow:    []string{"504 UT"},
			refused: []string{"503 UF"},
			few:     frame{"max_connections": 1, "max_pending_requests": 1}, full: "503 UO upstream_reset_before_response_started{overflow}",
		},
	} {
		t.Run(p.name, func(t *testing.T) {
			if p.name == "envoy" {
				needsDownloads(t)
			}
			d := native(t, p.name)
			url, opened := failing(t)
			d.fresh(url, p.settings)
			d.works(url, 4)
			if n := opened(); n != 1 {
				t.Errorf("%d connections for 4 requests", n)
			}
			nobody := refusing(t)
			for i, c := range []struct {
				url   string
				texts []string
			}{{url + "/cut", p.cut}, {url + "/reset", p.reset}, {url + "/body", p.body}, {nobody, p.refused}} {
				d.fresh(c.url, p.settings) // HAProxy logs no failure of a connection that was used before
				d.fails(11+i, "POST", c.url, c.texts...)
			}
			if p.name == "haproxy" { // it leaves the retry to its client
				d.fresh(url, p.settings)
				d.works(url, 1)
				d.fails(18, "GET", url+"/cut", "closed its client's connection without a response", "EOF")
			}
			d.fresh(url, p.times)
			d.fails(21, "POST", url+"/slow", p.slow...)
			d.expires(url, p.idle, opened)
			d.fresh(url, p.few)
			d.overflows(url+"/slow", p.full)
			d.fails(51, "GET", "http://a;b:1/", "takes no host")
			d.refuses("maxIdle", 4, "there is no such setting")
			d.bye()
		})
	}
}

// overflows sends three requests at once. At least one must fail with the text.
func (d *talk) overflows(url, text string) {
	d.t.Helper()
	for seq := range 3 {
		d.dispatch(41+seq, "POST", url, 0)
	}
	all := ""
	for range 3 {
		all += fmt.Sprintln(d.done()["error"])
	}
	if !strings.Contains(all, text) {
		d.t.Errorf("three at once: %s\nwanted %q", all, text)
	}
}

// A driver that is killed takes its proxy with it.
func TestProxiesEndWithTheirDriver(t *testing.T) {
	for _, name := range []string{"nginx", "haproxy"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("TMPDIR", t.TempDir()) // what it cannot remove
			d := native(t, name)
			d.fresh(refusing(t), nil)
			lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", d.cmd.Process.Pid))
			if err != nil || len(lists) == 0 {
				t.Skip("this kernel lists no children of processes")
			}
			var pids []string
			for _, list := range lists {
				text, _ := os.ReadFile(list)
				pids = append(pids, strings.Fields(string(text))...)
			}
			if len(pids) != 1 {
				t.Fatalf("the driver has the children %v, and not its proxy alone", pids)
			}
			d.cmd.Process.Kill()
			for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
				if text, err := os.ReadFile("/proc/" + pids[0] + "/cmdline"); err != nil || len(text) == 0 {
					return
				}
				if time.Now().After(end) {
					t.Fatalf("%s runs %v after its driver", name, patience)
				}
			}
		})
	}
}

// needsDownloads skips a test that would get large packages, unless it is wanted.
func needsDownloads(t *testing.T) {
	t.Helper()
	if os.Getenv("KABENCH_ALL_DRIVERS") == "" {
		t.Skip("KABENCH_ALL_DRIVERS is not set, and this test builds from packages that it downloads, for minutes")
	}
}

// A client in Rust is driven through its faults: the words are those of its error and of the
// errors beneath it.
func TestRust(t *testing.T) {
	for _, c := range []struct {
		name                            string
		settings, idle                  frame
		duration                        string
		cut, reset, body, slow, refused []string
	}{
		{
			name: "reqwest", settings: frame{"read_timeout": 300, "pool_max_idle_per_host": 8}, idle: frame{"pool_idle_timeout": 50}, duration: "pool_idle_timeout",
			cut:     []string{"reqwest::Error", "error sending request for url", "client error (SendRequest)", "hyper::Error", "connection closed before message completed"},
			reset:   []string{"connection error", "Connection reset by peer (os error 104)", "std::io::Error"},
			body:    []string{"error decoding response body", "end of file before message length reached"},
			slow:    []string{"operation timed out"},
			refused: []string{"client error (Connect)", "tcp connect error", "Connection refused (os error 111)"},
		},
		{
			name: "ureq", settings: frame{"timeout_recv_response": 300}, idle: frame{"max_idle_age": 50}, duration: "max_idle_age",
			cut:     []string{"ureq::Error::Io", "Peer disconnected"},
			reset:   []string{"Connection reset by peer (os error 104)"},
			body:    []string{"Peer disconnected"},
			slow:    []string{"ureq::Error::Timeout", "timeout"},
			refused: []string{"Connection refused (os error 111)"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			needsDownloads(t)
			d := native(t, c.name)
			url, opened := failing(t)
			d.fresh(url, c.settings)
			d.works(url, 3)
			if n := opened(); n != 1 {
				t.Errorf("%d connections for 3 requests", n)
			}
			d.fails(11, "POST", url+"/cut", c.cut...)
			d.fails(12, "POST", url+"/reset", c.reset...)
			d.fails(13, "POST", url+"/body", c.body...)
			d.fails(14, "POST", url+"/slow", c.slow...)
			d.fails(15, "POST", refusing(t), c.refused...)
			d.expires(url, c.idle, opened)
			d.refuses("maxIdle", 4, "there is no such setting")
			d.refuses(c.duration, -1, "milliseconds")
			d.bye()
		})
	}
}
