package autopsypage

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/autopsy"
	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/evidence/segments"
)

const ms = time.Millisecond

var (
	clientEnd = netip.MustParseAddrPort("10.0.0.1:40001")
	serverEnd = netip.MustParseAddrPort("10.0.0.2:8080")
)

// document is of 20 connections that the server closed after 5 s, and of one whose last
// request crossed the close.
func document(line string) Document {
	d := Document{Verdict: &autopsy.Verdict{Headline: "1 of 42 requests met the server's close: it closes.", Found: true, Requests: 42, Connections: 21, Incident: "idle-race", Files: []string{line}}}
	var all []evidence.Connection
	for n := range 21 {
		at := time.Duration(n) * 100 * ms
		c := evidence.Connection{
			Client: clientEnd, Server: serverEnd, Opened: at, Ready: at + 10*ms, RoundTrip: 10 * ms, Half: evidence.NotSeen, Since: at, Near: evidence.ByClient, Requests: 2,
			Close: evidence.Close{Basis: evidence.Seen, By: evidence.ByServer, How: evidence.FIN, At: at + 5*time.Second + time.Duration(n)*ms, FIN: evidence.NotSeen},
			Until: at + 6*time.Second, SYNs: 1,
		}
		for i := range 2 {
			sent := at - 100*ms + time.Duration(i)*50*ms
			c.Exchanges = append(c.Exchanges, evidence.Exchange{Sent: sent, First: sent + 10*ms, Done: sent + 11*ms, Status: 200})
		}
		one := autopsy.Lifeline{Connection: c, Number: n + 1}
		if n == 20 {
			u := evidence.Unanswered{
				Basis: evidence.Seen, Met: evidence.Crossed, Line: line, Number: 77, Nth: 3, Begun: c.Close.At - 2*ms, Sent: c.Close.At - 2*ms, Whole: true,
				First: evidence.NotSeen, Idle: 5 * time.Second, Reused: true, Apart: 2 * ms, Why: "neither knew of the other",
			}
			one.Unanswered = []evidence.Unanswered{u}
			one.Last = []autopsy.Packet{
				{At: u.Sent, Number: 77, FromClient: true, Flags: segments.FlagACK | segments.FlagPSH, Len: 40},
				{At: c.Close.At, Number: 78, Flags: segments.FlagFIN | segments.FlagACK},
				{At: c.Close.At + 8*ms, Number: 79, Flags: segments.FlagRST},
			}
			d.Verdict.Failures = []autopsy.Failure{{Unanswered: u, Client: clientEnd.String(), Server: serverEnd.String(), Close: c.Close}}
			d.Seen.Requests = append(d.Seen.Requests, autopsy.Request{Sent: u.Sent, Nth: 3, Idle: u.Idle, Failed: true, Met: u.Met})
		}
		all = append(all, one.Connection)
		d.Seen.Connections = append(d.Seen.Connections, one)
	}
	facts := evidence.Infer(all)
	d.Verdict.Servers = []autopsy.Server{{Address: serverEnd.String(), Sentence: facts.Sentence(), Facts: facts, Statements: facts.Statements(), Requests: 42}}
	d.Verdict.Cannot = []string{"When the close left: " + line}
	d.Advice = []string{"Close earlier: " + line}
	return d
}

func written(t *testing.T, d Document) string {
	t.Helper()
	var b strings.Builder
	if err := Write(&b, d); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	if strings.Contains(text, "NaN") || strings.Contains(text, "ZgotmplZ") || !strings.Contains(text, "</html>") {
		t.Error("the page has a place without a number, or no end")
	}
	return text
}

func TestPage(t *testing.T) {
	d := document("GET /late")
	text := written(t, d)
	for _, want := range []string{
		"1 of 42 requests met the server&#39;s close", "<p class=\"answer\">It closes.</p>", "GET /late: it crossed the close", "neither knew of the other", "the request, after 5.00 s idle",
		"the close, by the server", ">RST<", ">40 B<", `class="band"`, "Close earlier", "Not in the capture", d.Verdict.Servers[0].Sentence, "#21",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if n := strings.Count(text, `<circle class="close"`) + strings.Count(text, `<circle class="outside"`); n != 21 {
		t.Errorf("%d closes are drawn, want 21", n)
	}
}

// What a capture says is text, and no markup.
func TestHostileCapture(t *testing.T) {
	const hostile = `GET /<script>alert(1)</script>` + "\x1b[31m"
	text := written(t, document(hostile))
	if strings.Contains(text, "<script") || strings.Contains(text, "\x1b") {
		t.Error("what was captured is in the page as markup")
	}
	if !strings.Contains(text, "&lt;script&gt;") {
		t.Error("what was captured is not in the page")
	}
}

// A page is made of a verdict without failures, and of one that knows no server.
func TestPageOfNothing(t *testing.T) {
	d := document("GET /")
	d.Verdict.Failures, d.Seen.Connections = nil, d.Seen.Connections[:1]
	written(t, d)
	d.Seen = autopsy.Gathered{}
	written(t, d)
	d.Verdict = &autopsy.Verdict{Headline: "No request was seen on 3 connections."}
	if text := written(t, d); !strings.Contains(text, "No request was seen on 3 connections.") {
		t.Error("the page lacks the verdict")
	}
}
