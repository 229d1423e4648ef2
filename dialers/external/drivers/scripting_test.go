package drivers

import (
	"bufio"
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var allScripts = flag.Bool("all-scripts", false, "build every driver in a scripting language, and test it")

// scripts calls test for drivers in scripting languages, each a subtest: those that need no
// packages, those that are built, and with -all-scripts the rest.
func scripts(t *testing.T, test func(t *testing.T, d *talk, e Entry)) {
	for _, e := range slices.Concat(nodeDrivers, pythonDrivers, rubyDrivers) {
		bare := !e.has("requirements.txt") && !e.has("package-lock.json")
		if os.Getenv("CI") != "" && !bare && !*allScripts && !slices.Contains(ofCI, e.Name) {
			continue // as in eachOf
		}
		t.Run(e.Name, func(t *testing.T) {
			if missing := e.Missing(nil); len(missing) > 0 && !*allScripts {
				needed(t, bare, (&MissingError{e.Name, missing}).Error())
			}
			if _, built := e.Built(); !built && bare {
				t.Setenv("KABENCH_DRIVERS", t.TempDir())
			} else if !built && !*allScripts {
				needed(t, slices.Contains(ofCI, e.Name), (&NotBuiltError{e.Name}).Error())
			}
			c, err := e.Build(context.Background(), io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			test(t, start(t, c), e)
		})
	}
}

// needed ends a test that cannot run: under CI it fails if what lacks must be there.
func needed(t *testing.T, must bool, why string) {
	t.Helper()
	if must && os.Getenv("CI") != "" {
		t.Fatal(why + "; under CI nothing is skipped")
	}
	t.Skip(why)
}

// words are what a client says about a failure: the class and a part of the text, as "class: text";
// or a status, for clients that do not notice. The client's own re-sends arrive as well.
type words struct {
	closed, reset, cut string
	get, post          int // arrivals of a GET and of a POST that is closed, on a connection that was used before; 0: 1
}

// wordsOf are the words of each client, read when it was run. If they change, the client has
// changed, and package wording needs its new texts.
var wordsOf = map[string]words{
	"node-agent":       {"Error: socket hang up", "Error: read ECONNRESET", "Error: aborted", 0, 0},
	"node-globalagent": {"Error: socket hang up", "Error: read ECONNRESET", "Error: aborted", 0, 0},
	"agentkeepalive":   {"Error: socket hang up", "Error: read ECONNRESET", "Error: aborted", 0, 0},
	"undici":           {"SocketError: other side closed", "Error: read ECONNRESET", "SocketError: other side closed", 0, 0},
	"fetch":            {"TypeError: fetch failed", "TypeError: fetch failed", "TypeError: terminated", 0, 0},
	"axios":            {"AxiosError: socket hang up", "AxiosError: read ECONNRESET", "AxiosError: stream has been aborted", 0, 0},
	"got":              {"RequestError: socket hang up", "RequestError: read ECONNRESET", "ReadError: The server aborted pending request", 3, 0},
	"requests": {"requests.exceptions.ConnectionError: ('Connection aborted.', RemoteDisconnected('Remote end closed connection without response'))",
		"requests.exceptions.ConnectionError: ('Connection aborted.', ConnectionResetError(104, 'Connection reset by peer'))",
		"requests.exceptions.ChunkedEncodingError: ('Connection broken: IncompleteRead(5 bytes read, 95 more expected)'", 0, 0},
	"urllib3": {"urllib3.exceptions.ProtocolError: ('Connection aborted.', RemoteDisconnected('Remote end closed connection without response'))",
		"urllib3.exceptions.ProtocolError: ('Connection aborted.', ConnectionResetError(104, 'Connection reset by peer'))",
		"urllib3.exceptions.ProtocolError: ('Connection broken: IncompleteRead(5 bytes read, 95 more expected)'", 4, 0},
	"niquests": {"niquests.exceptions.ConnectionError: Remote end closed connection without response",
		"niquests.exceptions.ConnectionError: Remote end closed connection without response",
		"niquests.exceptions.ChunkedEncodingError: IncompleteRead(5 bytes read, 95 more expected)", 0, 0},
	"httpx": {"httpx.RemoteProtocolError: Server disconnected without sending a response.", "httpx.ReadError: ",
		"httpx.RemoteProtocolError: peer closed connection without sending complete message body (received 5 bytes, expected 100)", 0, 0},
	"aiohttp": {"aiohttp.client_exceptions.ServerDisconnectedError: Server disconnected",
		"aiohttp.client_exceptions.ClientOSError: [Errno 104] Connection reset by peer",
		"aiohttp.client_exceptions.ClientPayloadError: Response payload is not completed", 2, 0},
	"pycurl":   {"pycurl.error: (52, 'Empty reply from server')", "pycurl.error: (56, 'Recv failure: Connection reset by peer')", "pycurl.error: (18, 'end of response with 95 bytes missing')", 2, 2},
	"net-http": {"EOFError: end of file reached", "Errno::ECONNRESET: Connection reset by peer", "status 200", 2, 0},
	// of 3.1; 4.0 has those of net-http
	"net-http-persistent": {"Net::HTTP::Persistent::Error: too many connection resets (due to end of file reached - EOFError)",
		"Net::HTTP::Persistent::Error: too many connection resets (due to Connection reset by peer - Errno::ECONNRESET)", "status 200", 2, 0},
}

// TestWords: an error has the class and the text that the client gives to its caller, and the
// client's own re-sends are not hindered.
func TestWords(t *testing.T) {
	s := newPathServer(t)
	scripts(t, func(t *testing.T, d *talk, e Entry) {
		want := wordsOf[e.Name]
		if e.Name == "net-http-persistent" && !strings.HasPrefix(fmt.Sprint(d.hello["version"]), "3.") {
			want = wordsOf["net-http"]
		}
		d.configure(nil, 20*time.Second, 0)
		seq := 0
		ask := func(method, path string, body int) string {
			seq++
			s.arrived.Store(0)
			d.dispatch(seq, method, "http://"+s.addr+path, body)
			end := d.done()
			if failure, failed := end["error"].(map[string]any); failed {
				return fmt.Sprintf("%v: %v", failure["class"], failure["text"])
			}
			return fmt.Sprintf("status %v", end["status"])
		}
		for _, c := range []struct {
			method, path string
			body         int
			want         string
			arrivals     int
		}{
			{"GET", "/", 0, "status 200", 1},
			{"POST", "/", 1000, "status 200", 1},
			{"POST", "/close", 3, want.closed, cmp.Or(want.post, 1)},
			{"POST", "/reset", 3, want.reset, 1},
			{"POST", "/cut", 3, want.cut, 1},
			{"POST", "/500", 3, "status 500", 1},
			{"GET", "/close", 0, "", cmp.Or(want.get, 1)},
		} {
			got := ask(c.method, c.path, c.body)
			if !strings.HasPrefix(got, c.want) || int(s.arrived.Load()) != c.arrivals {
				t.Errorf("%s %s: %s, %d arrivals; want %s, %d", c.method, c.path, got, s.arrived.Load(), c.want, c.arrivals)
			}
		}
		d.bye()
	})
}

// TestSettingsReachTheClient: the settings that stand for pool.idle_timeout and pool.max_conns
// do what these do.
func TestSettingsReachTheClient(t *testing.T) {
	s := newPathServer(t)
	scripts(t, func(t *testing.T, d *talk, e Entry) {
		names := map[string]string{}
		for _, v := range d.hello["settings"].([]any) {
			setting := v.(map[string]any)
			if field, mapped := setting["pool"].(string); mapped {
				names[field] = setting["name"].(string)
			}
		}
		if name := names["idle_timeout"]; name != "" {
			idle := 250 * time.Millisecond
			if slices.Contains([]string{"pycurl", "undici", "fetch", "niquests"}, e.Name) {
				idle = time.Second // libcurl counts whole seconds, undici's timers are coarse
			}
			d.configure(frame{name: idle.Milliseconds()}, 20*time.Second, 0)
			before := s.opened.Load()
			d.dispatch(1, "GET", "http://"+s.addr+"/", 0)
			d.done()
			time.Sleep(2*idle + 200*time.Millisecond)
			d.dispatch(2, "GET", "http://"+s.addr+"/", 0)
			d.done()
			if n := s.opened.Load() - before; n != 2 {
				t.Errorf("%s=%v: %d connections for two requests %v apart", name, idle, n, 2*idle)
			}
		}
		if name := cmp.Or(names["max_conns"], names["max_conns_all"]); name != "" {
			const most, n = 2, 8
			d.configure(frame{name: most}, 20*time.Second, 0)
			s.peak.Store(0)
			for seq := range n {
				d.dispatch(seq, "GET", "http://"+s.addr+"/slow", 0)
			}
			for range n {
				if end := d.done(); end["error"] != nil && !tooLong.MatchString(fmt.Sprint(end["error"])) {
					t.Errorf("%s=%d: %v", name, most, end)
				}
			}
			if peak := s.peak.Load(); peak != most {
				t.Errorf("%s=%d: %d requests at a time", name, most, peak)
			}
		}
		d.bye()
	})
}

// tooLong is what net-http-persistent says when it has waited for a connection for 0.5 s.
var tooLong = regexp.MustCompile(`(?i)waited|timeout`)

// pathServer is a server that fails as its path says. It counts the requests that arrive.
type pathServer struct {
	addr                  string
	arrived, opened, peak atomic.Int64
	mu                    sync.Mutex
	now                   int64 // guarded by mu: requests that are being answered
}

func newPathServer(t *testing.T) *pathServer {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	s := &pathServer{addr: ln.Addr().String()}
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			s.opened.Add(1)
			go s.serve(conn.(*net.TCPConn))
		}
	}()
	return s
}

func (s *pathServer) serve(conn *net.TCPConn) {
	defer conn.Close()
	for in := bufio.NewReader(conn); ; {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		io.Copy(io.Discard, r.Body)
		s.arrived.Add(1)
		s.count(1)
		switch r.URL.Path {
		case "/close":
			s.count(-1)
			return
		case "/reset":
			s.count(-1)
			conn.SetLinger(0)
			return
		case "/cut":
			s.count(-1)
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")
			return
		case "/slow":
			time.Sleep(100 * time.Millisecond)
		}
		s.count(-1)
		status := "200 OK"
		if r.URL.Path == "/500" {
			status = "500 Internal Server Error"
		}
		if _, err := io.WriteString(conn, "HTTP/1.1 "+status+"\r\nContent-Length: 5\r\n\r\nhello"); err != nil {
			return
		}
	}
}

// count counts a request that begins or ends.
func (s *pathServer) count(by int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now += by
	s.peak.Store(max(s.peak.Load(), s.now))
}
