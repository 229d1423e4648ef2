package main

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// How long a client may take for its handshake.
const handshakeTime = 10 * time.Second

// wire is the connection under TLS. Its handshake is made by a goroutine over file, since
// crypto/tls cannot pause a handshake. Then the loop reads: a read says errLater if
// nothing has arrived, and crypto/tls keeps the part of a record that it has, because
// errLater is temporary. What is written is kept in out.
type wire struct {
	file *os.File // until the handshake has ended

	fd  int // then
	rec *recording
	at  int64 // when the last bytes were read, by the recording's clock
	out []byte
}

type laterError struct{}

func (laterError) Error() string   { return "nothing has arrived yet" }
func (laterError) Timeout() bool   { return true }
func (laterError) Temporary() bool { return true }

// errLater is what a wire's Read returns if nothing has arrived.
var errLater net.Error = laterError{}

func (w *wire) Read(b []byte) (int, error) {
	if w.file != nil {
		return w.file.Read(b)
	}
	n, err := unix.Read(w.fd, b)
	switch {
	case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR):
		return 0, errLater
	case err != nil:
		return 0, err
	case n == 0:
		return 0, io.EOF
	}
	w.at = w.rec.now()
	return n, nil
}

func (w *wire) Write(b []byte) (int, error) {
	if w.file != nil {
		return w.file.Write(b)
	}
	w.out = append(w.out, b...)
	return len(b), nil
}

// crypto/tls does not need these.
func (w *wire) Close() error                     { return nil }
func (w *wire) LocalAddr() net.Addr              { return nil }
func (w *wire) RemoteAddr() net.Addr             { return nil }
func (w *wire) SetDeadline(time.Time) error      { return nil }
func (w *wire) SetReadDeadline(time.Time) error  { return nil }
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

// shake makes the handshake of a new connection and then hands it to the loop.
func (s *epollServer) shake(fd int, config *tls.Config) {
	w := &wire{file: os.NewFile(uintptr(fd), "connection"), rec: s.rec}
	s.shaking[w.file] = true
	go func() {
		file := w.file
		file.SetDeadline(time.Now().Add(handshakeTime))
		conn := tls.Server(w, config)
		err := conn.Handshake()
		if err == nil {
			// The loop gets a descriptor of its own, which Go's own epoll does not watch.
			w.fd, err = duplicate(file)
		}
		w.file = nil
		mine := err == nil
		if s.post(func() { delete(s.shaking, file); s.adopt(w, conn, err) }) != nil && mine {
			unix.Close(w.fd)
		}
		file.Close()
	}()
}

func duplicate(file *os.File) (fd int, err error) {
	raw, err := file.SyscallConn()
	if err != nil {
		return -1, err
	}
	controlled := raw.Control(func(old uintptr) { fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) })
	return fd, errors.Join(controlled, err)
}

// adopt takes over a connection whose handshake has ended with err.
func (s *epollServer) adopt(w *wire, conn *tls.Conn, err error) {
	s.rec.shook(conn.ConnectionState(), err)
	if err == nil {
		if err = s.watch(w.fd, unix.EPOLL_CTL_ADD, unix.EPOLLIN); err != nil {
			unix.Close(w.fd)
			s.rec.refused++
		}
	}
	if err != nil {
		s.rec.closed()
		return
	}
	s.add(w.fd, epollConn{secure: conn, wire: w})
	w.at = s.rec.now()
	s.readSecure(w.fd) // the request may have arrived with the end of the handshake
}

// readSecure reads what has arrived, up to the last whole record, and responds to the
// requests.
func (s *epollServer) readSecure(fd int) {
	c := &s.conns[fd]
	w, total := c.wire, 0
	for !c.last {
		n, err := c.secure.Read(s.buf)
		if err == errLater {
			break
		}
		if err != nil {
			s.drop(fd)
			return
		}
		answers, last, ok := s.rec.took(&c.stream, s.buf[:n], w.at)
		if !ok {
			s.drop(fd)
			return
		}
		total += answers
		c.last = last
	}
	if total == 0 && len(w.out) == 0 {
		return
	}
	if _, err := c.secure.Write(answersOf(total, c.last)); err != nil {
		s.drop(fd)
		return
	}
	if c.last {
		c.secure.CloseWrite() // its alert is kept in out, so this cannot fail
	}
	out := w.out
	w.out = w.out[:0] // write copies what it has to keep
	s.write(fd, out)
}
