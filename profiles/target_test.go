package profiles

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/kabench/kabench/profiles/targets"
)

func TestRequestsOfTarget(t *testing.T) {
	p := Default()
	p.Target.URL, p.Target.Method, p.Target.Body = "http://h/a", "POST", "b"
	p.Target.Headers = map[string]string{"x-a": "1", "host": "other"}
	got, err := Requests(&p)
	want := []targets.Request{{Method: "POST", URL: "http://h/a", Header: http.Header{"x-a": {"1"}, "host": {"other"}}, Body: []byte("b")}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("error %v (-want +got)\n%s", err, diff)
	}
	p.Target.URL = ""
	if _, err := Requests(&p); err == nil || !strings.HasPrefix(err.Error(), "target.url: ") {
		t.Errorf("no target: error %v", err)
	}
}

func TestRequestsOfFile(t *testing.T) {
	dir := t.TempDir()
	body := filepath.Join(dir, "body")
	if err := os.WriteFile(body, []byte("B"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, format, text string
		want               []targets.Request
		bad                string // of the error, after the file's name
	}{
		{"http", "", "# first\nGET http://h/a\nX-A: 1\nX-A: 2\n\nPOST http://h/b\n@" + body + "\nDELETE http://h/c", []targets.Request{
			{Method: "GET", URL: "http://h/a", Header: http.Header{"X-A": {"1", "2"}}},
			{Method: "POST", URL: "http://h/b", Body: []byte("B")},
			{Method: "DELETE", URL: "http://h/c"},
		}, ""},
		{"names as they come", "http", "GET http://h/\nhost: a\nuser-agent: b\nX-a: 2\nX-A: 1\nCONNECTION: close\n", []targets.Request{
			{Method: "GET", URL: "http://h/", Header: http.Header{"host": {"a"}, "user-agent": {"b"}, "X-a": {"2"}, "X-A": {"1"}, "CONNECTION": {"close"}}},
		}, ""},
		{"names as they come, in json", "json", `{"method": "GET", "url": "http://h/a", "header": {"host": ["a"], "x-a": ["1"]}}`, []targets.Request{
			{Method: "GET", URL: "http://h/a", Header: http.Header{"host": {"a"}, "x-a": {"1"}}},
		}, ""},
		{"json, the last line not ended", "json", `{"method": "GET", "url": "http://h/a", "header": {"X-A": ["1"]}}` + "\n\n" + `{"method": "POST", "url": "http://h/b", "body": "Qg=="}`, []targets.Request{
			{Method: "GET", URL: "http://h/a", Header: http.Header{"X-A": {"1"}}},
			{Method: "POST", URL: "http://h/b", Body: []byte("B")},
		}, ""},
		{"empty", "http", "", nil, "no targets in it"},
		{"comments alone", "http", "# nothing\n\n", nil, "no targets in it"},
		{"empty json", "json", "\n", nil, "no targets in it"},
		{"not a target", "http", "GET http://h/\n\nhello\n", nil, "target 2 (line 3): it does not begin with a method in capitals, as GET http://127.0.0.1:8080/ does"},
		{"relative", "http", "GET /path\n", nil, `target 1 (line 1): "/path" must begin with http:// or https://`},
		{"a comment swallows the next target", "http", "GET http://h/a\n# next\nGET http://h/b\n", nil, "target 1 (line 3): another target begins here; put a blank line before it"},
		{"a body that is not there", "http", "POST http://h/\n@" + body + "x\n", nil, "target 1 (line 2): its body: open " + body + "x: no such file or directory"},
		{"a long line", "http", "GET http://h/\nX-A: " + strings.Repeat("a", targets.MaxLine) + "\n", nil, "line 2 is longer than 65536 bytes"},
		{"a length of its own", "http", "POST http://h/\nContent-Length: 3\n", nil, `target 1 (line 2): header "Content-Length": kabench sets it by the body; remove it`},
		{"json without a method", "json", `{"url": "http://h/"}`, nil, `target 1 (line 1): the method is missing; add "method": "GET"`},
		{"json with a wrong method", "json", `{"method": "G T", "url": "http://h/"}`, nil, `target 1 (line 1): "G T" is not an HTTP method`},
		{"too many", "http", strings.Repeat("GET http://h/\n\n", targets.MaxTargets+1), nil, "more than 100000 targets"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(dir, "targets")
			if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			p := Default()
			p.Target.File, p.Target.Format = path, tc.format
			got, err := Requests(&p)
			if tc.bad != "" {
				if want := "target.file: " + path + ": " + tc.bad; err == nil || err.Error() != want {
					t.Errorf("error %v\nwant  %s", err, want)
				}
				return
			}
			if diff := cmp.Diff(tc.want, got, cmpopts.EquateEmpty()); err != nil || diff != "" {
				t.Errorf("error %v (-want +got)\n%s", err, diff)
			}
		})
	}
	p := Default()
	p.Target.File = filepath.Join(dir, "nowhere")
	if _, err := Requests(&p); err == nil || !strings.Contains(err.Error(), "nowhere: no such file") {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestHeadersOfTheProfileKeepTheirSpelling(t *testing.T) {
	p, err := Load("t", []byte("load: {rate: 1/s}\ntarget: {url: 'http://h/', headers: {SOAPAction: x}}"), []string{"target.headers.X-ACCOUNT-ID=1"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := Requests(p)
	if want := (http.Header{"SOAPAction": {"x"}, "X-ACCOUNT-ID": {"1"}}); err != nil || !cmp.Equal(got[0].Header, want) {
		t.Errorf("%v, %v", got, err)
	}
}
