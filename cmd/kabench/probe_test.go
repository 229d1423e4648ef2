//go:build unix

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/internal/lab"
	"github.com/kabench/kabench/profiles/script"
)

// labServer starts a server of the lab for a test.
func labServer(t *testing.T, cfg script.Server) *lab.Server {
	t.Helper()
	s, err := lab.Start(cfg, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// command runs a command to its end.
func command(args ...string) (code exit.Code, stdout, stderr string) {
	var out, errs strings.Builder
	code = run(args, &out, &errs)
	return code, out.String(), errs.String()
}

// probeJSON is what the tests read of 'kabench probe --json'.
type probeJSON struct {
	Schema      string
	Requests    int
	Interrupted bool
	Stopped     string
	Servers     []struct {
		Says   string
		Notes  []string
		Server struct {
			Keeping string
			Close   string
			Idle    struct {
				Closes            int
				Low, Median, High float64
			}
		}
	}
	Lint *struct{ Findings []struct{ Rule string } }
}

// What a probe has measured is taken by lint, the lab, a profile and a second probe.
func TestProbeFileIsTaken(t *testing.T) {
	t.Parallel()
	server := labServer(t, script.Server{IdleTimeout: 900 * time.Millisecond, Hint: "timeout=15"})
	dir := filepath.Join(t.TempDir(), "probe")
	facts := filepath.Join(t.TempDir(), "facts.yaml")
	code, stdout, stderr := command("probe", server.URL(), "--out", dir, "-o", facts, "-o", filepath.Join(t.TempDir(), "page.html"))
	if code != exit.Done {
		t.Fatalf("exit code %d: %s%s", code, stdout, stderr)
	}
	for _, want := range []string{"closes idle connections after", "by FIN, without saying so; its hint of 15 s is wrong", "requests on 40 connections"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("the output lacks %q:\n%s", want, stdout)
		}
	}
	if !strings.Contains(stderr, "up to 60 requests on up to 40 connections") {
		t.Errorf("it did not say what it would send: %s", stderr)
	}
	for _, name := range []string{"report.html", "probe.json", "server.yaml"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, args := range [][]string{
		{"lint", "--pool", "go-default-transport", "--server", facts},
		{"lint", "--pool", "go-default-transport", "--set", "server=" + facts},
	} {
		if code, stdout, stderr := command(args...); code != exit.Unmet || !strings.Contains(stdout, "server.idle_timeout 9") && !strings.Contains(stdout, "server.idle_timeout 8") {
			t.Errorf("%q: exit code %d: %s%s", args, code, stdout, stderr)
		}
	}
	for _, args := range [][]string{{"report", dir}, {"report", dir, "-o", filepath.Join(t.TempDir(), "again.html")}, {"report", dir, "--json"}} {
		if code, again, stderr := command(args...); code != exit.Done || len(args) == 2 && again != stdout {
			t.Errorf("%q: exit code %d: %s%s, want %s", args, code, again, stderr, stdout)
		}
	}
	code, stdout, stderr = command("run", "--rate", "20/s", "--duration", "500ms", "--set", "target.lab="+facts, "--set", "load.max_lag=0", "--out", "none", "--json")
	if code != exit.Done {
		t.Errorf("run: exit code %d: %s%s", code, stdout, stderr)
	}
	imitation := start(t, "lab", "--as", facts, "--json")
	var serving struct{ URL string }
	waitFor(t, "the lab's address", func() bool {
		line, _, whole := strings.Cut(imitation.stdout.String(), "\n")
		return whole && json.Unmarshal([]byte(line), &serving) == nil
	})
	again := probeOf(t, exit.Done, serving.URL)
	first := labelled(t, filepath.Join(dir, "probe.json"))
	if a, b := first.Servers[0].Server.Idle, again.Servers[0].Server.Idle; b.Closes < 20 || b.Median < a.Median-0.2 || b.Median > a.Median+0.2 {
		t.Errorf("the server closes after %+v, and its imitation after %+v", a, b)
	}
}

// probeOf probes url and returns the JSON.
func probeOf(t *testing.T, want exit.Code, url string, more ...string) probeJSON {
	t.Helper()
	code, stdout, stderr := command(append([]string{"probe", url, "--json", "--out", "none"}, more...)...)
	if code != want {
		t.Fatalf("exit code %d, want %d: %s%s", code, want, stdout, stderr)
	}
	var found probeJSON
	if err := json.Unmarshal([]byte(stdout), &found); err != nil || found.Schema != "kabench.probe/v1" {
		t.Fatalf("%v: %s", err, stdout)
	}
	return found
}

func labelled(t *testing.T, file string) (found probeJSON) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &found); err != nil {
		t.Fatal(err)
	}
	return found
}

func TestProbeWithPool(t *testing.T) {
	t.Parallel()
	server := labServer(t, script.Server{IdleTimeout: 400 * time.Millisecond, TLS: true})
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, server.CertPEM(), 0o644); err != nil {
		t.Fatal(err)
	}
	found := probeOf(t, exit.Unmet, server.URL(), "--pool", "reactor-netty", "--set", "target.tls.ca_file="+ca, "--method", "HEAD", "--header", "X-Api: 1")
	if found.Servers[0].Server.Close != "close_notify" || found.Lint == nil || len(found.Lint.Findings) == 0 || found.Lint.Findings[0].Rule != "idle-order" {
		t.Errorf("%+v", found)
	}
}

func TestProbeOfABusyServer(t *testing.T) {
	t.Parallel()
	server := labServer(t, script.Server{IdleTimeout: 400 * time.Millisecond, Status: 503})
	if found := probeOf(t, exit.Invalid, server.URL()); found.Requests != 1 || !strings.Contains(found.Stopped, "503") {
		t.Errorf("%+v", found)
	}
}

// Ctrl-C ends a probe, which prints and keeps what it has found.
func TestProbeInterrupted(t *testing.T) {
	t.Parallel()
	server := labServer(t, script.Server{IdleTimeout: time.Hour})
	dir := t.TempDir()
	p := start(t, "probe", server.URL(), "--out", dir)
	waitFor(t, "connections", func() bool { return server.Seen().Connections > 10 })
	if err := p.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code := p.exitCode(t); code != exit.Interrupted {
		t.Errorf("exit code %d: %s%s", code, &p.stdout, &p.stderr)
	}
	if out := p.stdout.String(); !strings.Contains(out, "keeps idle connections longer than") || !strings.Contains(out, "until it was interrupted") {
		t.Errorf("it printed %s", out)
	}
	if found := labelled(t, filepath.Join(dir, "probe.json")); !found.Interrupted || found.Requests == 0 {
		t.Errorf("it kept %+v", found)
	}
}

func TestProbeBadInput(t *testing.T) {
	t.Parallel()
	plain := labServer(t, script.Server{})
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"http://192.0.2.1/"}, "kabench would send up to 60 requests on up to 40 connections. Add --i-may"},
		{[]string{"http://[2001:db8::1]:8080/"}, "--i-may"},
		{[]string{"https://" + plain.Addr() + "/"}, "write http://"},
		{[]string{"http://127.0.0.1:1/"}, "127.0.0.1:1: nothing listens there"},
		{[]string{}, "name the URL of a server"},
		{[]string{"ftp://127.0.0.1/"}, "ftp"},
		{[]string{plain.URL(), "--max-requests", "0"}, "--max-requests 0"},
		{[]string{plain.URL(), "-o", "server.txt"}, "want a name that ends in .html, .yaml or .json"},
		{[]string{plain.URL(), "--limit", "-1s"}, "--limit -1s"},
		{[]string{plain.URL(), "--set", "load.rate=1/s"}, "only the fields of target"},
		{[]string{plain.URL(), "--header", "nocolon"}, `--header "nocolon"`},
		{[]string{plain.URL(), "--header", "Connection: close"}, "ends each connection"},
		{[]string{plain.URL(), "--pool", "nosuchpool"}, "nosuchpool"},
		{[]string{"http://user:hidden@127.0.0.1:1/?token=hidden"}, "127.0.0.1:1: nothing listens there"},
	} {
		code, stdout, stderr := command(append([]string{"probe"}, append(test.args, "--out", "none")...)...)
		if code != exit.Input || !strings.Contains(stderr, test.want) || stdout != "" || strings.Contains(stderr, "hidden") {
			t.Errorf("%q: exit code %d, %s%s, want %q", test.args, code, stdout, stderr, test.want)
		}
	}
	if n := plain.Seen().Requests; n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}
