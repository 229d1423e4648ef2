package probepage

import (
	"crypto/sha256"
	"encoding/base64"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/probe"
)

// connection is one that the server closes at an idle age.
func connection(opened, idle time.Duration, backend string) evidence.Connection {
	at := func(d time.Duration) time.Duration { return opened + d }
	return evidence.Connection{
		Client: netip.MustParseAddrPort("127.0.0.1:40000"), Server: netip.MustParseAddrPort("127.0.0.1:80"),
		Opened: opened, Ready: at(time.Millisecond), RoundTrip: time.Millisecond, Half: evidence.NotSeen,
		Exchanges: []evidence.Exchange{{Sent: at(2 * time.Millisecond), First: at(3 * time.Millisecond), Done: at(3 * time.Millisecond), Status: 200, Backend: backend}},
		Close:     evidence.Close{Basis: evidence.Seen, By: evidence.ByServer, How: evidence.FIN, At: at(3*time.Millisecond) + idle, FIN: evidence.NotSeen},
		Until:     at(3*time.Millisecond) + idle, Slack: 100 * time.Microsecond,
	}
}

func document(sites ...probe.Site) probe.Document {
	r := probe.Result{URL: "http://api.example/", Began: time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC), Took: 9 * time.Second, Requests: 20, Connections: 20, Sites: sites}
	return r.Document("devel", probe.Options{})
}

func written(t *testing.T, d probe.Document) string {
	t.Helper()
	var b strings.Builder
	if err := Write(&b, d); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestPage(t *testing.T) {
	site := probe.Site{Address: netip.MustParseAddrPort("127.0.0.1:80"), Notes: []string{"a note"}}
	for i := range 20 {
		site.Connections = append(site.Connections, connection(time.Duration(i)*103*time.Millisecond, 5*time.Second+time.Duration(i)*200*time.Microsecond, ""))
	}
	site.Late = []probe.LateRequest{{Idle: 4.9, Met: "response"}, {Idle: 5.001, Met: "rst"}, {Idle: 5.5, Met: "408"}}
	d := document(site)
	text := written(t, d)
	for _, want := range []string{d.Servers[0].Says, "a note", "met an RST", "got a 408", "sent 20 requests on 20 connections", `class="band"`, `aria-label="20 idle connections`} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if n := strings.Count(text, `<circle class="close"`); n != 20 {
		t.Errorf("%d closes are drawn, want 20", n)
	}
	if strings.Contains(text, "<script") || strings.Contains(text, "NaN") || strings.Contains(text, "ZgotmplZ") {
		t.Error("the page has a script, or a place without a number")
	}
	_, style, _ := strings.Cut(text, "<style>")
	style, _, _ = strings.Cut(style, "</style>")
	sum := sha256.Sum256([]byte(style))
	if hash := base64.StdEncoding.EncodeToString(sum[:]); !strings.Contains(text, strings.ReplaceAll(hash, "+", "&#43;")) {
		t.Error("the policy does not allow the page's own style")
	}
}

// What a server says is text, and no markup.
func TestHostileServer(t *testing.T) {
	const hostile = `<script>alert(1)</script>` + "\x1b[31m"
	site := probe.Site{Address: netip.MustParseAddrPort("127.0.0.1:80"), Notes: []string{hostile}}
	for i := range 12 {
		site.Connections = append(site.Connections, connection(time.Duration(i)*time.Millisecond, 5*time.Second, hostile+string(rune('a'+i%2))))
	}
	text := written(t, document(site))
	if strings.Contains(text, "<script") || strings.Contains(text, "\x1b") {
		t.Error("what the server said is in the page as markup")
	}
	if !strings.Contains(text, "&lt;script&gt;") {
		t.Error("what the server said is not in the page")
	}
}

func TestPageWithoutCloses(t *testing.T) {
	for name, site := range map[string]probe.Site{
		"nothing seen": {Address: netip.MustParseAddrPort("127.0.0.1:80")},
		"one close":    {Address: netip.MustParseAddrPort("127.0.0.1:80"), Connections: []evidence.Connection{connection(0, time.Second, "")}},
		"unreachable":  {Address: netip.MustParseAddrPort("127.0.0.1:80"), Err: netipError{}},
	} {
		if text := written(t, document(site)); strings.Contains(text, "NaN") || !strings.Contains(text, "</html>") {
			t.Errorf("%s: %s", name, text)
		}
		if text := written(t, document(site, site)); !strings.Contains(text, "2 addresses") {
			t.Errorf("%s twice: %s", name, text)
		}
	}
}

type netipError struct{}

func (netipError) Error() string { return "nothing listens" }
