package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kabench/kabench/internal/exit"
	"github.com/klauspost/compress/zstd"
)

// The secrets in the requests below. No other text shares 8 characters in a row with them.
const (
	token    = "Zq7xWv93-Kp2JmTt8_Lr5Yc"
	password = "gh%Wub&Vyo"
	cookie   = "xAqZ0vBnQe4Gd1Fs"
	apiKey   = "Rk6oHj\"Dw8Ux"
	querySig = "Nf3/Pz+Iy7Ml"
	longOne  = "eTq0" + "Bx1Vw2Cy3Du4Ez5Ft6Gs7Hr8Iq9Jp0Ko1Ln2Mm3Nl4Ok5Pj6Qi7Rh8Sg9Tf0Ue1Vd2Wc3Xb4Ya5Z" + "ogW8"
)

var planted = []string{token, password, cookie, apiKey, querySig, longOne}

// echoes are responses, each with the secret (%s) in another part.
var echoes = []string{
	"%s 200 OK\r\n\r\n",
	"HTTP/1.1 %s\r\n\r\n",
	"HTTP/1.1 200OK%s\r\n\r\n",
	"HTTP/%s 200 OK\r\nContent-Length: 0\r\n\r\n",
	"HTTP/1.1 200 OK\r\n%s\r\n\r\n",
	"HTTP/1.1 200 OK\r\n %s: 1\r\n\r\n",
	"HTTP/1.1 200 OK\r\nX(%s): 1\r\n\r\n",
	"HTTP/1.1 200 OK\r\nX: \x01%s\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: %s\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: %s\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%s\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n%s\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3%s\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n%s\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX %s: 1\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n%s",
	"HTTP/1.1 500 %s\r\nContent-Length: 0\r\nX: %s\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 %s",
	"HTTP/1.1 302 Found\r\nLocation: ://%s\r\nContent-Length: 0\r\n\r\n",
}

// encoded returns the forms in which a server may write a secret.
func encoded(secret string) []string {
	return []string{
		secret, strings.ToUpper(secret), strings.ToLower(secret), url.QueryEscape(secret), url.PathEscape(secret),
		base64.StdEncoding.EncodeToString([]byte(secret)), base64.URLEncoding.EncodeToString([]byte(secret)),
		fmt.Sprintf("%q", secret), secret[:len(secret)-2], secret[1:],
		strings.Repeat("~", 70) + secret, strings.Repeat("~", 30) + secret,
	}
}

// echoing serves responses that contain the secrets, each on a connection of its own, one
// after another.
func echoing(t *testing.T) (addr string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var answers []string
	for _, form := range echoes {
		for _, secret := range planted {
			for _, text := range append(encoded(secret), "Bearer "+secret) {
				answers = append(answers, strings.ReplaceAll(form, "%s", text))
			}
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := 0; ; n++ {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				// Each response is used: 7 and the number of responses have no common divisor.
				b := make([]byte, 4096)
				if n, err := conn.Read(b); n == 0 || err != nil {
					return
				}
				_, _ = io.WriteString(conn, answers[n*7%len(answers)])
			}()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	return l.Addr().String()
}

// pieces returns every 8 characters in a row of the secrets, in every encoding.
var pieces = func() map[string]bool {
	all := map[string]bool{}
	for _, secret := range planted {
		for _, form := range append(encoded(secret)[:10], hex.EncodeToString([]byte(secret))) {
			form = strings.ToLower(strings.Trim(form, `"=`))
			for i := range len(form) - 7 {
				all[form[i:i+8]] = true
			}
		}
	}
	return all
}()

// leaks returns the places in text that have a piece of a secret.
func leaks(text string) (found []string) {
	lower := strings.ToLower(text)
	for i := 0; i+8 <= len(lower) && len(found) < 5; i++ {
		if pieces[lower[i:i+8]] {
			found = append(found, text[max(i-60, 0):min(i+60, len(text))])
			i += 60
		}
	}
	return found
}

// leaksInFiles looks for leaks in every file below dir, decompressed if need be.
func leaksInFiles(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if strings.HasSuffix(path, ".zst") {
			z, err := zstd.NewReader(bytes.NewReader(data))
			if err != nil {
				return err
			}
			defer z.Close()
			if data, err = io.ReadAll(z); err != nil {
				return err
			}
			if connections := strings.HasPrefix(filepath.Base(path), "connections."); !connections && !bytes.Contains(data, []byte("(blanked)")) {
				t.Errorf("%s: no answer with a secret is in the record:\n%.300s", path, data)
			}
		}
		for _, leak := range leaks(string(data) + path) {
			t.Errorf("%s: %q", filepath.Base(path), leak)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestACredentialThatComesBackIsNowhere sends secrets to a server that returns them in every
// part of its responses, and looks for them in everything that kabench writes.
func TestACredentialThatComesBackIsNowhere(t *testing.T) {
	for _, client := range []string{"policy", "stock"} {
		for _, kind := range []string{"profile", "http", "json"} {
			t.Run(client+"/"+kind, func(t *testing.T) {
				t.Parallel()
				sendSecrets(t, client, kind)
			})
		}
	}
}

func sendSecrets(t *testing.T, client, kind string) {
	dir := t.TempDir()
	to := "http://zyxwvuts:" + url.QueryEscape(password) + "@" + echoing(t) + "/a?x=1&sig=" + url.QueryEscape(querySig) + "#" + longOne
	headers := http.Header{
		"Authorization": {"Bearer " + token}, "Cookie": {"a=1; sid=" + cookie}, "X-Api-Key": {apiKey}, "X-Session": {longOne},
	}
	profile := fmt.Sprintf("name: p\nclient: %s\nload: {rate: 1600/s, duration: 500ms, timeout: 1s, max_lag: 0s}\ntarget:\n", client)
	switch kind {
	case "profile":
		profile += fmt.Sprintf("  url: %q\n  headers:\n", to)
		for name, values := range headers {
			profile += fmt.Sprintf("    %s: %q\n", name, values[0])
		}
		profile += fmt.Sprintf("  body: 'again %s'\nremedies:\n- name: r\n  set: {target.headers.Authorization: '%s'}\n  expect: {counts.failed: 0}\n", token, token)
	case "http":
		text := "GET " + to + "\n"
		for name, values := range headers {
			text += name + ": " + values[0] + "\n"
		}
		write(t, filepath.Join(dir, "targets"), text)
		profile += "  file: " + filepath.Join(dir, "targets") + "\n"
	case "json":
		text := fmt.Sprintf("{\"method\":\"GET\",\"url\":%q,\"header\":{", to)
		for name, values := range headers {
			text += fmt.Sprintf("%q:[%q],", name, values[0])
		}
		write(t, filepath.Join(dir, "targets"), strings.TrimSuffix(text, ",")+"}}\n")
		profile += "  file: " + filepath.Join(dir, "targets") + "\n  format: json\n"
	}
	file := filepath.Join(dir, "p.yaml")
	write(t, file, profile)

	results := filepath.Join(dir, "results")
	if err := os.Mkdir(results, 0o700); err != nil {
		t.Fatal(err)
	}
	first, second := filepath.Join(results, "1"), filepath.Join(results, "2")
	kabench := func(args ...string) string {
		t.Helper()
		var out, chatter bytes.Buffer
		c := exec.Command("kabench", args...) // a process: net/http writes to its standard error
		c.Stdout, c.Stderr = &out, &chatter
		if err := c.Run(); exit.Code(c.ProcessState.ExitCode()) == exit.Input || c.ProcessState.ExitCode() < 0 {
			t.Fatalf("%q: %v: %s", args, err, &chatter)
		}
		for _, leak := range leaks(out.String() + chatter.String()) {
			t.Errorf("%q: %q", args, leak)
		}
		return out.String()
	}
	if text := kabench("run", file, "--out", first, "--trace="+filepath.Join(results, "trace.txt"), "--live", ":0"); !strings.Contains(text, "malformed") {
		t.Errorf("no answer was malformed:\n%s", text)
	}
	kabench("run", file, "--out", second, "--json", "--trace")
	kabench("compare", first, second)
	kabench("compare", first, second, "--json")
	for _, format := range []string{"csv", "vegeta", "markdown", "junit", "bench", "hdrhistogram", "json"} {
		kabench("export", first, "--format", format, "-o", filepath.Join(results, "export."+format))
	}
	kabench("report", first)
	kabench("report", first, "--json")
	kabench("report", first, "-o", filepath.Join(results, "page.html"))
	kabench("publish", first, "--site", filepath.Join(results, "site"))
	kabench("publish", second, "--show-hosts", "--site", filepath.Join(results, "open"))
	leaksInFiles(t, results)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
