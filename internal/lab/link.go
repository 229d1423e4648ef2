package lab

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"sync"

	"github.com/kabench/kabench/internal/lab/serve"
	"github.com/kabench/kabench/profiles/script"
)

// Link puts a round trip between a client and a server on one machine. It is a TCP
// relay in front of the server, which delays every byte, FIN and RST by the same time
// in each direction, keeps their order, and does not limit throughput (below 4 MiB per
// delay). Because of the machine's timers it may deliver late, but never early.
//
// So while the server's FIN travels, the client may send a request, and that request
// reaches a closed socket. The link has a connection to the client and one to the
// server. The same side closes first on both, and TIME_WAIT is on the same side.
//
// A relay of sockets differs from a wire:
//   - A connect takes no round trip. The server receives it after the delay; if it
//     refuses, the client's connection is reset.
//   - The two connections acknowledge separately. A request that reaches a closed
//     socket ends the server's connection without TIME_WAIT, as on a wire. The
//     client's connection keeps a TIME_WAIT if the client closes on the FIN.
//   - The link notices a RST after a FIN only when it writes to that socket.
//
// With script.Link.IdleTimeout it also plays a device that ends or forgets idle connections: idleness
// in relay.go.
type Link struct {
	cfg    script.Link
	target string
	ln     *serve.Listener
	late   lateness
	behind doors
}

// keepDoors is how many connections a link remembers, the newest ones: as many as a
// server's stories.
const keepDoors = 10_000

// doors are the link's own addresses at the server, by those of its clients.
type doors struct {
	mu    sync.Mutex
	own   map[string]string // guarded by mu
	order []string          // guarded by mu: the clients
	next  int               // guarded by mu: index in order of the next one, once it is full
}

func (d *doors) add(client, own string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.own == nil {
		d.own = map[string]string{}
	}
	if _, again := d.own[client]; !again {
		if len(d.order) < keepDoors {
			d.order = append(d.order, client)
		} else {
			delete(d.own, d.order[d.next])
			d.order[d.next] = client
			d.next = (d.next + 1) % keepDoors
		}
	}
	d.own[client] = own
}

// Behind returns the address at which the server sees the newest connection of a client
// of the link; ok is false if it is not known.
func (l *Link) Behind(client string) (own string, ok bool) {
	l.behind.mu.Lock()
	defer l.behind.mu.Unlock()
	own, ok = l.behind.own[client]
	return own, ok
}

// Late returns how late the link delivered, counted from the end of its delay.
func (l *Link) Late() Late { return l.late.seen() }

// StartLink listens on addr ("" is a free port of 127.0.0.1) and relays to target,
// written as host:port, until Close. If target cannot be reached, StartLink succeeds
// and clients are reset.
func StartLink(cfg script.Link, addr, target string) (*Link, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("link: %w", err)
	}
	if _, _, err := net.SplitHostPort(target); err != nil {
		return nil, fmt.Errorf("link: target: %w", err)
	}
	ln, err := serve.Listen(addr)
	if err != nil {
		return nil, fmt.Errorf("link: %w", err)
	}
	l := &Link{cfg: cfg, target: target, ln: ln}
	ln.Serve(nil, func(client *net.TCPConn) func() { return func() { l.relay(client) } })
	return l, nil
}

// Addr returns where the link listens, as host:port.
func (l *Link) Addr() string { return l.ln.TCP.Addr().String() }

// URL returns u with the host and port of the link. A client that verifies the
// certificate of u's host needs that name from elsewhere.
func (l *Link) URL(u *url.URL) *url.URL {
	through := *u
	through.Host = l.Addr()
	return &through
}

// Close closes the listener and every connection and waits until they are
// closed. It may be called again.
func (l *Link) Close() error { return l.ln.Close() }

// relay is the life of one connection through the link.
func (l *Link) relay(client *net.TCPConn) {
	ctx, cancel := context.WithCancel(l.ln.Ctx)
	r := &relay{delay: l.cfg.Delay, ctx: ctx, cancel: cancel, late: &l.late}
	defer cancel()
	defer r.own(client)()
	up, down := newFlow(), newFlow()
	if l.cfg.IdleTimeout > 0 {
		r.idle = newIdleness(l.cfg.IdleTimeout, l.cfg.AtExpiry)
	}

	var readers, writers sync.WaitGroup
	readers.Go(func() { r.read(client, up) })
	server, err := r.dial(l.target)
	if err != nil {
		down.reset(r.due(), false)
	} else {
		l.behind.add(client.RemoteAddr().String(), server.LocalAddr().String())
		defer r.own(server)()
		readers.Go(func() { r.read(server, down) })
		writers.Go(func() { r.write(up, server, down) })
		if r.idle != nil && !r.idle.atExpiry.Silent() {
			readers.Go(func() { r.endWhenIdle(client, server, up, down) })
		}
	}
	r.write(down, client, up)
	writers.Wait()
	cancel()
	readers.Wait()
}
