package dialers

import (
	"io"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/kabench/kabench/dialers/pool"
)

// answersWith answers every request with the text and keeps the connection.
func answersWith(t *testing.T, text string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for buf := make([]byte, 4096); ; {
					if _, err := c.Read(buf); err != nil {
						return
					}
					io.WriteString(c, text)
				}
			}()
		}
	}()
	return "http://" + l.Addr().String() + "/"
}

// Whether a connection is kept after an answer, by what the answer says and by the
// policy.
func TestConnectionIsKept(t *testing.T) {
	http10 := func(how pool.HTTP10) func(*pool.Policy) { return func(p *pool.Policy) { p.HTTP10 = how } }
	hint := func(needs bool) func(*pool.Policy) {
		return func(p *pool.Policy) {
			p.ServerHint, p.HintMargin, p.HintIfKeepAlive = pool.HintReplace, time.Second, needs
		}
	}
	const (
		old, now = "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"
		keep     = "Connection: keep-alive\r\n"
		closes   = "Connection: close\r\n"
		short    = "Keep-Alive: timeout=1\r\n" // nothing is left of it
	)
	for name, test := range map[string]struct {
		change func(*pool.Policy)
		answer string
		kept   bool
	}{
		"1.0, ask":                      {http10(pool.HTTP10Ask), old, false},
		"1.0 keep-alive, ask":           {http10(pool.HTTP10Ask), old + keep, true},
		"1.0, keep":                     {http10(pool.HTTP10Keep), old, true},
		"1.0 close, keep":               {http10(pool.HTTP10Keep), old + closes, false},
		"1.0 until the end, keep":       {http10(pool.HTTP10Keep), "HTTP/1.0 204 No\r\n", true},
		"1.0 keep-alive, never":         {http10(pool.HTTP10Never), old + keep, false},
		"1.1, never":                    {http10(pool.HTTP10Never), now, true},
		"hint alone":                    {hint(false), now + short, false},
		"hint alone, not looked at":     {hint(true), now + short, true},
		"hint and keep-alive":           {hint(true), now + keep + short, false},
		"hint and keep-alive in a list": {hint(true), now + "Connection: x, Keep-Alive\r\n" + short, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			policy := pool.Default()
			test.change(&policy)
			r, err := NewRequest("GET", answersWith(t, test.answer+"\r\n"), http.Header{}, nil)
			if err != nil {
				t.Fatal(err)
			}
			c, err := NewClient(Config{Policy: policy, Requests: []*Request{r}, Timeout: long})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			var conns []uint64
			for range 2 {
				conns = append(conns, c.do(t).Conn)
			}
			if kept := slices.Equal(conns, []uint64{1, 1}); kept != test.kept {
				t.Errorf("connections %v, want kept=%v", conns, test.kept)
			}
		})
	}
}

// Bytes that nobody asked for end an idle connection, or are dropped.
func TestUnaskedBytes(t *testing.T) {
	for unasked, want := range map[pool.Unasked][]uint64{pool.UnaskedClose: {1, 2}, pool.UnaskedDrop: {1, 1}} {
		t.Run(unasked.String(), func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			idle, sent := make(chan struct{}), make(chan struct{})
			go func() {
				for first := true; ; first = false {
					c, err := l.Accept()
					if err != nil {
						return
					}
					go func() {
						defer c.Close()
						for buf, says := make([]byte, 4096), first; ; says = false {
							if _, err := c.Read(buf); err != nil {
								return
							}
							io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
							if says {
								<-idle
								io.WriteString(c, "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
								close(sent)
							}
						}
					}()
				}
			}()
			policy := pool.Default()
			policy.Unasked = unasked
			r, err := NewRequest("GET", "http://"+l.Addr().String()+"/", nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			c, err := NewClient(Config{Policy: policy, Requests: []*Request{r}, Timeout: long})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			first := c.do(t)
			close(idle)
			<-sent
			time.Sleep(100 * time.Millisecond) // they arrive
			second := c.do(t)
			if got := []uint64{first.Conn, second.Conn}; !slices.Equal(got, want) || second.Status != 200 {
				t.Errorf("connections %v, status %d, want %v", got, second.Status, want)
			}
		})
	}
}
