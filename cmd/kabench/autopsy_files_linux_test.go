package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
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

	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/internal/sandbox"
)

// A redacted real capture gives the same verdict, and none of the bytes that were sent: on
// cooked packets, cut packets, and over TLS.
func TestAutopsyRedactsRealCaptures(t *testing.T) {
	const timeout = 300 * time.Millisecond
	for name, c := range map[string]struct {
		arguments []string
		tls       bool
	}{"any": {[]string{"-i", "any"}, false}, "96 bytes": {[]string{"-i", "lo", "-s", "96"}, false}, "TLS": {[]string{"-i", "any"}, true}, "TLS, 96 bytes": {[]string{"-i", "lo", "-s", "96"}, true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/taken-topsecret" {
					panic(http.ErrAbortHandler)
				}
				w.Header().Set("X-Topsecret", "topsecret")
				io.WriteString(w, "topsecret")
			}))
			server.Config.IdleTimeout = timeout
			server.EnableHTTP2 = false
			port := server.Listener.Addr().(*net.TCPAddr).Port
			file, stop := tcpdump(t, append(c.arguments, "tcp", "port", fmt.Sprint(port))...)
			if c.tls {
				server.StartTLS()
			} else {
				server.Start()
			}
			defer server.Close()
			var open []net.Conn
			for n := range 20 {
				conn, err := net.Dial("tcp", server.Listener.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				if c.tls {
					conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true, ServerName: "topsecret.example"})
				}
				fmt.Fprint(conn, "GET /topsecret HTTP/1.1\r\nHost: topsecret\r\nCookie: topsecret\r\n\r\n")
				response, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil {
					t.Fatal(err)
				}
				io.Copy(io.Discard, response.Body)
				if n < 4 {
					fmt.Fprint(conn, "GET /taken-topsecret HTTP/1.1\r\nHost: topsecret\r\n\r\n")
				}
				open = append(open, conn)
			}
			for _, conn := range open {
				io.Copy(io.Discard, conn)
				conn.Close()
			}
			stop()

			out := filepath.Join(t.TempDir(), "out.pcapng")
			before, stderr := says(t, exit.Done, "autopsy", file, "--redact", out)
			if !strings.Contains(stderr, "gives the same verdict") || !strings.Contains(before, "4 of 24 requests") {
				t.Errorf("%s%s", before, stderr)
			}
			text, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(bytes.ToLower(text), []byte("topsecret")) || !bytes.Contains(text, []byte("Still in it:")) {
				t.Error("the redacted capture has a secret, or does not say what is in it")
			}
		})
	}
}

// The incident that is made of a capture fails again as the capture did, and its remedy
// clears it. The capture is kabench's own, of idle-race in a private network.
func TestIncidentOfACapture(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it runs an incident")
	}
	if err := sandbox.Available(); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	profile := filepath.Join(dir, "race.yaml")
	err := os.WriteFile(profile, []byte(`
name: race
question: Why do requests meet the close?
load:
  rate: 200/s
  arrivals: {process: burst, on: 150ms, off: 900ms, off_max: 1000ms, within: poisson}
  duration: 8s
  max_lag: 0s
pool: {lease_order: fifo, idle_timeout: 0s}
network:
  hosts: [{name: server}]
  links: [{between: [client, server], delay: 8ms}]
target:
  lab: {idle_timeout: 1s, delay: 20ms}
`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	results := filepath.Join(dir, "run")
	p := start(t, "run", profile, "--out", results, "--json")
	if code := p.exitCode(t); code != exit.Done {
		t.Fatalf("exit code %d\n%s", code, p.stderr.String())
	}
	incident, redacted := filepath.Join(dir, "mine.yaml"), filepath.Join(dir, "out.pcapng")
	before, stderr := says(t, exit.Done, "autopsy", filepath.Join(results, "packets.pcapng"), "--incident", incident, "--redact", redacted, "--out", filepath.Join(dir, "page"))
	if !strings.Contains(stderr, "written: "+incident) || !strings.Contains(stderr, "gives the same verdict") {
		t.Fatalf("%s%s", before, stderr)
	}
	page, err := os.ReadFile(filepath.Join(dir, "page", "report.html"))
	if err != nil || !bytes.Contains(page, []byte("How requests met the close")) {
		t.Errorf("the page is %d bytes long, %v", len(page), err)
	}
	for _, name := range []string{"autopsy.json", "server.yaml"} {
		if _, err := os.Stat(filepath.Join(dir, "page", name)); err != nil {
			t.Error(err)
		}
	}
	again := start(t, "reproduce", incident, "--out", "none")
	switch code := again.exitCode(t); code {
	case exit.Done:
	case exit.Invalid:
		t.Skip("this machine is too busy for an incident")
	default:
		t.Errorf("reproduce: exit code %d\n%s%s", code, again.stdout.String(), again.stderr.String())
	}
}

// A log gives the times of requests and a page. It cannot be redacted as packets.
func TestAutopsyFilesOfALog(t *testing.T) {
	const log = "../../internal/autopsy/testdata/both-reactor-netty.log"
	dir := t.TempDir()
	redacted, requests, page := filepath.Join(dir, "out.pcapng"), filepath.Join(dir, "req.csv"), filepath.Join(dir, "page")
	if _, stderr := says(t, exit.Input, "autopsy", log, "--redact", redacted); !strings.Contains(stderr, "only packets can be written again") {
		t.Error(stderr)
	}
	if left, _ := filepath.Glob(redacted + "*"); len(left) > 0 {
		t.Errorf("%v is left behind", left)
	}
	says(t, exit.Done, "autopsy", log, "--requests", requests, "--out", page)
	if text, err := os.ReadFile(requests); err != nil || strings.Count(string(text), "\n") != 9 || !strings.Contains(string(text), ",arrived\n") {
		t.Errorf("%v: %s", err, text)
	}
	if text, err := os.ReadFile(filepath.Join(page, "report.html")); err != nil || !bytes.Contains(text, []byte("lines of the log")) {
		t.Errorf("the page is %d bytes long, %v", len(text), err)
	}
}
