package profiles

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/generator"
)

// accessLog writes a log with a request each 10 ms for a minute, to the millisecond.
func accessLog(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "access.log")
	var b strings.Builder
	for i := range 6000 {
		fmt.Fprintf(&b, `10.0.0.1:80 [28/Nov/2026:10:00:%02d.%03d] fe be/s 0/0/0/1/1 200 1 - - ---- 1/1/1/1/0 0/0 "GET /%c?token=HIDDEN HTTP/1.1"`+"\n", i/100, i%100*10, 'a'+i%2)
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTraceInAProfile(t *testing.T) {
	log := accessLog(t)
	p, err := Load("", nil, []string{"target.url=http://h/", "load.rate=5/s", "load.arrivals=poisson", "load.trace=" + log})
	if err != nil {
		t.Fatal(err)
	}
	if p.Load.Rate != 0 || p.Load.Arrivals != (generator.Arrivals{}) || p.Load.MeanRate() != 100 || p.Sending() != 30*time.Second {
		t.Errorf("rate %v, arrivals %v, mean %v, sends for %v", p.Load.Rate, p.Load.Arrivals, p.Load.MeanRate(), p.Sending())
	}
	text, err := Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Load("again", text, nil)
	if err != nil || again.Load.Trace != p.Load.Trace || again.Load.Times == nil || strings.Contains(string(text), "HIDDEN") {
		t.Errorf("read back: %v, %v\n%s", again, err, text)
	}

	// Until the end, and not longer than the log.
	for duration, want := range map[string]time.Duration{"0s": time.Minute, "5m": time.Minute, "50s": 50 * time.Second} {
		p, err := Load("", nil, []string{"target.url=http://h/", "load.duration=" + duration, "load.trace=" + log})
		if err != nil {
			t.Fatal(err)
		}
		if p.Load.Duration != want {
			t.Errorf("duration %s is %v, want %v", duration, p.Load.Duration, want)
		}
		if warned := slices.ContainsFunc(p.Warnings, func(w string) bool { return strings.Contains(w, "is longer than") }); warned != (duration == "5m") {
			t.Errorf("duration %s: warnings %q", duration, p.Warnings)
		}
	}

	// A change of the log is read; one that cannot be changes nothing.
	if err := Set(p, "load.trace.path", "/a"); err != nil || p.Load.MeanRate() != 50 {
		t.Errorf("%v, %v/s", err, p.Load.MeanRate())
	}
	if err := Set(p, "load.trace.speed", "2"); err != nil || p.Load.MeanRate() != 100 {
		t.Errorf("%v, %v/s", err, p.Load.MeanRate())
	}
	before := p.Load
	if err := Set(p, "load.trace.path", "/c?token=HIDDEN"); err == nil || p.Load != before || strings.Contains(err.Error(), "HIDDEN") {
		t.Errorf("got %v", err)
	}
	if err := Set(p, "load.trace", "null"); err != nil || p.Load.Times != nil || p.Validate() == nil {
		t.Errorf("%v: without a log and a rate it is valid", err)
	}

	sent, err := LoadSent("order", []byte("target: {url: 'http://h/'}\nload: {trace: /nowhere}\n"))
	if err != nil || sent.Load.Times != nil {
		t.Errorf("a log was read for a profile that was sent: %v", err)
	}
}

func TestTraceComplaints(t *testing.T) {
	log := accessLog(t)
	for text, want := range map[string]string{
		"load: {rate: 5/s, trace: a.log}":                       "p.yaml:1:8: load.rate: has no effect, because load.trace has the times",
		"load:\n  trace: {file: " + log + ", host: h}":          "p.yaml:2:3: load.trace: " + log + ": has 6000 requests, but none with the host h;",
		"load: {trace: nowhere.log}":                            "p.yaml:1:8: load.trace: open nowhere.log: no such file",
		"load: {warm_up: 2m, trace: " + log + "}":               "load.trace: " + log + " has requests for 1m0s only, and load.warm_up (2m0s) takes them all; shorten it",
		"load: {rate: 5/s, trace: {files: a.log}}":              "load.trace.files: unknown key; did you mean file?",
		"load: {trace: {file: a.log, from: 5}}":                 "load.trace.from: \"5\" is not a moment; ",
		"load: {trace: {file: " + log + ", speed: 10, to: 1s}}": "",
	} {
		_, err := Load("p.yaml", []byte(text+"\ntarget: {url: 'http://h/'}\n"), nil)
		if got := fmt.Sprint(err); want == "" && err != nil || !strings.Contains(got, want) || strings.Contains(got, "\n") {
			t.Errorf("%s\ngot  %s\nwant %s", text, got, want)
		}
	}
}

func TestRedactedTrace(t *testing.T) {
	p := Default()
	p.Load.Trace = generator.Trace{File: "a.log", Path: "/a?token=HIDDEN"}
	if got := Redact(p).Load.Trace.Path; got != "/a?token=(blanked)" {
		t.Errorf("got %s", got)
	}
	for _, path := range []string{"load.trace.path", "load.trace"} {
		if got := RedactChange(map[string]string{path: "{file: a, path: '/a?token=HIDDEN'}"})[path]; strings.Contains(got, "HIDDEN") {
			t.Errorf("%s: got %s", path, got)
		}
	}
}
