package broker

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

// greetWithin is how long a server may take to send its first line. A NATS server sends it at
// once; an HTTP server sends none.
const greetWithin = 5 * time.Second

// errNotNATS ends an attempt to connect to something else.
var errNotNATS = errors.New("it is not a NATS server")

// greeting is the first thing that a server sent.
type greeting struct {
	NATS   bool   `json:"-"`
	Silent bool   `json:"-"` // it accepted the connection, and sent nothing
	Cut    bool   `json:"-"` // it accepted the connection, and ended it before it had sent a line
	Text   string `json:"-"` // if it is not NATS: what it sent, shortened

	TLSRequired  bool `json:"tls_required"`
	TLSAvailable bool `json:"tls_available"`
	AuthRequired bool `json:"auth_required"`
}

// dialer opens connections for NATS. It looks at the first line that the server sends and
// gives it back, so that an error can say what is there. Later connections wait for no longer
// than the first one.
type dialer struct {
	ctx context.Context // of the first connection: it is Dial's

	mu    sync.Mutex
	first bool      // guarded by mu: Dial has not returned
	last  *greeting // guarded by mu: nil if no connection was made
	cause error     // guarded by mu: why no connection was made
}

// Dial implements nats.CustomDialer.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	ctx := context.Background()
	d.mu.Lock()
	first := d.first
	if first {
		ctx = d.ctx
	}
	d.mu.Unlock()
	conn, err := (&net.Dialer{Timeout: connectWithin}).DialContext(ctx, network, address)
	if !first {
		return conn, err
	}
	d.mu.Lock()
	d.cause = err
	if err == nil {
		d.last = &greeting{Silent: true} // until it sends something
	}
	d.mu.Unlock()
	if err != nil {
		return nil, err
	}
	g, conn := greet(conn)
	d.mu.Lock()
	d.last = g
	d.mu.Unlock()
	if !g.NATS {
		conn.Close()
		return nil, errNotNATS
	}
	return conn, nil
}

// seen returns what the first connection met, and makes all later ones reconnections.
func (d *dialer) seen() (*greeting, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.first = false
	return d.last, d.cause
}

// greet reads the first line of a server. The connection that it returns has it still unread.
func greet(conn net.Conn) (*greeting, net.Conn) {
	r := bufio.NewReaderSize(conn, 32<<10)
	conn.SetReadDeadline(time.Now().Add(greetWithin))
	line, err := firstLine(r)
	conn.SetReadDeadline(time.Time{})
	peeked := &peeked{Conn: conn, r: r}
	g := &greeting{}
	rest, isInfo := bytes.CutPrefix(line, []byte("INFO "))
	switch {
	case isInfo && json.Unmarshal(rest, g) == nil:
		g.NATS = true
	case err != nil && !errors.Is(err, os.ErrDeadlineExceeded) && (len(line) == 0 || isInfo):
		g.Cut = true
	case len(line) == 0 && err != nil:
		g.Silent = true
	default:
		g.Text = shorten(string(line))
	}
	return g, peeked
}

// firstLine peeks at r until it has a line, as much as fits, or an error.
func firstLine(r *bufio.Reader) ([]byte, error) {
	for n := 1; ; n = r.Buffered() + 1 {
		_, err := r.Peek(min(n, r.Size()))
		have, _ := r.Peek(r.Buffered())
		if line, _, found := bytes.Cut(have, []byte("\n")); found || err != nil || len(have) == r.Size() {
			return line, err
		}
	}
}

// shorten makes what a server sent fit into a sentence.
func shorten(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '.'
		}
		return r
	}, strings.TrimSpace(text))
	if len(text) > 40 {
		text = text[:40] + "…"
	}
	return text
}

// peeked is a connection whose first bytes are in r.
type peeked struct {
	net.Conn
	r *bufio.Reader
}

// Read reads what was peeked at first.
func (p *peeked) Read(b []byte) (int, error) { return p.r.Read(b) }
