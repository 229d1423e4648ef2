package drivers

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kabench/kabench/dialers/pool"
)

// ofCI are the drivers that CI builds, one at least for each language.
var ofCI = []string{"reactor-netty", "okhttp", "node-agent", "undici", "requests", "net-http", "net-http-persistent", "go", "nginx"}

// each calls test for every driver that is built. Under CI those of ofCI must be, and
// others that the machine happens to have are left out.
func each(t *testing.T, test func(t *testing.T, d *talk, e Entry)) {
	eachOf(t, func(*testing.T) {}, test)
}

// eachAtOnce is each for tests that wait most of the time.
func eachAtOnce(t *testing.T, test func(t *testing.T, d *talk, e Entry)) {
	eachOf(t, (*testing.T).Parallel, test)
}

func eachOf(t *testing.T, begin func(*testing.T), test func(t *testing.T, d *talk, e Entry)) {
	ci := os.Getenv("CI") != ""
	for _, e := range All() {
		if ci && !slices.Contains(ofCI, e.Name) {
			continue
		}
		t.Run(e.Name, func(t *testing.T) {
			begin(t)
			c, built := e.Built()
			if !built && ci {
				t.Fatal((&NotBuiltError{e.Name}).Error() + ", and under CI nothing is skipped")
			} else if !built {
				t.Skip((&NotBuiltError{e.Name}).Error())
			}
			test(t, start(t, c), e)
		})
	}
}

// TestHello: the hello of a driver fits the catalogue and kabench's pool.
func TestHello(t *testing.T) {
	fields := map[string]bool{}
	for i, p := 0, reflect.TypeFor[pool.Policy](); i < p.NumField(); i++ {
		name, _, _ := strings.Cut(p.Field(i).Tag.Get("yaml"), ",")
		fields[name] = true
	}
	eachAtOnce(t, func(t *testing.T, d *talk, e Entry) {
		h := d.hello
		if number(h["protocol"]) != 1 || h["driver"] != e.Name || h["client"] != e.Client || h["runtime"] == "" {
			t.Errorf("%v, the catalogue has %s (%s)", h, e.Name, e.Client)
		}
		if e.Version != "" && h["version"] != e.Version || h["version"] == "" {
			t.Errorf("version %v, the catalogue has %s", h["version"], e.Version)
		}
		seen := map[any]bool{}
		settings, _ := h["settings"].([]any)
		for _, v := range settings {
			s := v.(map[string]any)
			name := s["name"]
			if seen[name] || name == "" {
				t.Errorf("setting %v twice, or without a name", name)
			}
			seen[name] = true
			if kind, _ := s["kind"].(string); !slices.Contains([]string{"duration", "count", "bool", "text"}, kind) {
				t.Errorf("setting %v is of kind %q", name, kind)
			}
			if field, mapped := s["pool"]; mapped && !fields[field.(string)] {
				t.Errorf("setting %v is mapped to pool.%v, which there is not", name, field)
			} else if mapped && seen["pool."+field.(string)] {
				t.Errorf("two settings are mapped to pool.%v", field)
			} else if mapped {
				seen["pool."+field.(string)] = true
			}
		}
		d.bye()
	})
}

// TestConfig: a driver refuses what its client has not, takes each of its settings at its
// default, and may be configured again.
func TestConfig(t *testing.T) {
	eachAtOnce(t, func(t *testing.T, d *talk, e Entry) {
		d.say(frame{"type": "config", "settings": frame{"no_such_setting": 1}, "timeout": 1000})
		if r := d.next("refused"); r["setting"] != "no_such_setting" || r["text"] == "" {
			t.Errorf("refused %v", r)
		}
		defaults := frame{}
		settings, _ := d.hello["settings"].([]any)
		for _, v := range settings {
			s := v.(map[string]any)
			name := s["name"].(string)
			if s["default"] != nil {
				defaults[name] = s["default"]
			}
			wrong := any("nonsense")
			if s["kind"] == "text" {
				if _, listed := s["values"]; !listed {
					continue
				}
			}
			d.say(frame{"type": "config", "settings": frame{name: wrong}, "timeout": 1000})
			if r := d.next("refused"); r["setting"] != name || r["text"] == "" {
				t.Errorf("%s: %q: refused %v", name, wrong, r)
			}
		}
		d.configure(defaults, time.Second, 0)
		d.configure(defaults, time.Second, 0)
		d.say(frame{"type": "clock"})
		first := number(d.next("clock")["now"])
		d.say(frame{"type": "clock"})
		if second := number(d.next("clock")["now"]); second <= first {
			t.Errorf("the clock went from %d to %d", first, second)
		}
		d.bye()
	})
}

// TestRequests: requests arrive as they were sent, once each, and each has the
// status that the client gave to its caller.
func TestRequests(t *testing.T) {
	var mu sync.Mutex
	arrived := map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		arrived[fmt.Sprintf("%s %s %s %q", r.Method, r.URL, r.Header.Get("X-Request-Id"), body)]++
		mu.Unlock()
		if r.URL.Path == "/moved" {
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
			return
		}
		fmt.Fprint(w, "hello, world")
	}))
	defer server.Close()
	each(t, func(t *testing.T, d *talk, _ Entry) {
		clear(arrived)
		d.configure(nil, 20*time.Second, 0)
		want := map[string]int{}
		for seq, r := range []struct {
			method, path string
			body         int
		}{{"GET", "/a?b=c", 0}, {"GET", "/a?b=c", 0}, {"POST", "/p", 10}, {"PUT", "/q", 3}, {"GET", "/moved", 0}, {"DELETE", "/r", 0}} {
			d.dispatch(seq, r.method, server.URL+r.path, r.body)
			end := d.done()
			status := 200
			if r.path == "/moved" {
				status = 302
			}
			if end["error"] != nil || int(number(end["status"])) != status || int(number(end["seq"])) != seq || status == 200 && number(end["bytes"]) != 12 {
				t.Errorf("%s %s: %v", r.method, r.path, end)
			}
			want[fmt.Sprintf("%s %s %020d %q", r.method, r.path, seq, strings.Repeat("x", r.body))] = 1
		}
		mu.Lock()
		defer mu.Unlock()
		if !reflect.DeepEqual(arrived, want) {
			t.Errorf("arrived: %v\nsent: %v", arrived, want)
		}
		d.bye()
	})
}

// TestOpenLoop: requests at the same time are each answered once, and the client is called
// with them while none has a response, however many its own caps let onto the wire.
func TestOpenLoop(t *testing.T) {
	eachAtOnce(t, func(t *testing.T, d *talk, e Entry) {
		hold := make(chan struct{})
		let := sync.OnceFunc(func() { close(hold) })
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			<-hold
			fmt.Fprint(w, "hello")
		}))
		defer server.Close()
		defer let()
		d.configure(nil, 20*time.Second, 10)
		const n = 40 // fewer than a client of one of them lets wait or be on the wire
		for seq := range n {
			d.dispatch(seq, "GET", server.URL, 0)
		}
		d.say(frame{"type": "clock"})
		d.next("clock")         // it has read all of them
		time.Sleep(time.Second) // for threads that have to start
		d.say(frame{"type": "clock"})
		released := number(d.next("clock")["now"])
		let()
		answered := map[int64]bool{}
		late := 0
		for range n {
			end := d.done()
			if end["error"] != nil || answered[number(end["seq"])] {
				t.Errorf("%v", end)
			}
			answered[number(end["seq"])] = true
			if number(end["called"]) > released {
				late++
			}
		}
		if late > n/2 { // on a busy machine some are
			t.Errorf("%d of %d were called only when others had their response", late, n)
		}
		if gauges, _ := d.hello["gauges"].([]any); len(gauges) > 0 {
			got := d.next("gauges")
			for _, name := range gauges {
				if _, has := got["values"].(map[string]any)[name.(string)]; !has || number(got["at"]) == 0 {
					t.Errorf("gauges %v, without %v", got, name)
				}
			}
		}
		d.bye()
	})
}

// TestFailures: a server that is not there, one that closes, one that resets and one that
// never answers: every request gets its end.
func TestFailures(t *testing.T) {
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go fail(ln)
	eachAtOnce(t, func(t *testing.T, d *talk, e Entry) {
		d.configure(nil, time.Second, 0)
		for seq, url := range []string{gone.Addr().String() + "/", ln.Addr().String() + "/close", ln.Addr().String() + "/reset", ln.Addr().String() + "/cut", ln.Addr().String() + "/never"} {
			d.dispatch(seq, "POST", "http://"+url, 5)
			end := d.done()
			failure, _ := end["error"].(map[string]any)
			if e.Language == Ruby && strings.HasSuffix(url, "/cut") && failure == nil && number(end["bytes"]) == 5 {
				continue // Net::HTTP takes a body that was cut for whole
			}
			if failure["class"] == "" || failure["class"] == nil || int(number(end["seq"])) != seq {
				t.Errorf("%s: %v", url, end)
			}
			if _, list := failure["causes"].([]any); !list {
				t.Errorf("%s: no list of causes: %v", url, failure)
			}
			if took := time.Duration(number(end["finished"]) - number(end["called"])); strings.HasSuffix(url, "/never") && took < time.Second/2 {
				t.Errorf("given up after %v", took)
			}
		}
		d.bye()
	})
}

// fail serves connections whose requests are never answered well.
func fail(ln net.Listener) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			head := make([]byte, 4096)
			n := 0
			for !strings.HasSuffix(string(head[:n]), "\r\n\r\nxxxxx") {
				more, err := conn.Read(head[n:])
				if n += more; err != nil {
					return
				}
			}
			switch line, _, _ := strings.Cut(string(head[:n]), "\r\n"); {
			case strings.Contains(line, "/reset"):
				conn.(*net.TCPConn).SetLinger(0)
			case strings.Contains(line, "/cut"):
				fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")
			case strings.Contains(line, "/never"):
				io.Copy(io.Discard, conn) // until the client closes
			}
		}()
	}
}

// TestEndOfInput: a driver whose kabench is gone ends.
func TestEndOfInput(t *testing.T) {
	eachAtOnce(t, func(t *testing.T, d *talk, _ Entry) {
		d.configure(nil, time.Second, 0)
		d.in.Close()
		ended := make(chan error, 1)
		go func() { ended <- d.cmd.Wait() }()
		select {
		case <-ended:
		case <-time.After(patience):
			t.Errorf("it goes on\n%s", d.log)
		}
	})
}
