package imports

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/kabench/kabench/profiles/targets"
)

func curlOf(t *testing.T, text string, o Options) (*Command, error) {
	t.Helper()
	words, err := Words(text)
	if err != nil {
		return nil, err
	}
	return Curl(words, o)
}

// Commands as browsers copy them and as people write them.
func TestCurl(t *testing.T) {
	form := "application/x-www-form-urlencoded"
	for text, want := range map[string]targets.Request{
		`curl http://h/`: {Method: "GET", URL: "http://h/"},
		`curl h:8080`:    {Method: "GET", URL: "http://h:8080/"},
		`/usr/bin/curl -sSL -XPUT "http://h/a?b=c&d=e" --data 'x=1'`: {Method: "PUT", URL: "http://h/a?b=c&d=e", Header: http.Header{"Content-Type": {form}}, Body: []byte("x=1")},
		"curl 'http://h/x' \\\n  -H 'A: b' \\\n  -H 'accept-language: de;q=0.9' \\\n  --data-raw $'{\"name\":\"O\\'Neil\\u0021\\n\"}' \\\n  --compressed": {
			Method: "POST", URL: "http://h/x", Body: []byte("{\"name\":\"O'Neil!\n\"}"),
			Header: http.Header{"A": {"b"}, "accept-language": {"de;q=0.9"}, "Content-Type": {form}, "Accept-Encoding": {"gzip, deflate, br, zstd"}},
		},
		"curl http://h/ -d a=1 -d b=2 -G":    {Method: "GET", URL: "http://h/?a=1&b=2"},
		"curl -I http://h/#part":             {Method: "HEAD", URL: "http://h/"},
		`curl --json '{"a":1}' http://h/`:    {Method: "POST", URL: "http://h/", Header: http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}}, Body: []byte(`{"a":1}`)},
		"curl http://h/ --data-raw @literal": {Method: "POST", URL: "http://h/", Header: http.Header{"Content-Type": {form}}, Body: []byte("@literal")},
		"curl http://h/ -H 'Content-Type:' -d x -H 'X-Empty;' -H 'connection: close' -H 'Content-Length: 3' -H ':authority: h'": {
			Method: "POST", URL: "http://h/", Header: http.Header{"X-Empty": {""}}, Body: []byte("x"),
		},
		`curl http://h/ --data-urlencode 'q=a b&c' --data-urlencode 'x y'`: {Method: "POST", URL: "http://h/", Header: http.Header{"Content-Type": {form}}, Body: []byte("q=a+b%26c&x+y")},
		"curl -A me -e http://r/ -r 0-9 --url http://h/ -o file -w '%{http_code}'": {
			Method: "GET", URL: "http://h/", Header: http.Header{"User-Agent": {"me"}, "Referer": {"http://r/"}, "Range": {"bytes=0-9"}},
		},
		"curl -- http://h/": {Method: "GET", URL: "http://h/"},
	} {
		got, err := curlOf(t, text, Options{})
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if want.Header == nil {
			want.Header = http.Header{}
		}
		if want.Body == nil && len(got.Body) == 0 {
			got.Body = nil
		}
		if diff := cmp.Diff(want, got.Request); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
	got, err := curlOf(t, "curl -k --cacert ca.pem -E c.pem --key k.pem -m 2.5 https://h/ -L", Options{})
	if err != nil || !got.Insecure || got.CAFile != "ca.pem" || got.CertFile != "c.pem" || got.KeyFile != "k.pem" || got.Timeout.Seconds() != 2.5 || len(got.Notes) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

// Credentials are left out, which is said without them, or kept.
func TestCurlSecrets(t *testing.T) {
	text := `curl 'https://me:hunter2@h/a?token=t0psecret&q=1' -u joe:passw0rd -b 'sid=c00kie; theme=dark' -H 'X-Api-Key: k3y' -H 'A: b' -d 'user=joe&password=b0dysecret'`
	secret := []string{"hunter2", "t0psecret", "passw0rd", "c00kie", "k3y", "b0dysecret"}
	got, err := curlOf(t, text, Options{})
	if err != nil {
		t.Fatal(err)
	}
	shown := fmt.Sprint(got.URL, got.Header, string(got.Body), got.Notes)
	for _, s := range secret {
		if strings.Contains(shown, s) {
			t.Errorf("%s is in %s", s, shown)
		}
	}
	if got.URL != "https://h/a?q=1" || got.Header.Get("A") != "b" || !strings.Contains(string(got.Body), "user=joe") || len(got.Notes) != 1 ||
		!strings.Contains(got.Notes[0], "field password of the body, header Authorization, header Cookie, header X-Api-Key, parameter token, user in the URL. --keep-secrets keeps them") {
		t.Errorf("%s", shown)
	}
	if got, err = curlOf(t, text, Options{KeepSecrets: true}); err != nil || len(got.Notes) != 0 {
		t.Fatalf("%v %q", err, got.Notes)
	}
	shown = fmt.Sprint(got.URL, got.Header, string(got.Body))
	for _, s := range append(secret[:2], "c00kie", "k3y", "b0dysecret", "am9lOnBhc3N3MHJk") {
		if !strings.Contains(shown, s) {
			t.Errorf("%s is not in %s", s, shown)
		}
	}
}

func TestCurlRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                                    "there is no command",
		"wget http://h/":                      "does not begin with curl",
		"curl":                                "has no URL",
		"curl http://a/ http://b/":            "two URLs",
		"curl http://h/ -F a=b":               "-F: a multipart form is not imported",
		"curl http://h/ -d @body.json":        "-d: the body is in the file body.json, and no file is read",
		"curl http://h/ -H @file":             "-H: the headers are in the file file",
		"curl http://h/ -b jar.txt":           "-b: the cookies are in the file jar.txt",
		"curl http://h/ -H nothing":           `-H: "nothing" is no header`,
		"curl http://h/ -X":                   "-X has no value; the command is cut off",
		"curl http://h/ --frobnicate":         "--frobnicate is an option of curl that kabench does not know",
		"curl http://h/ --heder 'A: b'":       "write --header if you meant that",
		"curl http://h/ -Z":                   "-Z is an option of curl",
		"curl http://h/ -x http://p/":         "-x: kabench sends to the server itself",
		"curl 'http://h/":                     "reached EOF without closing quote",
		"curl http://h/ | sh":                 "this is more than one command",
		"curl http://h/; rm -rf x":            "there are 2 commands",
		"curl http://h/ > out":                "without redirections",
		"curl http://h/?a=1&b=2":              "there are 2 commands",
		"curl $URL":                           "$URL is a variable of a shell",
		"curl http://h/$(id)":                 "would be run or expanded",
		"curl http://h/ -H \"A: `id`\"":       "would be run or expanded",
		"A=b curl http://h/":                  "without variables before it",
		"curl ^\"http://h/^\" ^\n -H ^\"a^\"": "command prompt of Windows",
		"curl ftp://h/":                       "must begin with http:// or https://",
		"curl http://h/ -X 'A B'":             `"A B" is not an HTTP method`,
		"curl http://h/ -m soon":              `"soon" is no number of seconds`,
		"curl http://h/ --next http://b/":     "one command is one request",
		"curl ''":                             "a URL is empty",
	} {
		if _, err := curlOf(t, text, Options{}); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// entry is one entry of a HAR file, as Chrome writes it.
func entry(method, url, more string) string {
	return fmt.Sprintf(`{"startedDateTime":"2026-01-01T00:00:00Z","_initiator":{"stack":[{"a":[1,2,{"b":null}]}]},"response":{"status":200,"content":{"text":"x\"y\\"}},"request":{"method":%q,"url":%q,"httpVersion":"h2"%s},"time":1.5}`, method, url, more)
}

func harFile(entries ...string) string {
	return `{"log":{"version":"1.2","creator":{"name":"x"},"pages":[],"entries":[` + strings.Join(entries, ",\n") + `]}}`
}

func TestHAR(t *testing.T) {
	file := harFile(
		entry("GET", "https://shop.example.com/api/a?q=1#x", `,"headers":[{"name":":authority","value":"shop.example.com"},{"name":"accept","value":"*/*"},{"name":"cookie","value":"sid=s3cret"},{"name":"Authorization","value":"Bearer s3cret"},{"name":"connection","value":"keep-alive"},{"name":"Host","value":"shop.example.com"}],"cookies":[{"name":"a","value":"s3cret"}]`),
		entry("POST", "https://shop.example.com/api/b?access_token=s3cret", `,"headers":[],"postData":{"mimeType":"application/json","text":"{\"a\":\"b\",\"password\":\"s3cret\"}"}`),
		entry("POST", "http://shop.example.com/other", `,"postData":{"mimeType":"application/x-www-form-urlencoded","params":[{"name":"a b","value":"c&d"}]}`),
		entry("POST", "http://shop.example.com/upload", `,"postData":{"mimeType":"multipart/form-data; boundary=x","params":[{"name":"f","fileName":"a.png"}]}`),
		entry("GET", "https://cdn.example.net/x.js", ""),
		entry("GET", "wss://shop.example.com/socket", ""),
		entry("GET", "data:image/png;base64,AAAA", ""),
		entry("", "http://shop.example.com/", ""),
		`{"request":null}`[:0]+entry("GET", "http://[::1", ""),
	)
	a, err := HAR(strings.NewReader(file), HAROptions{Filters: []string{"*.example.com"}, Max: 10})
	if err != nil {
		t.Fatal(err)
	}
	want := []targets.Request{
		{Method: "GET", URL: "https://shop.example.com/api/a?q=1", Header: http.Header{"accept": {"*/*"}}},
		{Method: "POST", URL: "https://shop.example.com/api/b", Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(`{"a":"b","password":"(blanked)"}`)},
		{Method: "POST", URL: "http://shop.example.com/other", Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, Body: []byte("a+b=c%26d")},
	}
	for i := range a.Requests {
		if len(a.Requests[i].Body) == 0 {
			a.Requests[i].Body = nil
		}
	}
	if diff := cmp.Diff(want, a.Requests); diff != "" || a.Entries != 9 {
		t.Errorf("%d entries: %s", a.Entries, diff)
	}
	notes := strings.Join(a.Notes, "\n")
	for _, say := range []string{
		"of 9 entries these were left out: ", "1 that the filters leave out", "1 of another scheme than http and https, such as wss", "such as data", "1 with a multipart body",
		`1 that cannot be sent: "" is not an HTTP method`, "1 without a URL", "field password of the body, header Authorization, header cookie, parameter access_token. --keep-secrets",
	} {
		if !strings.Contains(notes, say) {
			t.Errorf("%q is missing in %s", say, notes)
		}
	}
	if strings.Contains(notes, "s3cret") {
		t.Error(notes)
	}
	for filter, want := range map[string]int{"": 4, "shop.example.com": 3, "/api/": 2, "example.com": 0, "cdn.example.net /x": 1, "/api/a /other": 2} {
		if a, err := HAR(strings.NewReader(file), HAROptions{Filters: strings.Fields(filter), Max: 10}); err != nil || len(a.Requests) != want {
			t.Errorf("%q: %d requests, %v", filter, len(a.Requests), err)
		}
	}
	if a, err := HAR(strings.NewReader(file), HAROptions{Max: 1, Options: Options{KeepSecrets: true}}); err != nil || len(a.Requests) != 1 || a.Requests[0].Header.Get("Authorization") == "" || !strings.Contains(a.Notes[0], "beyond the first 1 (--max)") {
		t.Errorf("%+v, %v", a, err)
	}
}

// A byte-order mark is ignored. What is kept of hostile entries, and what is said about them, is
// bounded: not only bodies, but also headers, reasons and names.
func TestHARIsBounded(t *testing.T) {
	if a, err := HAR(strings.NewReader("\xef\xbb\xbf"+harFile(entry("GET", "http://h/", ""))), HAROptions{Max: 1}); err != nil || len(a.Requests) != 1 {
		t.Errorf("%v", err)
	}
	full := &har{o: HAROptions{Max: 10}, skipped: map[string]int{}, left: removed{}, Archive: Archive{}, bytes: maxTogether - 100}
	full.take(&raw{method: "GET", url: "http://h/", headers: [][2]string{{"x", strings.Repeat("v", 101)}}})
	full.take(&raw{method: "GET", url: "http://h/", headers: [][2]string{{"x", "v"}}})
	if len(full.Requests) != 1 || full.skipped["with a text that is too long"] != 1 {
		t.Errorf("%d requests, %v", len(full.Requests), full.skipped)
	}
	var hostile []string
	for i := range 1000 {
		hostile = append(hostile, entry(fmt.Sprintf("%d %s", i, strings.Repeat("x", 1000)), "http://h/", ""),
			entry("GET", fmt.Sprintf("http://h/?token%d%s=1", i, strings.Repeat("y", 1000)), ""))
	}
	a, err := HAR(strings.NewReader(harFile(hostile...)), HAROptions{Max: MaxRequests})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(strings.Join(a.Notes, "")); n > 5000 {
		t.Errorf("the notes have %d bytes", n)
	}
	h := &har{skipped: map[string]int{}, left: removed{}}
	for i := range 1000 {
		h.leave(fmt.Sprint(i))
		h.left.add(fmt.Sprint(i))
	}
	if len(h.skipped) > maxWhys+1 || len(h.left) > maxWhys+1 {
		t.Errorf("%d reasons and %d names are kept", len(h.skipped), len(h.left))
	}
}

func TestHARRefuses(t *testing.T) {
	for file, want := range map[string]string{
		"":                              "the file is cut off",
		"{}":                            "no log with entries",
		"[1]":                           "byte 1: [ stands where an object must be",
		`{"log":{"entries":{}}}`:        "{ stands where a list must be",
		`{"log":{"entries":[1]}}`:       "1 stands where an object must be",
		`{"log":{"entries":[{"request"`: "the file is cut off",
		harFile(entry("GET", "http://h/", ""))[:200]: "the file is cut off",
		"GET / HTTP/1.1": "no JSON: invalid character 'G'",
		`{"log":{"entries":[{"request":{"url":[]}}]}}`:                      "[ stands where a text must be",
		`{"a":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + "}": "nested too deeply",
	} {
		if _, err := HAR(strings.NewReader(file), HAROptions{Max: 10}); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.60s: %v, want %q", file, err, want)
		}
	}
}

// bigFile is a HAR file of size bytes that is never whole in memory.
type bigFile struct {
	size  int
	parts []func() string
	rest  string
	i     int
}

func (b *bigFile) Read(p []byte) (int, error) {
	for b.rest == "" {
		if b.i < len(b.parts) {
			b.rest = b.parts[b.i]()
			b.i++
			continue
		}
		return 0, io.EOF
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	b.size += n
	return n, nil
}

// A file of 100 MB takes a bounded heap, although one text has nearly all of it.
func TestHARIsRead100MBInBoundedMemory(t *testing.T) {
	chunk := strings.Repeat("iVBORw0KGgo", 1<<15) + `\u00e9\n\"\/` // 360 kB of a picture's text
	b := &bigFile{}
	say := func(s string) { b.parts = append(b.parts, func() string { return s }) }
	say(`{"log":{"entries":[` + entry("GET", "http://h/first", "") + `,{"response":{"content":{"text":"`)
	for range 290 {
		say(chunk)
	}
	say(`"}},"request":{"method":"GET","url":"http://h/after"}}`)
	for i := range 100 {
		say("," + entry("GET", fmt.Sprintf("http://h/%d", i), ""))
	}
	say(`,{"request":{"method":"POST","url":"http://h/long","postData":{"text":"`)
	for range 4 {
		say(chunk)
	}
	say(`"}}}]}}`)
	var before, peak runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	a, err := HAR(watched{b, &peak}, HAROptions{Max: 1000})
	if err != nil {
		t.Fatal(err)
	}
	if b.size < 100e6 || a.Entries != 103 || len(a.Requests) != 102 || a.Requests[0].URL != "http://h/first" || a.Requests[1].URL != "http://h/after" {
		t.Errorf("%d bytes, %d entries, %d requests", b.size, a.Entries, len(a.Requests))
	}
	if grew := int64(peak.HeapAlloc) - int64(before.HeapAlloc); grew > 24<<20 {
		t.Errorf("the heap grew by %d MB", grew>>20)
	}
	if !strings.Contains(strings.Join(a.Notes, " "), "1 with a text that is too long") {
		t.Errorf("%q", a.Notes)
	}
}

// watched notes the heap after a collection, from time to time.
type watched struct {
	*bigFile
	peak *runtime.MemStats
}

func (w watched) Read(p []byte) (int, error) {
	n, err := w.bigFile.Read(p)
	if w.i%100 == 99 && w.rest == "" {
		var now runtime.MemStats
		runtime.GC()
		if runtime.ReadMemStats(&now); now.HeapAlloc > w.peak.HeapAlloc {
			*w.peak = now
		}
	}
	return n, err
}

// A text is cut at its bound, never within an escape, and the text after it is whole. It does not
// matter in which pieces the file arrives.
func TestShortened(t *testing.T) {
	const longest = 200
	for _, unit := range []string{"a", `\n`, `\u00e9`, `\\`, `\"`, "é"} {
		for shift := range 7 {
			text := strings.Repeat("b", shift) + strings.Repeat(unit, (longest+100)/len(unit))
			for _, whole := range []bool{true, false} {
				var from io.Reader = strings.NewReader(`["` + text + `","next"]`)
				if !whole {
					from = iotest.OneByteReader(from)
				}
				data, err := io.ReadAll(newShortened(from, longest))
				if err != nil || len(data) > longest+40 {
					t.Fatalf("%d bytes, %v", len(data), err)
				}
				var list []string
				if err := json.Unmarshal(data, &list); err != nil || len(list) != 2 || list[1] != "next" || !wasCut(list[0]) {
					t.Errorf("%q %d: %q, %v", unit, shift, data, err)
				}
			}
		}
	}
	whole := `{"a":"` + strings.Repeat("x", longest) + `","b":1}`
	if data, err := io.ReadAll(newShortened(strings.NewReader(whole), longest)); err != nil || string(data) != whole {
		t.Errorf("a text within the bound was changed: %v", err)
	}
}

// Whatever a command is, it is refused in a sentence or can be sent.
func FuzzCurl(f *testing.F) {
	for _, text := range []string{"curl http://h/ -d x", "curl $'a\\x41' -H 'A: b'", "curl -u a:b 'http://h/?token=x' \\\n --compressed", "curl `x`", "curl \"$(x)\" ${a[1]} {a,b}"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := curlOf(t, text, Options{})
		if err != nil {
			return
		}
		sendable(t, c.Request)
	})
}

func FuzzHAR(f *testing.F) {
	f.Add(harFile(entry("GET", "http://h/a?token=b", `,"headers":[{"name":"a","value":"b"}],"postData":{"mimeType":"x","text":"y"}`)))
	f.Add(`{"log":{"entries":[{"request":{"method":"GET","url":"http://u:p@h;x=1/;sid=2?a#b"}}]}}`)
	f.Fuzz(func(t *testing.T, file string) {
		a, err := HAR(strings.NewReader(file), HAROptions{Max: 10})
		if err != nil {
			return
		}
		for _, q := range a.Requests {
			sendable(t, q)
		}
	})
}

// sendable complains about a request that a target file cannot have.
func sendable(t *testing.T, q targets.Request) {
	t.Helper()
	var b bytes.Buffer
	if err := targets.WriteJSON(&b, []targets.Request{q}); err != nil {
		t.Fatal(err)
	}
	if again, err := targets.Parse(b.Bytes(), targets.FormatJSON); err != nil || len(again) != 1 {
		t.Errorf("%+v: %v", q, errors.Join(err))
	}
}
