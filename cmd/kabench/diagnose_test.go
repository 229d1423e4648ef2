//go:build unix

package main

import (
	"encoding/json"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/cli/own"
	"github.com/kabench/kabench/internal/diagnose"
	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/internal/lab"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/profiles/script"
	"github.com/kabench/kabench/results"
)

const premature = "reactor.netty.http.client.PrematureCloseException: Connection prematurely closed BEFORE response"

// diagnosis is what these tests read of the document.
type diagnosis struct {
	Steps   []own.DiagnosisStep
	Servers []struct {
		Notes  []string
		Server struct {
			Idle struct{ Low, High float64 } // seconds
		}
	}
	Findings []struct{ Rule string }
	Would    []diagnose.Sends `json:"would_send"`
	Tried    []struct {
		Incident     string
		Forecast     results.Forecast
		Reproduction *results.Reproduction
	}
	Choice                  diagnose.Choice
	Reproduced, Interrupted bool
	Verdict                 string
	Settings                []results.ClientSetting
}

// diagnosed runs 'kabench diagnose' with --json and returns the document.
func diagnosed(t *testing.T, code exit.Code, args ...string) (d diagnosis, stderr string) {
	t.Helper()
	stdout, stderr := says(t, code, append([]string{"diagnose", "--json"}, args...)...)
	if err := json.Unmarshal([]byte(stdout), &d); err != nil {
		t.Fatalf("%v in %s\n%s", err, stdout, stderr)
	}
	return d, stderr
}

func steps(d diagnosis) string {
	var names []string
	for _, s := range d.Steps {
		names = append(names, s.Step)
	}
	return strings.Join(names, " ")
}

// A server whose timer nobody has told kabench: it is measured, the failure comes, and the
// setting in the client's words ends it.
func TestDiagnose(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("-short makes no incident")
	}
	timer := time.Second + time.Duration(rand.IntN(1000))*time.Millisecond
	server, err := lab.Start(script.Server{IdleTimeout: timer, Delay: script.Delay{A: 5 * time.Millisecond}}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	out := filepath.Join(t.TempDir(), "results")
	d, stderr := diagnosed(t, exit.Done, premature, "--target", server.URL(), "--pool", "reactor-netty", "--out", out, "--set", "load.max_lag=0")
	if got := steps(d); got != "explain probe lint reproduce" {
		t.Errorf("the steps are %s", got)
	}
	for _, s := range d.Steps {
		if s.Found == "" || s.For == "" || s.Next == "" && s.Step != "reproduce" {
			t.Errorf("%+v", s)
		}
	}
	idle := d.Servers[0].Server.Idle
	const slack = 0.02 // the server's own timer is late by some milliseconds
	if idle.Low > timer.Seconds()+slack || idle.High < timer.Seconds() {
		t.Errorf("the timer is %v, and %v s to %v s was measured", timer, idle.Low, idle.High)
	}
	if len(d.Findings) == 0 || d.Findings[0].Rule != "idle-order" {
		t.Errorf("lint found %+v", d.Findings)
	}
	if !d.Reproduced || len(d.Tried) != 1 || d.Tried[0].Incident != "idle-race" {
		t.Fatalf("reproduced %v, tried %+v\n%s\n%s", d.Reproduced, d.Tried, d.Verdict, stderr)
	}
	rep, forecast := d.Tried[0].Reproduction, d.Tried[0].Forecast
	if rep.IncidentRun.Counts.Failed == 0 || rep.RemedyRuns[0].Counts.Failed != 0 || forecast.Low == 0 {
		t.Errorf("%d failed, %d with the remedy, at least %d expected", rep.IncidentRun.Counts.Failed, rep.RemedyRuns[0].Counts.Failed, forecast.Low)
	}
	if len(d.Settings) == 0 || !strings.Contains(d.Settings[0].Text, "maxIdleTime(Duration.of") {
		t.Errorf("settings %+v", d.Settings)
	}
	if !strings.Contains(d.Verdict, "closes idle connections after") || !strings.Contains(d.Verdict, "Expected beforehand") {
		t.Errorf("the verdict lacks numbers: %s", d.Verdict)
	}
	// What is kept can be used again.
	for _, name := range []string{"diagnosis.json", "diagnosis.txt", "probe.json", "report.html"} {
		if _, err := os.Stat(filepath.Join(out, name)); err != nil {
			t.Error(err)
		}
	}
	says(t, exit.Unmet, "lint", "--pool", "reactor-netty", "--server", filepath.Join(out, "server.yaml"))
	if p, err := profiles.LoadFile(filepath.Join(out, "idle-race", "incident.yaml"), nil); err != nil || p.Forecast == nil {
		t.Errorf("incident.yaml: %v", err)
	}
	says(t, exit.Done, "report", filepath.Join(out, "idle-race"))
	if text, _ := says(t, exit.Done, "report", out); !strings.Contains(text, "Setting: ") || !strings.Contains(text, "REPRODUCED") {
		t.Errorf("the report of the diagnosis:\n%s", text)
	}
	site := filepath.Join(t.TempDir(), "site")
	if text, _ := says(t, exit.Done, "publish", out, "--site", site); !strings.Contains(text, "idle-race") {
		t.Errorf("the diagnosis was published as %s", text)
	}
	again, _ := diagnosed(t, exit.Done, premature, "--target", server.URL(), "--server", filepath.Join(out, "server.yaml"), "--dry-run")
	if len(again.Would) != 1 || again.Would[0].Requests == 0 || steps(again) != "explain lint reproduce" {
		t.Errorf("with the measured server: %s, %+v", steps(again), again.Would)
	}
}

// Servers that cannot be diagnosed to the end. Each way ends with a sentence, and in time.
func TestDiagnoseBadServers(t *testing.T) {
	t.Parallel()
	garbage := raw(t, func(c net.Conn) { io.WriteString(c, "SSH-2.0-OpenSSH_9.9\r\n"); io.Copy(io.Discard, c) })
	atOnce := raw(t, func(net.Conn) {})
	for name, c := range map[string]struct {
		url, more string
		code      exit.Code
		want      string // in the verdict
	}{
		"no HTTP":                   {garbage, "", exit.Input, "SSH-2.0-OpenSSH"},
		"TLS on a plain port":       {strings.Replace(status(t, 200), "http:", "https:", 1), "", exit.Input, "does not speak TLS"},
		"closes at once":            {atOnce, "", exit.Unmet, "closes connections without a response"},
		"status 401":                {status(t, 401), "--set pool.idle_timeout=50ms", exit.Unmet, "the pool's own timer is shorter"},
		"status 404":                {status(t, 404), "--set pool.idle_timeout=50ms", exit.Unmet, "the pool's own timer is shorter"},
		"status 500":                {status(t, 500), "--set pool.idle_timeout=50ms", exit.Unmet, "the pool's own timer is shorter"},
		"a redirect":                {status(t, 302), "--set pool.idle_timeout=50ms", exit.Unmet, "the pool's own timer is shorter"},
		"status 503":                {status(t, 503), "", exit.Invalid, "503"},
		"never closes":              {serve(t, script.Server{}), "--limit 1s", exit.Unmet, "keeps idle connections longer than"},
		"closes after each":         {serve(t, script.Server{MaxRequests: 1}), "--limit 1s", exit.Unmet, "closes the connection after each response"},
		"a pool that keeps nothing": {status(t, 200), "--set pool.max_idle=0", exit.Unmet, "the pool keeps no connection"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begun := time.Now()
			d, stderr := diagnosed(t, c.code, append([]string{premature, "--target", c.url, "--out", "none"}, strings.Fields(c.more)...)...)
			if !strings.Contains(d.Verdict, c.want) || d.Reproduced {
				t.Errorf("reproduced %v, verdict %q lacks %q\n%s", d.Reproduced, d.Verdict, c.want, stderr)
			}
			if took := time.Since(begun); took > time.Minute {
				t.Errorf("it took %v", took)
			}
			if noted := strings.HasPrefix(name, "status 4") || name == "status 500" || name == "a redirect"; noted && len(d.Servers[0].Notes) == 0 {
				t.Errorf("the response's status is not mentioned: %+v", d.Servers)
			}
		})
	}
}

// raw serves each connection with f, and then closes it.
func raw(t *testing.T, f func(net.Conn)) (url string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); f(c) }()
		}
	}()
	return "http://" + ln.Addr().String() + "/"
}

// status serves responses with a status, and closes connections that are idle for a second.
func status(t *testing.T, code int) (url string) {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "http://192.0.2.1/elsewhere")
		w.WriteHeader(code)
	}))
	s.Config.IdleTimeout = time.Second
	s.Start()
	t.Cleanup(s.Close)
	return s.URL
}

func serve(t *testing.T, cfg script.Server) (url string) {
	t.Helper()
	s, err := lab.Start(cfg, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s.URL()
}

// Ctrl-C ends the step that goes on, and what was found before it is kept.
func TestDiagnoseInterrupted(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("-short makes no incident")
	}
	server, err := lab.Start(script.Server{IdleTimeout: time.Second}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	for step, seen := range map[string]string{"probe": "probing 127.0.0.1", "reproduce": "idle-race, run 1 of 2"} {
		t.Run(step, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "results")
			p := start(t, "diagnose", premature, "--target", server.URL(), "--out", out)
			waitFor(t, seen, func() bool { return strings.Contains(p.stderr.String(), seen) })
			if step == "reproduce" {
				recorded(t, filepath.Join(out, "idle-race", "incident"))
			}
			p.Process.Signal(os.Interrupt)
			if code := p.exitCode(t); code != exit.Interrupted {
				t.Errorf("exit code %d\n%s%s", code, p.stdout.String(), p.stderr.String())
			}
			text, err := os.ReadFile(filepath.Join(out, "diagnosis.json"))
			if err != nil {
				t.Fatal(err)
			}
			var d diagnosis
			if err := json.Unmarshal(text, &d); err != nil {
				t.Fatal(err)
			}
			if last := d.Steps[len(d.Steps)-1].Step; !d.Interrupted || last != step {
				t.Errorf("interrupted %v in %s", d.Interrupted, last)
			}
			if !strings.Contains(p.stdout.String(), "The diagnosis was interrupted") {
				t.Errorf("the text does not say that it was interrupted:\n%s", p.stdout.String())
			}
			if step == "reproduce" {
				says(t, exit.Done, "report", filepath.Join(out, "idle-race"))
				if len(d.Servers) != 1 || len(d.Findings) == 0 {
					t.Errorf("the steps before are not kept: %+v", d)
				}
			}
		})
	}
}
