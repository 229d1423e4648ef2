package target

import (
	"io"
	"net"
	"testing"
)

// A port is not taken while sockets of its last server are in TIME_WAIT.
func TestUnused(t *testing.T) {
	var started []*portHolder
	start := func() (*portHolder, error) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		p := &portHolder{Listener: ln}
		started = append(started, p)
		if len(started) < 3 {
			p.serveOne(t)
		}
		return p, nil
	}
	server, err := onCleanPort(start)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	last := len(started) - 1 // the third, unless its port had been another test's
	if last < 2 || server != started[last] || server.closed {
		t.Errorf("took the one on %s of %d", server.Addr(), len(started))
	}
	for _, p := range started[:last] {
		if !p.closed {
			t.Errorf("the one on %s is left open", p.Addr())
		}
	}
}

type portHolder struct {
	net.Listener
	closed bool
}

func (p *portHolder) Addr() string { return p.Listener.Addr().String() }

func (p *portHolder) Close() error {
	p.closed = true
	return p.Listener.Close()
}

// serveOne has a client come and close first.
func (p *portHolder) serveOne(t *testing.T) {
	t.Helper()
	client, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := p.Accept()
	if err != nil {
		t.Fatal(err)
	}
	client.Close()
	if _, err := io.Copy(io.Discard, conn); err != nil {
		t.Fatal(err)
	}
	conn.Close()
}
