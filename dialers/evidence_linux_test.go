package dialers

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/internal/transport"
	"github.com/kabench/kabench/profiles/script"
)

// A connection that the server closed long before it was leased, and nobody
// looked: the kernel knew when it was leased.
func TestEvidenceOfAStaleConnection(t *testing.T) {
	for name, secure := range map[string]bool{"tcp": false, "tls": true} {
		t.Run(name, func(t *testing.T) {
			server := serve(t, script.Server{IdleTimeout: 20 * time.Millisecond, TLS: secure})
			policy := pool.Default()
			policy.Liveness = pool.None
			var socket lastSocket
			r := request(t, "GET", server.URL(), nil)
			c := newClient(t, policy, &Dialer{TLS: trust(server), Control: socket.control}, long, r)
			first := c.do(t)
			if !first.OK() || first.AtLease != nil || first.AtFailure != nil {
				t.Fatalf("%s, with evidence %v, %v of a success", outcome(first), first.AtLease, first.AtFailure)
			}
			eventually(t, func() bool { return socket.state() == "CLOSE_WAIT" })
			e := c.do(t)
			if !e.Failed() || !e.Reused() || e.AtLease == nil || e.AtFailure == nil {
				t.Fatalf("%s, reused %v, at lease %+v, at failure %+v", outcome(e), e.Reused(), e.AtLease, e.AtFailure)
			}
			if e.AtLease.State != "CLOSE_WAIT" || e.AtLease.BytesReceived < first.BytesIn {
				t.Errorf("at lease %+v, want CLOSE_WAIT and %d bytes or more received", e.AtLease, first.BytesIn)
			}
			if e.AtLease.SinceSent+tick < e.Idle {
				t.Errorf("data was last sent %v before the lease, and the connection had been idle for %v", e.AtLease.SinceSent, e.Idle)
			}
			if !secure && (e.AtLease.BytesAcked != first.BytesOut+1 || e.AtLease.BytesReceived != first.BytesIn+1) {
				t.Errorf("%d acknowledged and %d received of %d and %d bytes, a SYN and a FIN", e.AtLease.BytesAcked, e.AtLease.BytesReceived, first.BytesOut, first.BytesIn)
			}
			if s := e.AtFailure.State; s != "CLOSE_WAIT" && s != "CLOSE" {
				t.Errorf("at failure %s, after the peer's FIN, and its RST perhaps", s)
			}
		})
	}
}

// tick is above what the kernel's times may be short of.
const tick = 50 * time.Millisecond

// state is that of the socket.
func (s *lastSocket) state() (state string) {
	if info, known := transport.Info(bareConn{raw: s.raw}); known {
		state = info.State
	}
	return state
}

// A server that is silent: the connection is whole, and all that was sent has
// arrived. Of many failures of one kind the first are asked about.
func TestEvidenceIsBounded(t *testing.T) {
	url := raw(t, func(conn net.Conn) { io.Copy(io.Discard, conn) })
	c := newClient(t, pool.Default(), &Dialer{}, 20*time.Millisecond, request(t, "GET", url, nil))
	asked := 0
	for range infosPerOutcome + 5 {
		e := c.do(t)
		if outcome(e) != "before_response/timeout" {
			t.Fatal(outcome(e))
		}
		if e.AtFailure != nil {
			asked++
			if e.AtFailure.State != "ESTABLISHED" || e.AtLease != nil {
				t.Errorf("at failure %+v; at lease %+v of a fresh connection", e.AtFailure, e.AtLease)
			}
		}
	}
	if asked != infosPerOutcome {
		t.Errorf("%d failures of one outcome have evidence, want %d", asked, infosPerOutcome)
	}
}
