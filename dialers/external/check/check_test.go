package check

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/dialers/external"
)

// documented is the complete driver of docs/drivers.md, changed by pairs of texts.
func documented(t *testing.T, changes ...string) external.Command {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("python3 is not installed, and under CI nothing is skipped")
		}
		t.Skip("python3 is not installed; on Debian: apt-get install python3")
	}
	document, err := os.ReadFile("../../../docs/drivers.md")
	if err != nil {
		t.Fatal(err)
	}
	_, source, found := strings.Cut(string(document), "```python\n")
	source, _, ended := strings.Cut(source, "```")
	if lines := strings.Count(source, "\n"); !found || !ended || lines > 60 {
		t.Fatalf("docs/drivers.md has no driver of at most 60 lines: %d", lines)
	}
	for i := 0; i < len(changes); i += 2 {
		if !strings.Contains(source, changes[i]) {
			t.Fatalf("the driver has no %q", changes[i])
		}
		source = strings.ReplaceAll(source, changes[i], changes[i+1])
	}
	file := filepath.Join(t.TempDir(), "driver.py")
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	return external.Command{Name: "documented", Argv: []string{python, file}}
}

// The driver of the documentation keeps every rule. What depends on the machine's speed
// is measured, and fails nothing.
func TestDocumentedDriver(t *testing.T) {
	r, err := Run(t.Context(), documented(t), Options{LagFor: 300 * time.Millisecond, Requests: 500, Slow: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range r.Rules {
		if !rule.OK {
			t.Errorf("%s: %s", rule.Name, rule.Says)
		}
	}
	if !r.OK || len(r.Rules) != 26 || r.Client != "http.client" || r.LateP99 <= 0 || r.FastAsked != 5000 {
		t.Errorf("%+v", r)
	}
}

// The report of a driver that breaks a rule names the rule, and what to change.
func TestBrokenRules(t *testing.T) {
	for _, b := range []struct {
		rule, says string
		changes    []string
	}{
		{"hello", "protocol 2", []string{"protocol=1", "protocol=2"}},
		{"hello", "before its hello", []string{`write(type="hello"`, `print("starting"); write(type="hello"`}},
		{"config", "exit code 4", []string{`write(type="ready")`, `sys.exit(4)`}},
		{"unknown setting", "it was taken", []string{`if unknown:`, `if False:`}},
		{"defaults", "keep (10)", []string{`if name != "keep"]`, `if name != "keep" or frame["settings"][name] == 10]`}},
		{"fresh pool", "first one's connection", []string{"self.idle = {}", "self.idle = POOL", "class Client:", "POOL = {}\nclass Client:"}},
		{"GET", "arrived 2 times", []string{"        response = conn.getresponse()\n", "        response = conn.getresponse(); response.read(); conn.request(frame['method'], target, None, dict(frame['headers'])); response = conn.getresponse()\n"}},
		{"GET", "X-One", []string{`dict(frame["headers"])`, `dict(frame["headers"][:1])`}},
		{"POST", "0 bytes arrived", []string{`b"x" * frame["body"] or None`, `None`}},
		{"status 404", "AssertionError", []string{"return response.status, size", "assert response.status < 400; return response.status, size"}},
		{"bytes", "of 100000 bytes, 0", []string{"return response.status, size", "return response.status, 0"}},
		{"error", "the class", []string{`type(e).__module__ + "." + type(e).__name__`, `""`}},
		{"timeout", "number", []string{"timeout=self.timeout", "timeout=60"}},
		{"insecure", "nobody signed", []string{"ssl._create_unverified_context()", "ssl.create_default_context()"}},
		{"open loop", "only when others", []string{"threading.Thread(target=perform, args=(client, frame, received), daemon=True).start()",
			"import concurrent.futures; POOL.submit(perform, client, frame, received)", "class Client:", "import concurrent.futures\nPOOL = concurrent.futures.ThreadPoolExecutor(5)\nclass Client:"}},
		{"stdout", "sending", []string{"response = conn.getresponse()", "response = conn.getresponse(); writing.acquire(); print('sending', flush=True); writing.release()"}},
		{"one done each", "was over", []string{"          status=status, bytes=size, error=error)", "          status=status, bytes=size, error=error)\n    write(type='done', seq=frame['seq'], received=received, called=called, finished=finished, status=status, bytes=size, error=error)"}},
		{"times", "before it was called", []string{"finished = time.monotonic_ns()", "finished = called - 1"}},
		{"bye", "without saying bye", []string{"\nwrite(type=\"bye\")\n", "\n"}},
		{"end of stdin", "did not end", []string{"\nwrite(type=\"bye\")\n", "\nif frame['type'] == 'bye': write(type='bye')\nelse: time.sleep(60)\n"}},
	} {
		t.Run(b.rule+"/"+b.says, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			found := ""
			_, err := Run(ctx, documented(t, b.changes...), Options{LagFor: -1}, func(r Rule) {
				if r.Name != b.rule {
					return
				}
				if r.OK || r.Change == "" || !strings.Contains(r.Says, b.says) {
					t.Errorf("%+v; want %q", r, b.says)
				}
				found = r.Says
				cancel() // the other rules take their time
			})
			if found == "" {
				t.Errorf("the rule was not checked: %v", err)
			}
		})
	}
}

// A command that cannot be run is no driver that breaks a rule.
func TestNoSuchCommand(t *testing.T) {
	_, err := Run(t.Context(), external.Command{Argv: []string{"/nonexistent/driver"}}, Options{}, nil)
	if err == nil || !strings.Contains(err.Error(), "/nonexistent/driver") {
		t.Error(err)
	}
}
