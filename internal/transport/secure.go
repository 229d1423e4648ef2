package transport

import (
	"context"
	"crypto/tls"
	"net/netip"
	"sync"

	"github.com/kabench/kabench/internal/poll"
	"github.com/kabench/kabench/results"
)

// Secure is a TLS connection over a Socket. Its handshake waits on a goroutine; after
// that it needs none: crypto/tls keeps a record that has come in part, and goes on with
// it at the next read. It is a Transport, and the Listener of its socket.
//
// As a reader of its own would, it reads one record ahead that its Owner does not want
// yet. So the peer's close_notify, session tickets and new keys are noticed at once, also
// while the connection is idle.
type Secure struct {
	loop    Loop
	sock    *Socket
	tls     *tls.Conn
	records *records
	owner   Owner // nil until Begin

	ahead   []byte // what was read ahead, and not taken yet
	readErr error  // how the stream has ended; it is behind ahead
	sealing int    // bytes of the request whose records have not left whole
	held    bool   // nothing was read because too much waits for room in the socket
	closed  bool
}

// NewSecure returns a TLS connection over sock, which is connected. Call Handshake next:
// it waits for one of the turns, which all connections of a loop share. config must not
// allow renegotiation, which would wait in the middle of a read.
func NewSecure(loop Loop, sock *Socket, config *tls.Config, turns Turns) *Secure {
	s := &Secure{loop: loop, sock: sock, records: newRecords(sock, turns)}
	s.tls = tls.Client(s.records, config)
	return s
}

// Handshake performs the handshake, and waits for its end. It must be called on another
// goroutine than the loop's. Pass the events on the socket to Event meanwhile.
func (s *Secure) Handshake(ctx context.Context) error {
	select {
	case s.records.turns <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.records.turns }()
	return s.tls.HandshakeContext(ctx)
}

// Begin gives the connection to its owner after the handshake.
func (s *Secure) Begin(owner Owner) {
	s.owner = owner
	s.records.begin()
}

// Event implements Listener.
func (s *Secure) Event(e poll.Event) {
	if s.owner == nil {
		s.records.event(e)
		return
	}
	if e.Readable {
		s.readable(e.Ended)
	}
	if e.Writable && !s.closed {
		s.writable()
	}
}

// CatchUp reads what has come during the handshake, whose events were not the owner's.
func (s *Secure) CatchUp() { s.readable(false) }

// readable has the owner read what has come, and reads one record ahead if it does not.
func (s *Secure) readable(ended bool) {
	if s.readErr != nil {
		return
	}
	s.records.more(ended)
	s.owner.Readable(s.records.ended)
	if s.closed || s.readErr != nil {
		return
	}
	if s.readAhead(); s.readErr == nil {
		return
	}
	s.loop.Post(func() { // and not now: what the owner has decided is not done yet
		if !s.closed {
			s.owner.Readable(true)
		}
	})
}

// writable goes on with what waits for room in the socket.
func (s *Secure) writable() {
	s.records.flush() // a Write returns the error
	s.owner.Writable()
	// A Write before this event may have made the room, so it is not asked what waited.
	if s.held && !s.closed && !s.records.stuck() {
		s.readable(false)
	}
}

// Read implements Transport.
func (s *Secure) Read(b []byte) (int, error) {
	n := copy(b, s.ahead)
	if s.ahead = s.ahead[n:]; len(s.ahead) == 0 {
		s.ahead = nil
	}
	for n < len(b) && s.readErr == nil {
		m, again := s.read(b[n:])
		n += m
		if again || n > 0 && !s.records.drained { // what else is in the socket, the next call reads
			break
		}
	}
	switch {
	case n > 0:
		return n, nil
	case s.readErr != nil:
		return 0, s.readErr
	}
	return 0, ErrAgain
}

// read reads what one record brings. again says that there is no whole record; readErr is
// set if the stream has ended.
func (s *Secure) read(b []byte) (n int, again bool) {
	if s.held = s.records.stuck(); s.held {
		return 0, true
	}
	n, err := s.tls.Read(b)
	if again = err == errNotYet; !again && err != nil {
		s.readErr = meaning(err, s.records.readErr)
	}
	s.records.flush() // an alert, or our new keys
	return n, again
}

// More implements Transport.
func (s *Secure) More() bool { return s.readErr != nil || !s.records.drained }

// recordBuffers are where a record is put that is read ahead.
var recordBuffers = sync.Pool{New: func() any { return new([streamBuffer]byte) }}

// readAhead reads one record, if the last was taken.
func (s *Secure) readAhead() {
	if len(s.ahead) > 0 || s.readErr != nil || s.records.drained {
		return
	}
	b := recordBuffers.Get().(*[streamBuffer]byte)
	n, _ := s.read(b[:])
	if n > 0 {
		s.ahead = append([]byte(nil), b[:n]...)
	}
	recordBuffers.Put(b)
}

// Write implements Transport. It seals one record at a time: until that has left whole,
// the peer has none of the record's bytes.
func (s *Secure) Write(b []byte) (int, error) {
	if s.sealing == 0 {
		b = b[:min(len(b), OneWrite)]
		if _, err := s.tls.Write(b); err != nil {
			return 0, err
		}
		s.sealing = len(b)
	}
	if err := s.records.flush(); err != nil {
		return 0, err
	}
	n := s.sealing
	s.sealing = 0
	return n, nil
}

// Peek implements Transport. It looks at the stream and not at the socket: what is there
// may be for TLS alone, such as session tickets.
func (s *Secure) Peek() (waiting bool, err error) {
	s.records.more(false)
	s.readAhead()
	return len(s.ahead) > 0, s.readErr
}

// Resumed reports whether the handshake took up an earlier session. Call it after that.
func (s *Secure) Resumed() bool { return s.tls.ConnectionState().DidResume }

// Info implements Transport.
func (s *Secure) Info() (results.TCPInfo, bool) { return s.sock.Info() }

// Local implements Transport.
func (s *Secure) Local() netip.AddrPort { return s.sock.Local() }

// Close implements Transport; after the handshake owner may be nil. Our close_notify is
// sent unless a record of ours waits for room in the socket: then it could not leave
// before the socket is closed.
func (s *Secure) Close(_ Closer, owner Owner) {
	s.closed = true
	s.records.begin() // also if there was no Begin
	s.records.more(false)
	s.readAhead()
	notified := NotNotified
	sent := s.records.flush() == nil && s.tls.CloseWrite() == nil && s.records.flush() == nil
	switch {
	case s.readErr == ErrCloseNotify:
		notified = NotifiedByPeer
	case sent:
		notified = NotifiedByUs
	}
	first := CloserReset
	if !s.records.reset {
		first = s.sock.end()
	}
	s.sock.Drop()
	if owner != nil {
		owner.Closed(first, notified)
	}
}
