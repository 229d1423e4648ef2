package dialers

import (
	"crypto/tls"
	"maps"
	"testing"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/profiles/script"
	"github.com/kabench/kabench/results"
)

// With Resume a Dialer keeps the sessions of each origin, apart from those of another port
// and of another Client. Without it, every handshake is a full one.
func TestResume(t *testing.T) {
	for way, renegotiation := range ways {
		for resume, version := range map[string]uint16{"": tls.VersionTLS13, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13} {
			t.Run(way+" "+resume, func(t *testing.T) {
				t.Parallel()
				first, second := serve(t, script.Server{TLS: true}), serve(t, script.Server{TLS: true})
				requests := []*Request{request(t, "GET", first.URL(), nil), request(t, "GET", second.URL(), nil)}
				policy := pool.Default()
				policy.MaxRequests = 1
				config := trust(first)
				config.RootCAs.AppendCertsFromPEM(second.CertPEM())
				config.Renegotiation, config.MaxVersion = renegotiation, version
				dialer := &Dialer{TLS: config, Resume: resume != ""}
				for range 2 { // as two agents would be
					c := newClient(t, policy, dialer, long, requests...)
					for i := range 6 {
						e := &results.Exchange{}
						e.Reset(uint64(i), c.now())
						e.Start, e.Target = e.Due, i%2
						if c.Do(t.Context(), e); !e.OK() || e.Reused() {
							t.Fatalf("%s: %v", outcome(e), e.Err)
						}
						want := uint64(0)
						if resume != "" && i > 1 { // the first to each origin is full
							want = uint64(i - 1)
						}
						if s := c.Stats(); s.Resumed != want || s.Opened != uint64(i+1) {
							t.Errorf("after %d: %d resumed of %d, want %d", i+1, s.Resumed, s.Opened, want)
						}
					}
				}
				seen := map[string]int{}
				for _, story := range append(first.Stories(), second.Stories()...) {
					seen[story.TLS]++
				}
				if want := map[bool]map[string]int{false: {"full": 12}, true: {"full": 4, "resumed": 8}}[resume != ""]; !maps.Equal(seen, want) {
					t.Errorf("the servers have seen %v, want %v", seen, want)
				}
			})
		}
	}
}

// The stock client resumes as net/http does when it is given a cache.
func TestStockResumes(t *testing.T) {
	for _, resume := range []bool{false, true} {
		server := serve(t, script.Server{TLS: true, MaxRequests: 1})
		s := NewStock(&Dialer{TLS: trust(server), Resume: resume}, []*Request{request(t, "GET", server.URL(), nil)}, long)
		defer s.Close()
		for i := range 3 {
			e := &results.Exchange{}
			e.Reset(uint64(i), s.now())
			if s.Do(t.Context(), e); !e.OK() {
				t.Fatalf("%s: %v", outcome(e), e.Err)
			}
		}
		if got, want := s.Stats().Resumed, map[bool]uint64{true: 2}[resume]; got != want {
			t.Errorf("resume %v: %d resumed, want %d", resume, got, want)
		}
	}
}
