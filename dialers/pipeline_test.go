package dialers

import (
	"testing"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/profiles/script"
)

// Requests in a row are one exchange, done with the last of their answers; a
// server that closes before that has failed it, whatever it answered.
func TestPipelined(t *testing.T) {
	const n = 5
	for name, test := range map[string]struct {
		cfg       script.Server
		want      string
		answered  int64 // of the server's answers, in each exchange
		reconnect bool
	}{
		"lengths":              {script.Server{Body: 100}, "done/", n, false},
		"longer than a read":   {script.Server{Body: 100_000}, "done/", n, false},
		"chunks":               {script.Server{Body: 20_000, Chunked: true}, "done/", n, false},
		"without a body":       {script.Server{Status: 204}, "done/", n, false},
		"tls":                  {script.Server{Body: 100, TLS: true}, "done/", n, false},
		"close said too early": {script.Server{Body: 100, MaxRequests: 3}, "during_response/truncated", 3, true},
		"until close":          {script.Server{Body: 100, UntilClose: true}, "during_response/", 1, true},
	} {
		for _, liveness := range []pool.Liveness{pool.Events, pool.None} {
			t.Run(name+" "+liveness.String(), func(t *testing.T) {
				t.Parallel()
				server := serve(t, test.cfg)
				r, err := NewRequest("GET", server.URL(), nil, nil)
				if err != nil {
					t.Fatal(err)
				}
				policy := pool.Default()
				policy.Liveness = liveness
				c := newClient(t, policy, &Dialer{TLS: trust(server)}, long, r.Pipelined(n))
				for i := range 2 {
					e := c.do(t)
					if got := outcome(e); got != test.want && (test.want != "during_response/" || e.OK()) {
						t.Fatalf("%s: %v, want %s", got, e.Err, test.want)
					}
					if reused := i > 0 && !test.reconnect; e.Reused() != reused {
						t.Errorf("exchange %d: reused %v, want %v", i+1, e.Reused(), reused)
					}
					if e.BytesIn < test.answered*test.cfg.Body {
						t.Errorf("%d bytes read, the answers have %d of %d", e.BytesIn, test.answered, test.cfg.Body)
					}
					if e.OK() && e.BytesOut != int64(n*len(r.bytes)) {
						t.Errorf("%d bytes written, want %d requests of %d", e.BytesOut, n, len(r.bytes))
					}
				}
				if seen := server.Seen(); !test.reconnect && seen.Requests != 2*n {
					t.Errorf("the server saw %d requests, want %d", seen.Requests, 2*n)
				}
			})
		}
	}
}
