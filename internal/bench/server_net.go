package main

import (
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"
)

// netServer is the recording server for any system, with a goroutine for each
// connection. It costs a few microseconds per request more than [epollServer].
type netServer struct {
	mu        sync.Mutex
	rec       *recording // guarded by mu
	listeners []net.Listener
	conns     map[net.Conn]bool // guarded by mu
	done      bool              // guarded by mu
	running   sync.WaitGroup
}

func newNetServer() *netServer {
	return &netServer{rec: newRecording(), conns: map[net.Conn]bool{}}
}

func (s *netServer) listen(host string, as manner) (string, error) {
	config, err := as.config()
	if err != nil {
		return "", err
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	s.listeners = append(s.listeners, l)
	s.mu.Unlock()
	s.running.Go(func() { s.accept(l, config) })
	return l.Addr().String(), nil
}

// accept serves the connections of a listener, over TLS if config is not nil.
func (s *netServer) accept(l net.Listener, config *tls.Config) {
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		s.mu.Lock()
		switch {
		case err != nil: // most likely no file descriptor is left until a connection ends
			s.rec.refused++
			s.mu.Unlock()
			time.Sleep(time.Millisecond)
			continue
		case s.done:
			conn.Close()
		default:
			s.conns[conn] = true
			s.rec.opened()
			s.running.Go(func() { s.serve(conn, config) })
		}
		s.mu.Unlock()
	}
}

func (s *netServer) serve(tcp net.Conn, config *tls.Config) {
	conn := tcp
	defer func() {
		s.mu.Lock()
		delete(s.conns, tcp)
		s.rec.closed()
		s.mu.Unlock()
		conn.Close() // after the counts, so that they are complete when the client sees the end
	}()
	if config != nil {
		secure := tls.Server(tcp, config)
		err := secure.Handshake()
		s.mu.Lock()
		s.rec.shook(secure.ConnectionState(), err)
		s.mu.Unlock()
		if err != nil {
			return
		}
		conn = secure
	}
	var c stream
	buf := make([]byte, 4<<10)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		s.mu.Lock()
		answers, last, ok := s.rec.took(&c, buf[:n], s.rec.now())
		s.mu.Unlock()
		for i := range answers {
			text := answer
			if last && i == answers-1 {
				text = answerClose
			}
			if _, err := conn.Write(text); err != nil {
				return
			}
		}
		if last || !ok {
			return
		}
	}
}

func (s *netServer) do(f func(*recording)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s.rec)
	return nil
}

func (s *netServer) close() error {
	s.mu.Lock()
	s.done = true
	var err error
	for _, l := range s.listeners {
		err = errors.Join(err, l.Close())
	}
	for conn := range s.conns {
		conn.Close() // its goroutine notices
	}
	s.mu.Unlock()
	s.running.Wait()
	return err
}
