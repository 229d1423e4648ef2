package autopsy

import (
	"bytes"
	"encoding/json"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kabench/kabench/internal/evidence"
)

func examine(t *testing.T, files ...string) *Verdict {
	t.Helper()
	v, err := Examine(Options{Files: files})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// logged is a log of package applog's testdata, which the real programs wrote.
func loggedBy(name string) string { return filepath.Join("..", "applog", "testdata", name) }

// What a log alone shows: the server's idle timeout was 1 s, and the failures are those
// of the table of package applog.
func TestVerdictOfLogs(t *testing.T) {
	for _, one := range []struct{ file, headline, says, incident string }{
		{"reactor-netty-idle.log", "No request met a close: all of 3 requests got a response.", "closes idle connections after 999 ms (988 to 1000)", ""},
		{"reactor-netty-before.log", "1 of 3 requests met the server's close", "had arrived", "before-response"},
		{"reactor-netty-during.log", "1 request met the close of 127.0.0.1:18082", "got the beginning of a response", "during-response"},
		{"httpclient5-late.log", "2 of 4 requests met the server's close", "closes idle connections after at most 1.2", "direct-idle-order"},
		{"okhttp-events.log", "2 of 5 requests met the server's close", "closes idle connections after at most 1.00 s", "direct-idle-order"},
		{"okhttp-interceptor.log", "2 of 4 requests met the close", "the server did not close because of them: no response ever came so soon", ""},
		{"undici.log", "2 of 4 requests met the close", "how they met it, the log does not say", ""},
		{"node-reset.log", "1 of 4 requests to 127.0.0.1:18083 was answered by RST", "who sent the RST", ""},
		{"nginx-error.log", "2 requests met the close of 127.0.0.1:18081", "the log does not say", ""},
		{"haproxy.log", "4 requests met the close of b/s1", "got the beginning of a response", ""},
	} {
		v := examine(t, loggedBy(one.file))
		all := v.Headline + " " + strings.Join(v.Says, " ")
		for _, s := range v.Servers {
			all += " " + s.Sentence
		}
		if !strings.HasPrefix(v.Headline, one.headline) || !strings.Contains(all, one.says) || v.Incident != one.incident {
			t.Errorf("%s: %q, incident %q; want %q, %q and %q", one.file, all, v.Incident, one.headline, one.says, one.incident)
		}
		if v.Found {
			for _, f := range v.Failures {
				if len(f.Lines) == 0 || f.Why == "" || f.Lines[0].Line < 1 {
					t.Errorf("%s: a failure without its lines: %+v", one.file, f)
				}
			}
		}
		if cannot := strings.Join(v.Cannot, " "); !strings.Contains(cannot, "tcpdump -i any -s 96") {
			t.Errorf("%s does not name the capture that would tell: %q", one.file, cannot)
		}
	}
}

const (
	bothCapture = "testdata/both.pcap.gz"
	bothNetty   = "testdata/both-reactor-netty.log"
	bothApache  = "testdata/both-httpclient5.log"
)

// The clients and tcpdump ran at the same time: the capture counts, and the lines stand
// beside its failures.
func TestLogsBesideCapture(t *testing.T) {
	alone := examine(t, bothCapture)
	v := examine(t, bothNetty, bothCapture, bothApache)
	if v.Requests != alone.Requests || v.Connections != alone.Connections || v.Headline != alone.Headline || len(v.Failures) != len(alone.Failures) {
		t.Errorf("%q of %d requests on %d connections; the capture alone shows %q, %d and %d", v.Headline, v.Requests, v.Connections, alone.Headline, alone.Requests, alone.Connections)
	}
	lines := 0
	for i, f := range v.Failures {
		if f.Met != alone.Failures[i].Met || f.Basis != evidence.Seen {
			t.Errorf("failure %d met %v (%v), by the capture alone %v", i, f.Met, f.Basis, alone.Failures[i].Met)
		}
		if len(f.Lines) > 0 {
			lines++
		}
	}
	if lines != 3 { // two of Reactor Netty by their ports, one of HttpClient by its time
		t.Errorf("%d failures have lines of a log, want 3", lines)
	}
	for _, log := range v.Logs {
		switch {
		case log.File == bothNetty && (log.Clock == nil || math.Abs(*log.Clock) > 0.01 || log.ClockFrom != 3):
			t.Errorf("the clock of %s is compared as %v", log.File, log)
		case log.File == bothApache && log.Clock != nil:
			t.Errorf("the clock of %s, which has no ports, is compared", log.File)
		}
	}
}

// A log from a host whose clock is an hour ahead is put right by the ports.
func TestLogsOfAnotherClock(t *testing.T) {
	shifted := func(name string) string {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(t.TempDir(), filepath.Base(name))
		if err := os.WriteFile(out, bytes.ReplaceAll(text, []byte("2026-11-29T00:"), []byte("2026-11-29T01:")), 0o600); err != nil {
			t.Fatal(err)
		}
		return out
	}
	v := examine(t, shifted(bothNetty), bothCapture)
	lines := 0
	for _, f := range v.Failures {
		if len(f.Lines) > 0 {
			lines++
		}
	}
	if clock := v.Logs[0].Clock; clock == nil || math.Abs(*clock-3600) > 0.01 || lines != 2 {
		t.Errorf("clock %v, %d failures with lines", clock, lines)
	}
	v = examine(t, shifted(bothApache), bothCapture)
	if notes := strings.Join(v.Notes, " "); !strings.Contains(notes, "1 failed request of") || !strings.Contains(notes, "not in the capture") {
		t.Errorf("a log that cannot be matched: %q", notes)
	}
}

func TestSeveralLogs(t *testing.T) {
	v := examine(t, loggedBy("reactor-netty-before.log"), loggedBy("httpclient5-late.log"))
	if len(v.Servers) != 2 || len(v.Failures) != 3 || len(v.Logs) != 2 {
		t.Fatalf("%d servers, %d failures, %d logs", len(v.Servers), len(v.Failures), len(v.Logs))
	}
	for _, f := range v.Failures {
		if f.Lines[0].File == "" {
			t.Error("with several logs, a quotation does not name its file")
		}
	}
	if text, err := json.Marshal(v); err != nil || !bytes.Contains(text, []byte(`"lines":[{"file":`)) || bytes.Contains(text, []byte("token=abc")) {
		t.Errorf("JSON: %v, %.300s", err, text)
	}
}

func TestServerOfLogs(t *testing.T) {
	file := loggedBy("nginx-error.log")
	v, err := Examine(Options{Files: []string{file}, Server: netip.MustParseAddrPort("127.0.0.1:18082")})
	if err != nil || len(v.Failures) != 4 {
		t.Errorf("%v, %+v", err, v)
	}
	if _, err := Examine(Options{Files: []string{file}, Server: netip.MustParseAddrPort("127.0.0.1:9")}); err == nil || !strings.Contains(err.Error(), "no line of") {
		t.Errorf("a server that is not in the log: %v", err)
	}
}

func TestNeitherCaptureNorLog(t *testing.T) {
	for want, text := range map[string]string{
		"is empty: name a log":               "",
		"no line about a connection":         "hello\n",
		"is no packet capture: it begins":    "\x7fELF\x00\x00\x01\x02",
		"is no packet capture: it is a zip":  "PK\x03\x04\x00\x00\x00",
		"neither a packet capture nor a log": strings.Repeat("text ", 200) + "\x00\n",
	} {
		path := filepath.Join(t.TempDir(), "app.log")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Examine(Options{Files: []string{path}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v, want %q", text, err, want)
		}
	}
}
