//go:build unix

package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/kabench/kabench/internal/exit"
)

// 'lab --as' prints its address, what it cannot imitate, and what it saw.
func TestLabAs(t *testing.T) {
	p := start(t, "lab", "--as", "apache-httpd", "--set", "target.lab.hint=timeout=7", "--json")
	var serving struct {
		URL    string
		Cannot []string
	}
	var line string
	waitFor(t, "the line with its address", func() bool {
		var whole bool
		line, _, whole = strings.Cut(p.stdout.String(), "\n")
		return whole
	})
	if err := json.Unmarshal([]byte(line), &serving); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	if len(serving.Cannot) == 0 {
		t.Error("it does not say what it cannot imitate")
	}
	request, err := http.NewRequest(http.MethodGet, serving.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Connection", "keep-alive")
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if hint := response.Header.Get("Keep-Alive"); response.StatusCode != http.StatusOK || hint != "timeout=7" {
		t.Errorf("status %d, hint %q", response.StatusCode, hint)
	}
	if err := p.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code := p.exitCode(t); code != exit.Done {
		t.Errorf("exit code %d: %s", code, &p.stderr)
	}
	if out := p.stdout.String(); !strings.Contains(out, `"requests":1`) {
		t.Errorf("it saw %s", out)
	}
}
