package dialers

import (
	"bufio"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/results"
)

// heads answers every request on a port of its own and hands over the lines of
// each head as they came.
func heads(t *testing.T) (url string, got <-chan []string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	all := make(chan []string, 8)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			var lines []string
			for r := bufio.NewReader(c); ; {
				line, err := r.ReadString('\n')
				if err != nil || line == "\r\n" {
					break
				}
				lines = append(lines, strings.TrimSpace(line))
			}
			all <- lines
			_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"))
			c.Close()
		}
	}()
	return "http://" + l.Addr().String() + "/", all
}

// Names of headers are sent as they are spelled; what net/http writes itself
// comes once.
func TestHeadersKeepTheirSpelling(t *testing.T) {
	url, got := heads(t)
	r, err := NewRequest("GET", url, http.Header{
		"SOAPAction": {`"urn:x#y"`}, "X-ACCOUNT-ID": {"1"}, "x-a": {"1"}, "X-A": {"2"}, "user-agent": {"mine"}, "host": {"other"}, "connection": {"close"},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !r.last || !r.Numbered().last {
		t.Error("connection: close is not seen in small letters")
	}
	stock := NewStock(&Dialer{}, []*Request{r}, long)
	defer stock.Close()
	policy := newClient(t, pool.Default(), &Dialer{}, long, r)
	for name, perform := range map[string]func() *results.Exchange{
		"policy": func() *results.Exchange { return do(t.Context(), policy, policy.now) },
		"stock":  func() *results.Exchange { return do(t.Context(), stock, stock.now) },
	} {
		if e := perform(); !e.OK() {
			t.Fatalf("%s: %+v", name, e)
		}
		lines := <-got
		for _, want := range []string{`SOAPAction: "urn:x#y"`, "X-ACCOUNT-ID: 1", "x-a: 1", "X-A: 2", "user-agent: mine", "Host: other"} {
			if !slices.Contains(lines, want) {
				t.Errorf("%s: no %q in %q", name, want, lines)
			}
		}
		for _, once := range []string{"user-agent:", "host:", "connection:"} {
			n := 0
			for _, line := range lines {
				if strings.HasPrefix(strings.ToLower(line), once) {
					n++
				}
			}
			if n != 1 {
				t.Errorf("%s: %d times %s in %q", name, n, once, lines)
			}
		}
	}
}
