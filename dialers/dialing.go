package dialers

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/internal/poll"
	"github.com/kabench/kabench/results"
)

// attempt is a dial: when its steps were done, and so what a request that has
// waited for it went through.
type attempt struct{ leased, resolved, connected, secured time.Duration }

func (a *attempt) stamp(e *results.Exchange) {
	e.Leased, e.Resolved, e.Connected, e.Secured = a.leased, a.resolved, a.connected, a.secured
	e.Age = 0
}

// dialing is a dial under way. Its methods are called with Client.mu held.
type dialing struct {
	attempt
	c      *Client
	shard  *shard
	dial   *pool.Dial
	origin Origin
	over   bool

	cancel context.CancelFunc // of the goroutine that does the step under way; nil: none does
	given  error              // why it was given up while that was at work
	limit  timer              // in byDial

	// Of a socket that connects without a goroutine.
	addrs []netip.AddrPort // still to be tried
	first error            // why the first address was none
	sock  *socket
	until time.Duration // when the Dialer's Timeout is over; 0: never
	by    time.Duration // that, or when who waits gives up, if that is sooner
}

// dial makes a connection as granted. It outlives the exchange, if that may be
// served by another connection.
func (t *task) dial(s *shard, granted *pool.Dial) {
	c := t.c
	d := &dialing{c: c, shard: s, dial: granted, origin: s.names[granted.Origin]}
	d.attempt = attempt{c.at, results.Never, results.Never, results.Never}
	c.dials[d] = struct{}{}
	late := c.policy.LateBind && !t.fresh
	var deadline time.Time                    // of the exchange, if the dial ends with it
	if t.stage == acquiring && t.own == nil { // else another connection has come sooner than the word to dial one
		t.own = d
		t.e.Leased = d.leased
		if !late && c.timeout > 0 {
			d.by = t.due.at
			deadline = c.epoch.Add(d.by)
		}
	}
	if ip, err := netip.ParseAddr(d.origin.Host); err == nil && poll.Sockets && !d.origin.TLS && c.dialer.hasSource(ip) {
		if port, err := net.LookupPort("tcp", d.origin.Port); err == nil {
			d.addrs = []netip.AddrPort{netip.AddrPortFrom(ip.Unmap(), uint16(port))}
		}
	}
	if c.dialer.Timeout > 0 {
		d.until = c.at + c.dialer.Timeout
		if d.by == 0 || d.until < d.by {
			d.by = d.until
			deadline = c.epoch.Add(d.by)
		}
	}
	if d.addrs != nil {
		d.resolved = c.at
		d.connect()
		return
	}
	ctx, cancel := c.until(deadline)
	d.cancel = cancel
	c.running.Go(func() { d.apart(ctx) })
}

// apart makes the connection on a goroutine of its own.
func (d *dialing) apart(ctx context.Context) {
	a := d.attempt
	if !d.origin.TLS && poll.Sockets {
		addrs, err := d.c.dialer.resolve(ctx, d.origin)
		a.resolved = d.c.now()
		d.c.post(func() { d.lookedUp(a, addrs, err) })
		return
	}
	conn, wire, err := d.c.dialer.dial(ctx, d.origin, d.c.now, &a)
	d.c.post(func() {
		switch {
		case err != nil:
			d.attempt = a
			d.fail(d.gaveUp(err))
		case d.given != nil: // it was done a moment too late
			d.c.running.Go(func() { conn.Close() })
			last := results.PhaseConnect
			if d.origin.TLS {
				last, a.secured = results.PhaseTLS, results.Never
			} else {
				a.connected = results.Never
			}
			d.attempt = a
			d.fail(&DialError{last, d.given})
		default:
			d.attempt = a
			s := newStream(d.c, conn, wire)
			c := d.made(s)
			s.begin(c)
		}
	})
}

// lookedUp goes on with the addresses of a name.
func (d *dialing) lookedUp(a attempt, addrs []netip.AddrPort, err error) {
	if err != nil {
		d.fail(d.gaveUp(&DialError{results.PhaseResolve, err}))
		return
	}
	d.attempt, d.addrs = a, addrs
	if d.given != nil {
		d.fail(&DialError{results.PhaseConnect, d.given})
		return
	}
	d.cancel()
	d.cancel = nil
	d.connect()
}

// connect begins to connect to the next address. When there is none left the
// dial has failed, for what was wrong with the first.
func (d *dialing) connect() {
	for len(d.addrs) > 0 {
		addr := d.addrs[0]
		d.addrs = d.addrs[1:]
		sock, err := d.c.connect(addr, d)
		if err == nil {
			d.sock = sock
			d.wait()
			return
		}
		d.first = foremost(d.first, err)
	}
	d.fail(&DialError{results.PhaseConnect, d.first})
}

// wait bounds the connect just begun: by what is left of the Dialer's Timeout or,
// with other addresses left, by its share of the time.
func (d *dialing) wait() {
	c, at := d.c, d.until
	if n := len(d.addrs); n > 0 && d.by > 0 {
		now := c.clock()
		at = now + share(d.by-now, n+1)
	}
	c.byDial.remove(&d.limit)
	if at > 0 {
		d.limit.fire = d.tooLong
		c.byDial.add(&d.limit, at)
	}
}

// tooLong goes on to the next address, or ends the dial.
func (d *dialing) tooLong() {
	if len(d.addrs) == 0 {
		d.fail(&DialError{results.PhaseConnect, context.DeadlineExceeded})
		return
	}
	d.failedAt(context.DeadlineExceeded)
	d.connect()
}

// failedAt gives the connect to one of the addresses up.
func (d *dialing) failedAt(err error) {
	d.first = foremost(d.first, err)
	d.sock.drop()
	d.sock = nil
}

// event is that of listener: the connect is over.
func (d *dialing) event(e poll.Event) {
	if !e.Writable {
		return
	}
	if err := d.sock.connected(); err != nil {
		d.failedAt(err)
		d.connect()
		return
	}
	d.connected = d.c.clock()
	sock := d.sock
	d.sock = nil
	c := d.made(sock)
	d.c.slots.pass(sock.token, c)
	d.c.settle() // a request that has waited for it is written before anything is read: a server may speak first
	if e.Readable {
		c.readable(e.Ended)
	}
}

// made is the connection that the dial has made, over wire.
func (d *dialing) made(wire transport) *Conn {
	c := d.c
	d.done()
	c.conns++
	conn := &Conn{id: c.conns, c: c, shard: d.shard, made: d, wire: wire}
	if c.Tracer != nil {
		conn.traceMade(d)
	}
	var decisions []pool.Decision
	conn.entry, decisions = d.shard.core.Dialed(c.clock(), d.dial, conn)
	c.decide(d.shard, decisions, nil)
	return conn
}

// giveUp ends the dial because nobody waits for it any more.
func (d *dialing) giveUp(why error) {
	switch {
	case d.over:
	case d.cancel == nil:
		d.fail(&DialError{results.PhaseConnect, why})
	case d.given == nil:
		d.given = why
		d.cancel() // the goroutine will say in which step, or that it was done already
	}
}

// gaveUp is err, of a step that a goroutine did, or that step and why the dial was
// given up meanwhile: nothing that came of it after that counts.
func (d *dialing) gaveUp(err error) error {
	if d.given == nil {
		return err
	}
	phase := results.PhaseConnect
	if step, ok := errors.AsType[*DialError](err); ok {
		phase = step.Phase
	}
	return &DialError{phase, d.given}
}

// fail ends the dial without a connection.
func (d *dialing) fail(err error) {
	d.done()
	if d.c.Tracer != nil {
		d.traceFailed(err)
	}
	if d.sock != nil {
		d.sock.drop()
		d.sock = nil
	}
	d.c.decide(d.shard, d.shard.core.DialFailed(d.c.clock(), d.dial), err)
}

func (d *dialing) done() {
	d.over = true
	d.c.byDial.remove(&d.limit)
	if d.cancel != nil {
		d.cancel()
	}
	delete(d.c.dials, d)
}

// netError is what package net would make of a failed operation.
func netError(op string, local, remote net.Addr, err error) error {
	if err == nil {
		return nil
	}
	if _, isCall := err.(*os.SyscallError); !isCall {
		err = os.NewSyscallError(op, err)
	}
	return &net.OpError{Op: op, Net: "tcp", Source: local, Addr: remote, Err: err}
}
