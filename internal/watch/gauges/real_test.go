package gauges

import (
	"math"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/watch/services"
	"github.com/kabench/kabench/internal/watch/sockets"
)

// TestRealPools: what the pools of real services say is what the kernel has: at rest, the
// connections of the pool are the sockets towards the server.
func TestRealPools(t *testing.T) {
	for _, client := range []string{"reactor-netty", "okhttp", "apache-hc5", "undici"} {
		t.Run(client, func(t *testing.T) {
			e, err := services.Find(client)
			if err != nil {
				t.Fatal(err)
			}
			if _, built := e.Built(); !built {
				if os.Getenv("CI") != "" {
					t.Fatal("the service is not built; run .ci/drivers")
				}
				t.Skip("the service is not built; run .ci/drivers")
			}
			server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(20 * time.Millisecond) }))
			defer server.Close()
			s, err := services.Start(t.Context(), client, services.Options{URL: server.URL, Rate: 100, Connections: 20}, nil)
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			w, err := sockets.New(sockets.Config{PIDs: []int{s.PID}, Targets: []netip.AddrPort{netip.MustParseAddrPort(server.Listener.Addr().String())}}, began)
			if err != nil {
				t.Skip(err) // no sock_diag here
			}
			defer w.Close()
			r, err := New(s.Metrics, began, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			// The pool grows and shrinks between a scrape and a look; twice the same, it did not.
			last := -1.0
			for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
				list, complaints := r.Read(t.Context())
				l, err := w.Look()
				if err != nil || len(complaints) > 1 || len(list) > 1 {
					t.Fatal(list, complaints, err)
				}
				open := 0
				for _, s := range l.Sockets { // OkHttp closes what it has too many of
					if s.State == "ESTABLISHED" {
						open++
					}
				}
				if len(list) == 1 && list[0].Leased > 0 && list[0].Open == last && math.Abs(list[0].Open-float64(open)) <= 1 {
					if at := server.Listener.Addr().String(); list[0].Target != "" && !strings.HasSuffix(list[0].Target, at) {
						t.Errorf("the pool's target is %q, want %s", list[0].Target, at)
					}
					t.Logf("%+v, %d sockets", list[0], open)
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("after 30 s the gauges are %+v, and there are %d sockets", list, open)
				}
				if len(list) == 1 {
					last = list[0].Open
				}
			}
			if _, err := s.Stop(); err != nil {
				t.Fatal(err)
			}
		})
	}
}
