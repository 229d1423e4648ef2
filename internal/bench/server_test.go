package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// eachServer runs a test with the system's own server and with the one any
// system has.
func eachServer(t *testing.T, test func(t *testing.T, srv server, addr string)) {
	for name, start := range map[string]func() (server, error){
		"own": newServer,
		"net": func() (server, error) { return newNetServer(), nil },
	} {
		t.Run(name, func(t *testing.T) {
			srv, err := start()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := srv.close(); err != nil {
					t.Errorf("close: %v", err)
				}
			})
			addr, err := srv.listen("127.0.0.1", overHTTP)
			if err != nil {
				t.Fatal(err)
			}
			if err := srv.do(func(r *recording) { r.reset(100, false) }); err != nil {
				t.Fatal(err)
			}
			test(t, srv, addr)
		})
	}
}

// look returns a copy of the recording.
func look(t *testing.T, srv server) recording {
	t.Helper()
	var r recording
	if err := srv.do(func(live *recording) { r = *live; r.stamps = slices.Clone(live.stamps) }); err != nil {
		t.Fatal(err)
	}
	return r
}

func dial(t *testing.T, addr string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	return conn, bufio.NewReader(conn)
}

func send(t *testing.T, w io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
}

// receive reads one answer and reports whether it says that the connection ends.
func receive(t *testing.T, r *bufio.Reader) (ends bool) {
	t.Helper()
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatalf("reading an answer: %v", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 || string(body) != "ok" {
		t.Fatalf("answer %d %q, %v", res.StatusCode, body, err)
	}
	return res.Close
}

const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

func TestServerStampsEachRequest(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server, addr string) {
		for range 2 {
			conn, r := dial(t, addr)
			for range 3 {
				send(t, conn, get)
				if receive(t, r) {
					t.Error("an answer ends a connection that is to be kept")
				}
			}
		}
		rec := look(t, srv)
		if rec.requests != 6 || len(rec.stamps) != 6 || rec.accepted != 2 || rec.used != 2 || rec.open != 2 || rec.peak != 2 {
			t.Errorf("%d requests, %d stamps; %d connections, %d used, %d open, at most %d; want 6 and 6; 2 of each",
				rec.requests, len(rec.stamps), rec.accepted, rec.used, rec.open, rec.peak)
		}
		if !slices.IsSorted(rec.stamps) || rec.stamps[0] == rec.stamps[5] {
			t.Errorf("stamps %v: want them in order, and not all the same", rec.stamps)
		}
	})
}

func TestServerAnswersPipelinedRequests(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server, addr string) {
		conn, r := dial(t, addr)
		send(t, conn, strings.Repeat(get, 7)+"GET / HT")
		for range 7 {
			receive(t, r)
		}
		send(t, conn, "TP/1.1\r\nHost: a\r\n\r\n")
		receive(t, r)
		if rec := look(t, srv); rec.requests != 8 || rec.used != 1 {
			t.Errorf("%d requests on %d connections, want 8 on 1", rec.requests, rec.used)
		}
	})
}

// A client that sends much faster than it reads gets every response anyway.
func TestServerOwesAnswers(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server, addr string) {
		const requests = 200_000 // their answers are more than a socket's buffers hold
		conn, _ := dial(t, addr)
		sent := make(chan error, 1)
		go func() {
			_, err := io.WriteString(conn, strings.Repeat(get, requests-1)+"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
			sent <- err
		}()
		got, err := io.ReadAll(conn)
		if err != nil {
			t.Fatal(err)
		}
		if want := string(bytes.Repeat(answer, requests-1)) + string(answerClose); string(got) != want {
			t.Errorf("%d bytes of answers, want %d, or others than these", len(got), len(want))
		}
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
		rec := look(t, srv)
		if rec.requests != requests || len(rec.stamps) != 100 {
			t.Errorf("%d requests and %d stamps, want %d and the 100 there is room for", rec.requests, len(rec.stamps), requests)
		}
	})
}

func TestServerReadsRequestsInParts(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server, addr string) {
		conn, r := dial(t, addr)
		for _, part := range []string{"G", "ET / HTTP/1.1\r", "\nHost: a\r\n", "\r", "\n"} {
			if rec := look(t, srv); rec.requests != 0 {
				t.Errorf("before %q: counted already", part)
			}
			send(t, conn, part)
		}
		receive(t, r)
		if rec := look(t, srv); rec.requests != 1 {
			t.Errorf("%d requests, want 1", rec.requests)
		}
	})
}

func TestServerCloses(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server, addr string) {
		ended := func(request string) {
			t.Helper()
			conn, r := dial(t, addr)
			send(t, conn, request)
			if !receive(t, r) {
				t.Errorf("%q: the answer does not say that the connection ends", request)
			}
			if _, err := r.ReadByte(); err != io.EOF {
				t.Errorf("%q: %v after the answer, want EOF", request, err)
			}
		}
		ended("GET / HTTP/1.1\r\nconnection:  Close \r\n\r\n")
		if err := srv.do(func(r *recording) { r.reset(1, true) }); err != nil {
			t.Fatal(err)
		}
		ended(get)
		if rec := look(t, srv); rec.open != 0 || rec.accepted != 1 || rec.used != 1 {
			t.Errorf("%d open, %d accepted, %d used since the reset; want 0, 1 and 1", rec.open, rec.accepted, rec.used)
		}
	})
}

func TestServerEndsEndlessHeads(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server, addr string) {
		conn, r := dial(t, addr)
		send(t, conn, "GET / HTTP/1.1\r\nX: "+strings.Repeat("x", maxHead))
		if _, err := r.ReadByte(); err == nil {
			t.Error("the connection lives")
		}
		if rec := look(t, srv); rec.broken != 1 || rec.requests != 0 {
			t.Errorf("%d broken, %d requests; want 1 and 0", rec.broken, rec.requests)
		}
	})
}

func TestResetKeepsConnections(t *testing.T) {
	eachServer(t, func(t *testing.T, srv server, addr string) {
		conn, r := dial(t, addr)
		send(t, conn, get)
		receive(t, r)
		if err := srv.do(func(r *recording) { r.reset(5, false) }); err != nil {
			t.Fatal(err)
		}
		if rec := look(t, srv); rec.requests != 0 || rec.used != 0 || rec.accepted != 1 || rec.open != 1 || rec.peak != 1 {
			t.Errorf("after a reset: %d requests, %d used, %d accepted, %d open, at most %d; want 0, 0, 1, 1, 1",
				rec.requests, rec.used, rec.accepted, rec.open, rec.peak)
		}
		send(t, conn, get)
		receive(t, r)
		if rec := look(t, srv); rec.requests != 1 || rec.used != 1 {
			t.Errorf("then %d requests on %d connections, want 1 on 1", rec.requests, rec.used)
		}
	})
}

func TestHeads(t *testing.T) {
	for _, test := range []struct {
		data string
		each bool
		n    int
		last bool
		rest string
	}{
		{"", false, 0, false, ""},
		{"GET / HTTP/1.1\r\n", true, 0, false, "GET / HTTP/1.1\r\n"},
		{"GET / HTTP/1.1\r\nHost: a\r\n", false, 0, false, "GET / HTTP/1.1\r\nHost: a\r\n"},
		{get + get + "GE", false, 2, false, "GE"},
		{"GET / HTTP/1.0\nHost: a\n\n", false, 1, false, ""},
		{"\r\n" + get, false, 1, false, ""},
		{get + get, true, 1, true, get},
		{get + "GET / HTTP/1.1\r\nCONNECTION:close\r\n\r\n" + get, false, 2, true, get},
		{"GET / HTTP/1.1\r\nConnection: keep-alive\r\n\r\n", false, 1, false, ""},
		{"GET /connection:close HTTP/1.1\r\nX-Connection: close\r\n\r\n", false, 1, false, ""},
	} {
		n, last, rest := heads([]byte(test.data), test.each)
		if n != test.n || last != test.last || string(rest) != test.rest {
			t.Errorf("heads(%q, %t) = %d, %t, %q; want %d, %t, %q", test.data, test.each, n, last, rest, test.n, test.last, test.rest)
		}
	}
}

// FuzzHeads: what is read in two parts counts as it does in one.
func FuzzHeads(f *testing.F) {
	f.Add([]byte(get+get+"GET"), 10)
	f.Add([]byte("GET / HTTP/1.1\r\nConnection: close\r\n\r\n"+get), 17)
	f.Fuzz(func(t *testing.T, data []byte, cut int) {
		if cut < 0 || cut > len(data) || len(data) > maxHead {
			return
		}
		whole, parts := newRecording(), newRecording()
		var one, two stream
		want, last, _ := whole.took(&one, slices.Clone(data), 1)
		got, lastGot, _ := parts.took(&two, slices.Clone(data[:cut]), 1)
		if !lastGot {
			var more int
			more, lastGot, _ = parts.took(&two, slices.Clone(data[cut:]), 1)
			got += more
		}
		if got != want || lastGot != last {
			t.Errorf("%q cut at %d: %d requests, last %t; whole: %d, %t", data, cut, got, lastGot, want, last)
		}
	})
}

func TestRecorderProcess(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	rec, err := startRecorder(exe)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := rec.close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}()
	addr, err := rec.listen("127.0.0.1", overHTTP)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rec.listen("not an address", overTLS); err == nil || !strings.Contains(err.Error(), "not an address") {
		t.Errorf("listening on no address: %v", err)
	}
	if err := rec.reset(10, false); err != nil {
		t.Fatal(err)
	}
	conn, r := dial(t, addr)
	for range 12 {
		send(t, conn, get)
		receive(t, r)
	}
	if requests, open, err := rec.count(); requests != 12 || open != 1 || err != nil {
		t.Errorf("count: %d requests, %d open, %v; want 12 and 1", requests, open, err)
	}
	conn.Close()
	if err := rec.idle(context.Background()); err != nil {
		t.Error(err)
	}
	s, err := rec.take()
	if err != nil {
		t.Fatal(err)
	}
	if s.requests != 12 || len(s.stamps) != 10 || s.accepted != 1 || s.used != 1 || s.peak != 1 || s.open != 0 {
		t.Errorf("take: %+v; want 12 requests, 10 stamps, 1 connection, none open", s)
	}
	if !slices.IsSorted(s.stamps) || s.stamps[0] != s.first || s.first <= 0 || s.last < s.stamps[9] {
		t.Errorf("stamps %v from %d to %d: want them in order, above 0 and within", s.stamps, s.first, s.last)
	}
}

// over TLS, with and without sessions: each request is stamped and answered, whether it
// comes at once, in parts, or together with others, and the end is announced.
func TestServerOverTLS(t *testing.T) {
	for name, start := range map[string]func() (server, error){
		"own": newServer,
		"net": func() (server, error) { return newNetServer(), nil },
	} {
		for _, as := range []manner{overTLS, overResume} {
			t.Run(name+" "+as.String(), func(t *testing.T) {
				srv, err := start()
				if err != nil {
					t.Fatal(err)
				}
				defer func() {
					if err := srv.close(); err != nil {
						t.Errorf("close: %v", err)
					}
				}()
				addr, err := srv.listen("127.0.0.1", as)
				if err != nil {
					t.Fatal(err)
				}
				if err := srv.do(func(r *recording) { r.reset(100, false) }); err != nil {
					t.Fatal(err)
				}
				config := &tls.Config{InsecureSkipVerify: true, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
				for range 3 {
					plain, _ := dial(t, addr)
					conn := tls.Client(plain, config)
					r := bufio.NewReader(conn)
					for i := range len(get) { // each byte in a record of its own
						send(t, conn, get[i:i+1])
					}
					receive(t, r)
					send(t, conn, get+get+get[:9])
					receive(t, r)
					receive(t, r)
					send(t, conn, get[9:])
					receive(t, r)
					send(t, conn, strings.Replace(get, "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1))
					if !receive(t, r) {
						t.Error("the answer does not say that the connection ends")
					}
					if n, err := r.Read(make([]byte, 1)); err != io.EOF {
						t.Errorf("after the last answer: %d bytes, %v; want the end, announced", n, err)
					}
				}
				plain, _ := dial(t, addr)
				send(t, plain, get) // is no handshake
				if _, err := io.Copy(io.Discard, plain); err != nil {
					t.Errorf("no handshake: %v", err)
				}
				r := look(t, srv)
				for end := time.Now().Add(10 * time.Second); r.open > 0 && time.Now().Before(end); r = look(t, srv) {
					time.Sleep(time.Millisecond)
				}
				want := int64(0)
				if as == overResume {
					want = 2 // not the first
				}
				if r.requests != 15 || len(r.stamps) != 15 || r.used != 3 || r.accepted != 4 || r.open != 0 || r.shaken != 3 || r.broken != 1 || r.resumed != want {
					t.Errorf("%d requests, %d stamps, %d connections used of %d, %d open, %d handshakes, %d broken, %d resumed; want 15, 15, 3, 4, 0, 3, 1, %d",
						r.requests, len(r.stamps), r.used, r.accepted, r.open, r.shaken, r.broken, r.resumed, want)
				}
			})
		}
	}
}
