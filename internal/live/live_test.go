package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/page"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// exchange is one that is ok, or that failed, after 20 ms.
func exchange(seq uint64, failed bool) *results.Exchange {
	e := &results.Exchange{}
	e.Reset(seq, time.Duration(seq)*10*time.Millisecond)
	e.Start, e.Leased = e.Due, e.Due
	e.Wrote, e.WroteHeaders = e.Due+time.Millisecond, e.Due+time.Millisecond
	e.Done, e.Conn, e.Use, e.Attempts = e.Due+20*time.Millisecond, 1, int(seq)+1, 1
	e.Phase, e.Status = results.PhaseDone, 200
	if failed {
		e.Phase, e.Cause, e.Err, e.Status = results.PhaseBeforeResponse, results.CauseFIN, errors.New("EOF"), 0
	}
	return e
}

func begun() *results.Run {
	return &results.Run{Name: "mine", Question: "Does it?", Start: time.Now(), Profile: []byte(`{}`), Warnings: []string{}}
}

func start(t *testing.T, at string, feed *Feed) *Server {
	t.Helper()
	s, err := Start(at, feed)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(t.Context(), 0) })
	return s
}

// get is the answer to a request with that method and Host header.
func get(t *testing.T, s *Server, method, path, host string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if host != "" {
		r.Host = host
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(body)
}

func dataOf(t *testing.T, s *Server) *page.Data {
	t.Helper()
	answer, body := get(t, s, "GET", "data.json", "")
	d := &page.Data{}
	if err := json.Unmarshal([]byte(body), d); err != nil || answer.StatusCode != 200 || answer.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("%v, %v: %.100s", answer.Status, err, body)
	}
	return d
}

// What is observed is seen, and at the end the document's own figures.
func TestPageFollowsARun(t *testing.T) {
	feed := NewFeed()
	s := start(t, ":0", feed)
	if d := dataOf(t, s); !d.Live || len(d.Runs) != 0 || !strings.Contains(d.Headline.Answer, "not begun") {
		t.Errorf("before the run: %+v", d)
	}
	feed.Begin(begun())
	for i := range uint64(100) {
		feed.Observe(exchange(i, i%10 == 0))
	}
	feed.Sample(results.Sample{T: 0.1, Leased: 3, Opened: 7})
	var d *page.Data
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if d = dataOf(t, s); len(d.Runs) == 1 && d.Runs[0].Doc.Counts.Started == 100 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("100 exchanges were not seen in a minute: %+v", d)
		}
	}
	r := d.Runs[0]
	if !d.Live || r.Doc.Counts.Failed != 10 || len(r.Flow.Failed["before_response / fin"]) == 0 || r.Doc.Connections.Opened != 7 || len(r.Lifelines.Lanes) != 1 {
		t.Errorf("%+v", r)
	}
	answer, html := get(t, s, "GET", "", "")
	if answer.StatusCode != 200 || !strings.HasPrefix(answer.Header.Get("Content-Type"), "text/html") || !strings.Contains(html, `"started":100`) || !strings.Contains(html, "Does it?") {
		t.Errorf("%v, %.200s", answer.Status, html)
	}

	feed.Ended(&results.ConnectionEnd{Conn: r.Lifelines.Lanes[0].Conn, Ended: time.Second, Closed: time.Second, Idle: 500 * time.Millisecond, By: results.EndUs, How: results.HowFIN, Reason: "shutdown"})
	doc := begun()
	doc.Valid, doc.Complete, doc.Counts = true, true, results.Counts{Due: 12345, Started: 12345, OK: 12345}
	feed.End(doc)
	if d = dataOf(t, s); d.Live || d.Runs[0].Doc.Counts.Started != 12345 {
		t.Errorf("at the end: live %v, %+v", d.Live, d.Runs[0].Doc.Counts)
	}
	if how := d.Runs[0].Lifelines.Lanes[0].How; how != "closed by us (FIN) after 500 ms idle: the end of the run" {
		t.Errorf("how the connection ended: %s", how)
	}
}

// What comes too fast is counted, and costs no memory and no waiting.
func TestFeedIsBounded(t *testing.T) {
	feed := NewFeed()
	for i := range uint64(3 * queued) {
		feed.Observe(exchange(i, false)) // nobody gathers
	}
	if len(feed.queue.list) != queued || cap(feed.queue.list) != queued || feed.queue.missed != 2*queued {
		t.Errorf("%d queued, %d missed", len(feed.queue.list), feed.queue.missed)
	}
	feed.Begin(begun())
	feed.End(begun())
	data, over := feed.Data()
	if d, err := decoded(data); err != nil || !over || len(d.Notes) != 1 || !strings.Contains(d.Notes[0], "32768 exchanges came faster") {
		t.Errorf("over %v, %v: %+v", over, err, d)
	}
}

// A Feed that passes on what another has made asks for it only when asked.
func TestFeedFromElsewhere(t *testing.T) {
	feed := NewFeed()
	asked := 0
	feed.From(func() { asked++ })
	if data, over := feed.Data(); over || string(data) != string(notBegun) || asked != 1 {
		t.Errorf("over %v, asked %d", over, asked)
	}
	feed.Data() // so soon after it is not asked for again
	feed.Put([]byte(`{"title":"a"}`), false)
	if data, over := feed.Data(); over || string(data) != `{"title":"a"}` || asked != 1 {
		t.Errorf("%s, asked %d", data, asked)
	}
	feed.Put([]byte(`{"title":"b"}`), true)
	if data, over := feed.Data(); !over || string(data) != `{"title":"b"}` {
		t.Errorf("%s", data)
	}
}

func TestOnlyOurOwnAddressIsServed(t *testing.T) {
	s := start(t, ":0", NewFeed())
	_, port, _ := net.SplitHostPort(strings.Trim(strings.TrimPrefix(s.URL(), "http://"), "/"))
	if !s.Alone() || s.URL() != "http://127.0.0.1:"+port+"/" {
		t.Errorf("%s, alone %v", s.URL(), s.Alone())
	}
	for host, want := range map[string]int{
		"127.0.0.1:" + port: 200, "localhost:" + port: 200, "LOCALHOST.:" + port: 200, "[::1]:" + port: 200,
		"attacker.example:" + port: 421, "attacker.example": 421, "127.0.0.1": 421, "127.0.0.1:1": 421, "127.0.0.1.attacker.example:" + port: 421,
		"192.0.2.1:" + port: 421, "localhost.attacker.example:" + port: 421, "x:y:z": 421,
	} {
		if answer, body := get(t, s, "GET", "data.json", host); answer.StatusCode != want || want != 200 && strings.Contains(body, "headline") {
			t.Errorf("Host %s: %v, want %d", host, answer.Status, want)
		}
	}
	for method, want := range map[string]int{"POST": 405, "PUT": 405, "DELETE": 405, "OPTIONS": 405, "HEAD": 405} {
		if answer, _ := get(t, s, method, "data.json", ""); answer.StatusCode != want || answer.Header.Get("Allow") != "GET" {
			t.Errorf("%s: %v", method, answer.Status)
		}
	}
	for _, path := range []string{"x", "../etc/passwd", "data.json/", "run.json"} {
		if answer, _ := get(t, s, "GET", path, ""); answer.StatusCode != 404 {
			t.Errorf("%s: %v", path, answer.Status)
		}
	}
	answer, _ := get(t, s, "GET", "data.json", "")
	for name := range answer.Header {
		if strings.HasPrefix(name, "Access-Control-") {
			t.Errorf("other origins are let in: %s", name)
		}
	}
	if answer.Header.Get("X-Content-Type-Options") != "nosniff" || answer.Header.Get("Cross-Origin-Resource-Policy") != "same-origin" {
		t.Errorf("%v", answer.Header)
	}
}

// The last state is served until pages that are open have it, and no longer than
// was asked for.
func TestCloseWaitsForOpenPages(t *testing.T) {
	feed := NewFeed()
	s, err := Start(":0", feed)
	if err != nil {
		t.Fatal(err)
	}
	feed.Begin(begun())
	dataOf(t, s) // a page is open
	feed.End(begun())
	closed := make(chan struct{})
	go func() {
		s.Close(t.Context(), 0)
		close(closed)
	}()
	if d := dataOf(t, s); d.Live {
		t.Error("the last state is not the last")
	}
	<-closed
	if _, err := net.Dial("tcp", strings.Trim(strings.TrimPrefix(s.URL(), "http://"), "/")); err == nil {
		t.Error("it still serves")
	}

	// With a stay it is served until the context ends.
	s, err = Start(":0", NewFeed())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	closed = make(chan struct{})
	go func() {
		s.Close(ctx, time.Hour)
		close(closed)
	}()
	dataOf(t, s)
	cancel()
	<-closed
}

// Who announces more than is sent holds a connection for some seconds only: there
// are not many of them.
func TestSlowSendersDoNotShutOthersOut(t *testing.T) {
	t.Parallel()
	s := start(t, ":0", NewFeed())
	at := strings.TrimSuffix(strings.TrimPrefix(s.URL(), "http://"), "/")
	for range maxClients {
		conn, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: 9\r\n\r\n", at); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", s.URL(), nil)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatalf("nobody else gets an answer: %v", err)
	}
	answer.Body.Close()
}
