package packets

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/evidence/segments"
	"github.com/kabench/kabench/internal/sandbox/sandboxtest"
	"github.com/kabench/kabench/internal/watch"
)

// Real connections of HTTP over TLS: the goodbyes of TLS and the control frames of HTTP/2 are
// neither requests nor responses, and it does not matter who closes.
func TestSealed(t *testing.T) {
	sandboxtest.Need(t)
	if err := up(); err != nil {
		t.Fatal(err)
	}
	const idle = 200 * time.Millisecond
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, two := range []bool{false, true} {
			for _, by := range []evidence.Side{evidence.ByServer, evidence.ByClient} {
				name := fmt.Sprintf("%s, HTTP/2 %v, the %v closes", tls.VersionName(version), two, by)
				t.Run(name, func(t *testing.T) {
					s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
					s.EnableHTTP2 = two
					s.Config.IdleTimeout = idle
					if by == evidence.ByClient {
						s.Config.IdleTimeout = time.Minute
					}
					s.TLS = &tls.Config{MinVersion: version, MaxVersion: version}
					s.StartTLS()
					defer s.Close()
					at := netip.MustParseAddrPort(s.Listener.Addr().String())
					l := Open(Want{Ends: watch.Ends{Targets: []netip.AddrPort{at}}}, time.Now())
					defer l.Close()
					client := s.Client()
					if by == evidence.ByClient {
						client.Transport.(*http.Transport).IdleConnTimeout = idle
					}
					for range 3 {
						r, err := client.Get(s.URL)
						if err != nil {
							t.Fatal(err)
						}
						_, _ = io.Copy(io.Discard, r.Body)
						r.Body.Close()
					}
					var all []evidence.Connection
					lives := segments.NewLives(func(c *evidence.Connection) { all = append(all, *c) }, nil)
					lives.Bare = true
					over := 0
					for deadline := time.Now().Add(20 * time.Second); over < 2; time.Sleep(time.Millisecond) {
						if time.Now().After(deadline) {
							t.Fatal("the connection is not closed")
						}
						l.Take(func(s *segments.Segment) {
							if s.Flags&segments.FlagFIN != 0 {
								over++
							}
							if s.Flags&segments.FlagRST != 0 {
								over = 2
							}
							lives.Add(s)
						})
					}
					lives.End()
					if len(all) != 1 {
						t.Fatalf("%d connections", len(all))
					}
					c := &all[0]
					// HTTP/2 says goodbye by a frame of its own, and either end may be quicker then.
					if c.Close.By != by && !two || len(c.Unanswered) != 0 || c.Requests < 3 {
						t.Errorf("%d requests, closed by the %v: %s; %+v", c.Requests, c.Close.By, c.Close.Why, c.Unanswered)
					}
					if n := len(c.Exchanges); n > 0 && c.Close.At-c.Exchanges[n-1].Done < idle/2 {
						t.Errorf("idle for %v before the close, and the timer has %v: %+v", c.Close.At-c.Exchanges[n-1].Done, idle, c)
					}
				})
			}
		}
	}
}
