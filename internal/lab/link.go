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

// Link is a round trip put between a client and a server on one machine: a TCP
// relay in front of the server that delays every byte, every FIN and every RST
// by the same time each way, in order and without limiting throughput (below
// 4 MiB per delay). What it does is late by the machine's timers, never early.
//
// So while the server's FIN travels, the client may send a request, and that
// request reaches a closed socket. Who closed first is the same on both of the
// link's legs, and TIME_WAIT lands on the same side of each.
//
// A relay of sockets is not a wire, and it shows in this:
//   - A connect costs no round trip; the server hears of it after the delay,
//     and a refusal comes back as a RST of the connection.
//   - Each leg acknowledges on its own. A request that met a closed socket makes
//     the server's leg end without TIME_WAIT, as on a wire; the client's leg,
//     if the client closes on the FIN, keeps one.
//   - A RST that follows a FIN is noticed when something is written against it.
type Link struct {
	cfg    script.Link
	target string
	ln     *serve.Listener
	late   lateness
}

// Late is by how much the link's deliveries came after its delay was over.
func (l *Link) Late() Late { return l.late.seen() }

// StartLink listens on addr ("" is a free port of 127.0.0.1) and relays to
// target, as host:port, until Close. That target cannot be reached is no error here: its
// clients are reset.
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

// Addr is where the link listens, as host:port.
func (l *Link) Addr() string { return l.ln.TCP.Addr().String() }

// URL is u through the link: the same but for host and port. A client that
// verifies the certificate of u's host has to be told that name.
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

	var readers, writers sync.WaitGroup
	readers.Go(func() { r.read(client, up) })
	server, err := r.dial(l.target)
	if err != nil {
		down.reset(r.due(), false)
	} else {
		defer r.own(server)()
		readers.Go(func() { r.read(server, down) })
		writers.Go(func() { r.write(up, server, down) })
	}
	r.write(down, client, up)
	writers.Wait()
	cancel()
	readers.Wait()
}
