package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/kabench/kabench/internal/transport"
)

// wire is a connection on the network, and the goroutine that reads from it.
type wire struct {
	tap  *tap
	tcp  *transport.TCP // over tap
	conn net.Conn       // TLS over tcp, or tcp itself
}

// event is what has happened on a connection, at a time that is late by slack at most.
type event struct {
	of    *conn
	kind  eventKind
	at    time.Time
	slack time.Duration
	data  []byte // received
	err   error  // failed and ended; io.EOF: a FIN; transport.ErrCloseNotify

	wire   *wire         // opened
	trip   time.Duration // opened: the round trip of the handshake of TCP; 0: not known
	begun  time.Time     // opened and failed: when the SYN was sent
	secure bool          // failed: in the handshake of TLS
}

type eventKind uint8

const (
	opened   eventKind = iota
	failed             // it could not be opened
	received           // bytes
	ended              // nothing more comes, except that after a close_notify the end of the TCP connection does
	gone               // the reader has returned: the last event
)

// dial opens a connection to addr, with TLS if config is not nil, and says how that went.
func dial(ctx context.Context, addr netip.AddrPort, config *tls.Config) event {
	begun := time.Now()
	nd := net.Dialer{KeepAlive: -1}
	raw, err := nd.DialContext(ctx, "tcp", addr.String())
	if err != nil {
		return event{kind: failed, err: err, begun: begun, at: time.Now()}
	}
	tcp := raw.(*net.TCPConn)
	trip, at := roundTrip(tcp), time.Now()
	if trip == 0 {
		trip = at.Sub(begun)
	}
	w := &wire{tap: newTap(tcp)}
	w.tcp = &transport.TCP{Conn: w.tap}
	w.conn = w.tcp
	if config != nil {
		secure := tls.Client(w.tcp, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			tcp.Close()
			return event{kind: failed, err: err, begun: begun, at: time.Now(), secure: true}
		}
		w.conn, at = secure, time.Now()
	}
	return event{kind: opened, wire: w, begun: begun, at: at, trip: trip}
}

// read tells post what comes on w, until it ends.
func (w *wire) read(of *conn, post func(event)) {
	defer func() { post(event{of: of, kind: gone}) }()
	buf := make([]byte, 16<<10)
	for {
		n, err := w.conn.Read(buf)
		if n > 0 {
			post(event{of: of, kind: received, at: w.tap.at, slack: w.tap.slack, data: append([]byte(nil), buf[:n]...)})
		}
		if err == nil {
			continue
		}
		err = w.tcp.Meaning(err)
		post(event{of: of, kind: ended, at: w.tap.at, slack: w.tap.slack, err: err})
		if errors.Is(err, transport.ErrCloseNotify) {
			w.readFIN(of, post)
		}
		return
	}
}

// readFIN waits for the end of the TCP connection after a close_notify.
func (w *wire) readFIN(of *conn, post func(event)) {
	var b [512]byte
	for {
		if _, err := w.tcp.Read(b[:]); err != nil {
			post(event{of: of, kind: ended, at: w.tap.at, slack: w.tap.slack, err: err})
			return
		}
	}
}

// sendTime bounds a write, which is far shorter than what an idle socket has room for.
const sendTime = time.Second

// send writes b and returns when that began.
func (w *wire) send(b []byte) (time.Time, error) {
	w.conn.SetWriteDeadline(time.Now().Add(sendTime))
	at := time.Now()
	_, err := w.conn.Write(b)
	return at, err
}

// silent reports whether the peer acknowledges nothing: what was sent has been sent again
// in vain, twice. waiting says that something is not acknowledged yet. Both are false
// where the kernel does not tell.
func (w *wire) silent() (silent, waiting bool) {
	info, known := transport.Info(w.tap)
	waiting = known && info.Unacked > 0
	return waiting && info.Retransmits >= 2, waiting
}

// close closes the connection. The reader returns soon.
func (w *wire) close() {
	w.tap.SetWriteDeadline(time.Now().Add(50 * time.Millisecond)) // for the close_notify
	w.conn.Close()
	w.tap.Close()
}
