package dialers

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/profiles/script"
	"github.com/kabench/kabench/results"
)

// With Expect: 100-continue the body waits for the server's word: it is sent when
// that comes, or none does, and not when the server answers instead.
func TestExpectContinue(t *testing.T) {
	const size = 1 << 20
	// The response comes well after the body, so that its stamp is later than the
	// body's on a busy machine too.
	late := script.Delay{A: 100 * time.Millisecond}
	for name, test := range map[string]struct {
		cfg   script.Server
		phase results.Phase
		body  bool // it is sent
		took  time.Duration
	}{
		"wanted":        {script.Server{Delay: late}, results.PhaseDone, true, 0},
		"wanted, tls":   {script.Server{TLS: true, Delay: late}, results.PhaseDone, true, 0},
		"not wanted":    {script.Server{Upload: script.AnswerClose}, results.PhaseDone, false, 0},
		"no word":       {script.Server{Version: script.HTTP10}, results.PhaseDone, true, continueTimeout},
		"closed":        {script.Server{Upload: script.AnswerClose, Fault: script.CloseBeforeResponse}, results.PhaseWriteBody, false, 0},
		"reset":         {script.Server{Upload: script.AnswerClose, Fault: script.ResetBeforeResponse}, results.PhaseWriteBody, false, 0},
		"while sending": {script.Server{Fault: script.ResetWhileReading}, results.PhaseWriteBody, true, 0},
	} {
		for _, liveness := range []pool.Liveness{pool.Events, pool.None} {
			t.Run(name+" "+liveness.String(), func(t *testing.T) {
				t.Parallel()
				server := serve(t, test.cfg)
				bytes := size
				if test.phase == results.PhaseWriteBody {
					bytes = 16 << 20 // more than the sockets hold
				}
				r, err := NewRequest("POST", server.URL(), http.Header{"Expect": {"100-continue"}}, make([]byte, bytes))
				if err != nil {
					t.Fatal(err)
				}
				policy := pool.Default()
				policy.Liveness = liveness
				c := newClient(t, policy, &Dialer{TLS: trust(server)}, long, r)
				for range 2 { // the second on the first one's connection, if it was kept
					e := c.do(t)
					if e.Phase != test.phase {
						t.Fatalf("%v/%v: %v", e.Phase, e.Cause, e.Err)
					}
					if sent := e.BytesOut > int64(r.head); sent != test.body {
						t.Errorf("%d bytes written, the head is %d", e.BytesOut, r.head)
					}
					if e.Done-e.Due < test.took {
						t.Errorf("over after %v, want %v at least", e.Done-e.Due, test.took)
					}
					if e.OK() && e.FirstByte < e.Wrote {
						t.Errorf("the word is taken for the response: first byte %v, written %v", e.FirstByte, e.Wrote)
					}
				}
			})
		}
	}
}

// What comes with the word in one read, and after it, is of the response: if no
// more comes, the connection ended in the response's head and not before it.
func TestHeadBegunWithTheWord(t *testing.T) {
	const word = "HTTP/1.1 100 Continue\r\n\r\n"
	for name, test := range map[string]struct{ with, want string }{
		"nothing":        {"", "before_response/fin"},
		"a part":         {"HTTP/1.1 200 O", "response_headers/fin"},
		"another word":   {word, "before_response/fin"},
		"word and part":  {word + "H", "response_headers/fin"},
		"the whole head": {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "during_response/truncated"},
		"the whole":      {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "done/"},
	} {
		t.Run(name, func(t *testing.T) {
			ln := listen(t)
			go func() {
				conn, err := ln.Accept()
				if err != nil {
					return
				}
				defer conn.Close()
				r, err := http.ReadRequest(bufio.NewReader(conn))
				if err != nil {
					return
				}
				io.WriteString(conn, word+test.with)
				io.Copy(io.Discard, r.Body) // or the close would be a reset
				conn.(*net.TCPConn).CloseWrite()
				io.Copy(io.Discard, conn)
			}()
			r, err := NewRequest("POST", "http://"+ln.Addr().String(), http.Header{"Expect": {"100-continue"}}, make([]byte, 10))
			if err != nil {
				t.Fatal(err)
			}
			e := newClient(t, pool.Default(), &Dialer{}, long, r).do(t)
			if outcome(e) != test.want {
				t.Errorf("got %s: %v; want %s", outcome(e), e.Err, test.want)
			}
			if begun := e.Phase != results.PhaseBeforeResponse; begun != (e.FirstByte != results.Never) {
				t.Errorf("%s, but the first byte at %v", outcome(e), e.FirstByte)
			}
			if want := int64(len(word + test.with)); e.BytesIn != want {
				t.Errorf("%d bytes came in, want %d", e.BytesIn, want)
			}
		})
	}
}
