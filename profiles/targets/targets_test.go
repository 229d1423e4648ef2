package targets

import (
	"encoding/binary"
	"net/http"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	vegeta "github.com/tsenart/vegeta/v12/lib"
)

func utf16LE(mark bool, text string) string {
	units := utf16.Encode([]rune(text))
	if mark {
		units = append([]uint16{0xfeff}, units...)
	}
	b, _ := binary.Append(nil, binary.LittleEndian, units)
	return string(b)
}

// Content of a target file that would not be sent is an error with its line and the
// fix. The error never quotes headers or bodies.
func TestTargetFilesAreStrict(t *testing.T) {
	const secret = "s3cret"
	for _, c := range []struct {
		name, format, text string
		says               []string
	}{
		{"headers", "json", `{"method":"GET","url":"http://h/"}` + "\n" + `{"method":"GET","url":"http://h/","headers":{"Authorization":["Bearer s3cret"]}}`,
			[]string{"target 2 (line 2)", `unknown key "headers"`, "did you mean header?"}},
		{"capitals", "json", `{"Method":"GET","url":"http://h/"}`, []string{"line 1", `unknown key "Method"`, "did you mean method?"}},
		{"a key unlike any", "json", `{"method":"GET","url":"http://h/","timeout":3}`, []string{`"timeout"`, "method, url, body, header"}},
		{"a key twice", "json", `{"method":"GET","url":"http://h/","url":"http://s3cret/"}`, []string{"line 1", `"url" is given twice`}},
		{"a header twice", "json", `{"method":"GET","url":"http://h/","header":{"A":["1"],"A":["2"]}}`, []string{`"A" is given twice`}},
		{"an array", "json", "\n[\n{\"method\":\"GET\",\"url\":\"http://h/\"}\n]", []string{"line 2", "one object on each line", `jq -c ".[]"`}},
		{"an array on one line", "json", `[{"method":"GET","url":"http://h/"}]`, []string{"line 1", `jq -c ".[]"`}},
		{"over several lines", "json", "{\n \"method\":\"GET\",\n \"url\":\"http://h/\"}", []string{"line 1", "does not end on its line", `jq -c "."`}},
		{"commas between", "json", `{"method":"GET","url":"http://h/"},` + "\n" + `{"method":"GET","url":"http://h/"}`, []string{"line 1", "comma after the object"}},
		{"a comma before the end", "json", `{"method":"GET","url":"http://h/",}`, []string{"line 1", "not JSON at byte"}},
		{"two on a line", "json", `{"method":"GET","url":"http://h/"} {"method":"GET","url":"http://h/2"}`, []string{"line 1", "more after the object"}},
		{"cut off", "json", `{"method":"GET","url":"http://h/"`, []string{"line 1", "does not end"}},
		{"a body in plain text", "json", `{"method":"POST","url":"http://h/","body":"my s3cret body"}`, []string{"line 1", "base64", "jq"}},
		{"a body of the wrong type", "json", `{"method":"POST","url":"http://h/","body":{"a":"s3cret"}}`, []string{`"body" is of type object; write text`}},
		{"a method of the wrong type", "json", `{"method":1,"url":"http://h/"}`, []string{`"method" is of type number; write text`}},
		{"a header without its list", "json", `{"method":"GET","url":"http://h/","header":{"Authorization":"s3cret"}}`, []string{`"Authorization" is of type string; write a list of texts`}},
		{"headers in a list", "json", `{"method":"GET","url":"http://h/","header":["s3cret"]}`, []string{`"header" is not an object`}},
		{"a header with no value", "json", `{"method":"GET","url":"http://h/","header":{"A":[]}}`, []string{`header "A": has no value`}},
		{"no URL", "json", `{"method":"GET"}`, []string{"line 1", "URL is missing"}},
		{"a comment", "json", "# one\n" + `{"method":"GET","url":"http://h/"}`, []string{"line 1", "a comment"}},
		{"text in place of an object", "json", `"s3cret"`, []string{"line 1", "not a JSON object"}},
		{"the other format, json", "json", "GET http://h/\n", []string{"line 1", "--format http"}},
		{"the other format, http", "", `{"method":"GET","url":"http://h/"}`, []string{"line 1", "--format json"}},
		{"UTF-16 with a mark", "", utf16LE(true, "GET http://h/\n"), []string{"UTF-16", "save it as UTF-8"}},
		{"UTF-16 without a mark", "", utf16LE(false, "GET http://h/\n"), []string{"line 1", "UTF-16", "save it as UTF-8"}},
		{"UTF-16 in json", "json", utf16LE(true, `{"method":"GET","url":"http://h/"}`), []string{"UTF-16"}},
		{"Latin-1 in json", "json", "{\"method\":\"GET\",\"url\":\"http://h/\xe9\"}", []string{"line 1", "UTF-8"}},
		{"no method", "", "# a\r\n\r\nhttp://h/\r\n", []string{"target 1 (line 3)", "method is missing"}},
		{"a method in small letters", "", "get http://h/\n", []string{"line 1", "method in capitals"}},
		{"a method alone", "", "GET\n", []string{"line 1", "URL is missing"}},
		{"a version", "", "GET http://h/ HTTP/1.1\n", []string{"line 1", "more after the URL"}},
		{"a header after the body", "", "POST http://h/\n@targets_test.go\nAuthorization: s3cret\n", []string{"line 3", "a header without a target"}},
		{"a header after a blank line", "", "GET http://h/\n\nAuthorization: s3cret\n", []string{"target 2 (line 3)", "a header without a target"}},
		{"no colon", "", "GET http://h/\nAuthorization s3cret\n", []string{"target 1 (line 2)", "not a header"}},
		{"a name with spaces", "", "GET http://h/\nBearer s3cret: 1\n", []string{"target 1 (line 2)", "not a valid header name"}},
		{"an empty value", "", "GET http://h/\nX-A:\n", []string{"line 2", `header "X-A": has no value`}},
		{"no blank line between", "", "GET http://h/\nX-A: 1\nGET http://h/2\n", []string{"target 1 (line 3)", "blank line"}},
		{"two hosts", "", "GET http://h/\nHost: a\nhost: b\n", []string{`header "Host": given twice`}},
		{"a trailer", "", "GET http://h/\nTrailer: X\n", []string{"kabench sends no trailers"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			requests, err := Parse([]byte(c.text), c.format)
			if err == nil {
				t.Fatalf("taken as %+v", requests)
			}
			for _, part := range c.says {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%v\nhas no %q", err, part)
				}
			}
			if strings.Contains(err.Error(), secret) || strings.ContainsAny(err.Error(), "\n\r\x00") {
				t.Errorf("the error tells too much, or on too many lines: %q", err)
			}
		})
	}
}

// What editors and shells make of a file on its way changes nothing.
func TestTargetFilesAreTaken(t *testing.T) {
	plain := []Request{{Method: "GET", URL: "http://h/a", Header: http.Header{"SOAPAction": {`"urn:x#y"`}, "X-ACCOUNT-ID": {"1"}}}, {Method: "GET", URL: "http://h/b"}}
	text := "GET http://h/a\nSOAPAction: \"urn:x#y\"\n# between\nX-ACCOUNT-ID: 1\n\n\n# and after\nGET http://h/b\n"
	json := `{"method":"GET","url":"http://h/a","header":{"SOAPAction":["\"urn:x#y\""],"X-ACCOUNT-ID":["1"]},"body":null}` + "\n \n" + `{"method":"GET","url":"http://h/b","header":null}`
	for _, c := range []struct{ name, format, text string }{
		{"http", "", text}, {"json", "json", json},
		{"http with a mark", "", "\xef\xbb\xbf" + text}, {"json with a mark", "json", "\xef\xbb\xbf" + json},
		{"http from Windows", "", strings.ReplaceAll(text, "\n", "\r\n")}, {"json from Windows", "json", strings.ReplaceAll(json, "\n", "\r\n")},
		{"indented", "", strings.ReplaceAll(text, "GET", "  GET\t")},
	} {
		got, err := Parse([]byte(c.text), c.format)
		if diff := cmp.Diff(plain, got, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", c.name, err, diff)
		}
	}
}

// What both take, vegeta's own parsers read in the same way.
func FuzzTargetsAsVegeta(f *testing.F) {
	f.Add("GET http://h/a\nX-A: 1\n\nPOST http://h/b\n", false)
	f.Add("GET http://h/a\nGET http://h/b\nx-A: 1\n# no\nx-A: 2", false)
	f.Add(`{"method": "GET", "url": "http://h/a", "header": {"x-a": ["1", "2"]}, "body": "Qg=="}`, true)
	f.Fuzz(func(t *testing.T, text string, json bool) {
		if !json && strings.Contains(text, "@") {
			t.Skip("reads files")
		}
		format, next := FormatHTTP, vegeta.NewHTTPTargeter(strings.NewReader(text), nil, nil)
		if json {
			format, next = FormatJSON, vegeta.NewJSONTargeter(strings.NewReader(text+"\n"), nil, nil)
		}
		ours, err := Parse([]byte(text), format)
		theirs, theirErr := vegeta.ReadAllTargets(next)
		if err != nil || theirErr != nil || strings.HasPrefix(text, "\xef\xbb\xbf") {
			return
		}
		var same []Request
		for _, v := range theirs {
			same = append(same, Request{Method: v.Method, URL: v.URL, Header: v.Header, Body: v.Body})
		}
		if diff := cmp.Diff(same, ours, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s", diff)
		}
	})
}

// Names in a profile keep their spelling, as those in a file do.

func FuzzTargets(f *testing.F) {
	f.Add([]byte("GET http://h/a\nX-A: 1\n\nPOST http://h/b\n"), false)
	f.Add([]byte(`{"method": "GET", "url": "http://h/a", "header": {"X-A": ["1"]}}`), true)
	f.Fuzz(func(t *testing.T, data []byte, json bool) {
		if !json && strings.Contains(string(data), "@") {
			t.Skip("reads files")
		}
		format := FormatHTTP
		if json {
			format = FormatJSON
		}
		requests, err := Parse(data, format)
		if (err == nil) != (len(requests) > 0) {
			t.Fatalf("%d requests, error %v", len(requests), err)
		}
		for _, r := range requests {
			if _, err := http.NewRequest(r.Method, r.URL, nil); err != nil {
				t.Errorf("net/http refuses what was accepted: %v", err)
			}
		}
	})
}
