package dialers

import (
	"crypto/tls"
	"net"
	"sync"
	"time"

	"github.com/kabench/kabench/internal/poll"
	"github.com/kabench/kabench/internal/transport"
	"github.com/kabench/kabench/results"
)

// waits reports whether the dial and its connection need goroutines that wait: where
// package poll has no sockets, and for TLS that may be negotiated again, which crypto/tls
// does in the middle of a read.
func (d *dialing) waits() bool {
	config := d.client.dialer.TLS
	return !poll.Sockets || d.origin.TLS && config != nil && config.Renegotiation != tls.RenegotiateNever
}

// goroutineDeadline is the deadline for a step that a goroutine does; zero: there is none.
func (d *dialing) goroutineDeadline() time.Time {
	if d.deadline == 0 {
		return time.Time{}
	}
	return d.client.epoch.Add(d.deadline)
}

// secure begins the TLS handshake on the socket, which is connected. The handshake is done
// on a goroutine: its arithmetic takes so long that other requests would be late.
func (d *dialing) secure() {
	c := d.client
	c.loop.dialTimers.remove(&d.timer)
	ctx, cancel := c.loop.until(d.goroutineDeadline())
	d.cancel = cancel
	conn := transport.NewSecure(c.loop, d.sock, c.dialer.tlsConfig(d.origin, &c.loop.sessions), c.loop.turns)
	c.loop.tokens.pass(d.sock.Token(), conn)
	c.loop.Go(func() {
		err := conn.Handshake(ctx)
		at, resumed := c.now(), err == nil && conn.Resumed()
		c.loop.Post(func() { d.shaken(conn, at, resumed, err) })
	})
}

// shaken gives the connection to the pool after the handshake, or ends the dial.
func (d *dialing) shaken(conn *transport.Secure, at time.Duration, resumed bool, err error) {
	switch {
	case err != nil:
		d.fail(d.whyGivenUp(&DialError{results.PhaseTLS, err}))
	case d.givenUp != nil: // the handshake was done a moment too late
		d.sock = nil
		conn.Close(transport.CloserNone, nil)
		d.fail(&DialError{results.PhaseTLS, d.givenUp})
	default:
		d.secured, d.sock = at, nil
		d.countResumed(resumed)
		conn.Begin(d.established(conn))
		d.client.settle() // a request that has waited is written before anything is read, as on a plain connection
		conn.CatchUp()
	}
}

// tlsConfig returns the configuration for connections to o. Their records are as large
// as they may be, as OpenSSL's and Java's are. kept are the sessions that may be taken up.
func (d *Dialer) tlsConfig(o Origin, kept *sessions) *tls.Config {
	config := TLSFor(d.TLS, o.serverName())
	config.DynamicRecordSizingDisabled = true
	if d.Resume {
		config.ClientSessionCache = kept.of(o)
	}
	return config
}

// TLSFor returns config, which may be nil, for connections to host: its certificate must
// be for that name unless config names another, and only http/1.1 is offered.
func TLSFor(config *tls.Config, host string) *tls.Config {
	if config == nil {
		config = &tls.Config{}
	}
	config = config.Clone()
	if config.ServerName == "" {
		config.ServerName = host
	}
	config.NextProtos = []string{"http/1.1"}
	return config
}

// countResumed counts the handshake if it took up an earlier session.
func (d *dialing) countResumed(resumed bool) {
	if resumed {
		d.shard.resumed++
	}
}

// sessions are the TLS sessions of a Client whose Dialer has Resume. The zero value has none.
// Many goroutines may use it.
type sessions struct {
	mu   sync.Mutex
	kept map[string]tls.ClientSessionCache // by name and port; guarded by mu
}

// of returns where the sessions with o are kept. The addresses of one name share theirs, as
// its servers may share the keys of their tickets; those of another port do not, which
// crypto/tls would take for the same server. The last ticket is kept, and is used as often
// as the server accepts it.
func (s *sessions) of(o Origin) tls.ClientSessionCache {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := net.JoinHostPort(o.serverName(), o.Port)
	cache := s.kept[at]
	if cache == nil {
		if s.kept == nil {
			s.kept = map[string]tls.ClientSessionCache{}
		}
		cache = tls.NewLRUClientSessionCache(1)
		s.kept[at] = cache
	}
	return cache
}
