package target

import (
	"io"
	"net/http"
	"testing"
	"time"
)

// After a run a proxy's kept connection is waited for only if a timer will end
// it soon; that the client's are gone has to be noticed in any case.
func TestSettled(t *testing.T) {
	for name, c := range map[string]struct {
		sets []string
		kept uint64 // of the proxy's connections, when all is settled
	}{
		"kept":           {nil, 1},
		"kept for long":  {[]string{"target.proxies.0.upstream.idle_timeout=1h", "target.lab.idle_timeout=1h"}, 1},
		"proxy's timer":  {[]string{"target.proxies.0.upstream.idle_timeout=500ms"}, 0},
		"server's timer": {[]string{"target.lab.idle_timeout=500ms"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := load(t, "", append([]string{"load.rate=1/s", "target.lab={}", "target.proxies=[{}]"}, c.sets...)...)
			target, err := Open(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			defer target.Close()
			transport := &http.Transport{}
			resp, err := (&http.Client{Transport: transport}).Get(target.proxies[0].URL())
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if target.drained(&p.Target) {
				t.Error("settled while the client's connection is open")
			}
			transport.CloseIdleConnections()
			for end := time.Now().Add(time.Minute); !target.drained(&p.Target); time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("never: %+v, %+v", target.proxies[0].Seen(), target.lab[0].Seen())
				}
			}
			s := target.proxies[0].Seen()
			if kept := s.Upstream - s.UpstreamClosedByProxy - s.UpstreamClosedByServer; kept != c.kept || s.ClosedByClient != 1 {
				t.Errorf("%d connections are kept, want %d: %+v", kept, c.kept, s)
			}
		})
	}
}

// A connection whose end never reaches the server is not waited for in the end; what the server
// does notice is new to those who wait.
func TestDrainGivesUp(t *testing.T) {
	p := load(t, "", "load.rate=1/s", "target.lab={idle_timeout: 0s}")
	target, err := Open(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	transport := &http.Transport{}
	resp, err := (&http.Client{Transport: transport}).Get(target.lab[0].URL())
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	target.Drain(p)
	if target.drained(&p.Target) {
		t.Fatal("drained while the client's connection is open")
	}
	before := target.heard()
	transport.CloseIdleConnections()
	for end := time.Now().Add(time.Minute); target.heard() == before; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("nothing new: %+v", target.lab[0].Seen())
		}
	}
	if target.Drain(p); !target.drained(&p.Target) {
		t.Errorf("not drained: %+v", target.lab[0].Seen())
	}
}
