package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kabench/kabench/internal/exit"
)

// If every response has an error status, each summary of the run says so beside the failures.
// The exit code stays 0, and the last line says how to change that.
func TestErrorAnswersAreAsProminentAsFailures(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", 500) }))
	defer server.Close()
	dir := filepath.Join(t.TempDir(), "run")
	asked := []string{"run", "--target", server.URL, "--rate", "100/s", "--duration", "300ms", "--arrivals", "constant", "--set", "load.max_lag=0"}
	text, _ := says(t, exit.Done, append(asked, "--out", dir)...)
	last := strings.Join(strings.Fields(text[strings.LastIndex(text, "\n\n"):]), " ")
	if !strings.Contains(text, "Error answers: 30 of 30, 100 %") || !strings.HasPrefix(last, "30 error answers do not change the exit code. To make them count, add 'error_answers: 0'") {
		t.Errorf("the text:\n%s", text)
	}
	markdown, _ := says(t, exit.Done, "export", dir, "--format", "markdown")
	page, site := filepath.Join(t.TempDir(), "report.html"), filepath.Join(t.TempDir(), "site")
	says(t, exit.Done, "report", dir, "-o", page)
	says(t, exit.Done, "publish", dir, "--site", site)
	shown := map[string]string{"markdown": markdown}
	for name, path := range map[string]string{"page": page, "index": filepath.Join(site, "index.html"), "feed": filepath.Join(site, "feed.xml")} {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		shown[name] = string(content)
	}
	for name, content := range shown {
		said := strings.Index(content, "30 of 30 answers were an error: 30 with status 500.")
		if said < 0 || said > strings.Index(content, "None of 30 requests failed") {
			t.Errorf("%s does not say that all answers were errors before it says that none failed", name)
		}
		if name != "feed" && !strings.Contains(content, "of answers were errors") {
			t.Errorf("%s has no figure for error answers", name)
		}
	}
	// With the expectation that the line proposes, they count.
	text, _ = says(t, exit.Unmet, append(asked, "--out", "none", "--set", "expect.error_answers=0")...)
	if strings.Contains(text, "do not change the exit code") || !strings.Contains(text, "NOT MET") {
		t.Errorf("with the expectation:\n%s", text)
	}
}
