package dialers

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/internal/poll"
	"github.com/kabench/kabench/internal/transport"
	"github.com/kabench/kabench/results"
)

// dialStamps are when the steps of a dial were done. A request that has waited
// for the dial went through the same steps.
type dialStamps struct{ leased, resolved, connected, secured time.Duration }

func (d *dialStamps) stamp(e *results.Exchange) {
	e.Leased, e.Resolved, e.Connected, e.Secured = d.leased, d.resolved, d.connected, d.secured
	e.Age = 0
}

// dialing is a dial under way; its TLS step is in securing.go. Its methods are called with
// Client.mu held, except resolveOnGoroutine and dialOnGoroutine.
type dialing struct {
	dialStamps
	client *Client
	shard  *shard
	dial   *pool.Dial
	origin Origin
	over   bool

	cancel  context.CancelFunc // of the goroutine that does the step under way; nil: there is none
	givenUp error              // why it was given up while that was at work

	dialDeadline time.Duration // when the Dialer's Timeout is over; 0: never
	deadline     time.Duration // that, or when the exchange that waits gives up, if that is sooner; 0: never

	// Of a socket that connects without a goroutine.
	addrs    []netip.AddrPort // still to be tried
	firstErr error            // why the first address failed
	sock     *transport.Socket
	earlier  []*connecting // begun before sock, and not given up
	timer    timer         // in dialTimers
}

// connecting is a connect of a dial that goes on while the dial tries a later address.
type connecting struct {
	dialing *dialing
	sock    *transport.Socket
}

// newDialing returns the dial that the rules of s have granted.
func newDialing(c *Client, s *shard, granted *pool.Dial) *dialing {
	d := &dialing{
		client: c, shard: s, dial: granted, origin: s.names[granted.Origin],
		dialStamps: dialStamps{c.stamp, results.Never, results.Never, results.Never},
	}
	c.dials[d] = struct{}{}
	return d
}

// start begins the first step: to connect, where the address is known and there
// are sockets; else what needs a goroutine.
func (d *dialing) start() {
	c := d.client
	if timeout := c.dialer.Timeout; timeout > 0 {
		d.dialDeadline = c.stamp + timeout
		if d.deadline == 0 || d.dialDeadline < d.deadline {
			d.deadline = d.dialDeadline
		}
	}
	if addr, known := d.literal(); known {
		d.addrs = []netip.AddrPort{addr}
		d.resolved = c.stamp
		d.connect()
		return
	}
	ctx, cancel := c.loop.until(d.goroutineDeadline())
	d.cancel = cancel
	if d.waits() {
		c.loop.Go(func() { d.dialOnGoroutine(ctx) })
	} else {
		c.loop.Go(func() { d.resolveOnGoroutine(ctx) })
	}
}

// literal is the origin's address, if it is one that a socket can connect to.
func (d *dialing) literal() (addr netip.AddrPort, known bool) {
	ip, err := netip.ParseAddr(d.origin.Host)
	if err != nil || d.waits() || !d.client.dialer.hasSource(ip) {
		return addr, false
	}
	port, err := net.LookupPort("tcp", d.origin.Port)
	return netip.AddrPortFrom(ip.Unmap(), uint16(port)), err == nil
}

// resolveOnGoroutine looks the name up, on a goroutine of its own.
func (d *dialing) resolveOnGoroutine(ctx context.Context) {
	addrs, err := d.client.dialer.resolve(ctx, d.origin, &d.client.loop.names)
	at := d.client.now()
	d.client.loop.Post(func() { d.lookedUp(addrs, at, err) })
}

// lookedUp goes on with the addresses of the name.
func (d *dialing) lookedUp(addrs []netip.AddrPort, at time.Duration, err error) {
	if err != nil {
		d.fail(d.whyGivenUp(&DialError{results.PhaseResolve, err}))
		return
	}
	d.addrs, d.resolved = addrs, at
	if d.givenUp != nil {
		d.fail(&DialError{results.PhaseConnect, d.givenUp})
		return
	}
	d.cancel()
	d.cancel = nil
	d.connect()
}

// dialOnGoroutine does all steps, on a goroutine of its own.
func (d *dialing) dialOnGoroutine(ctx context.Context) {
	stamps := d.dialStamps
	conn, tcp, err := d.client.dialer.dial(ctx, d.origin, &d.client.loop.sessions, &d.client.loop.names, d.client.now, &stamps)
	d.client.loop.Post(func() {
		d.dialStamps = stamps
		switch {
		case err != nil:
			d.fail(d.whyGivenUp(err))
		case d.givenUp != nil: // it was done a moment too late
			d.client.loop.Go(func() { conn.Close() })
			last := results.PhaseConnect
			if d.origin.TLS {
				last, d.secured = results.PhaseTLS, results.Never
			} else {
				d.connected = results.Never
			}
			d.fail(&DialError{last, d.givenUp})
		default:
			secure, is := conn.(*tls.Conn)
			d.countResumed(is && secure.ConnectionState().DidResume)
			stream := transport.NewStream(d.client.loop, conn, tcp)
			stream.Begin(d.established(stream))
		}
	})
}

// connect begins to connect to the next address. When there is none left the
// dial has failed, for what was wrong with the first.
func (d *dialing) connect() {
	for len(d.addrs) > 0 {
		addr := d.addrs[0]
		d.addrs = d.addrs[1:]
		options := d.client.dialer.options(addr)
		options.Closings = &d.client.loop.closings
		sock, err := transport.Connect(d.client.loop, d, addr, options)
		if err == nil {
			d.sock = sock
			d.boundConnect()
			return
		}
		if !options.Source.IsValid() {
			err = withoutIPv6(err, addr)
		}
		d.firstErr = firstError(d.firstErr, err)
	}
	if len(d.earlier) > 0 {
		d.boundConnect() // one of them may still succeed
		return
	}
	d.fail(&DialError{results.PhaseConnect, d.firstErr})
}

// boundConnect sets a timer for the connect just begun: for what is left of the Dialer's
// Timeout or, when there are other addresses, for FallbackDelay or its share of the time.
func (d *dialing) boundConnect() {
	c, at := d.client, d.dialDeadline
	switch n := len(d.addrs); {
	case n > 0 && c.dialer.FallbackDelay > 0:
		at = c.clock() + c.dialer.FallbackDelay
		if d.dialDeadline > 0 {
			at = min(at, d.dialDeadline)
		}
	case n > 0 && d.deadline > 0:
		now := c.clock()
		at = now + share(d.deadline-now, n+1)
	}
	c.loop.dialTimers.remove(&d.timer)
	if at > 0 {
		d.timer.fire = d.connectTimedOut
		c.loop.dialTimers.add(&d.timer, at)
	}
}

// connectTimedOut goes on to the next address, or ends the dial.
func (d *dialing) connectTimedOut() {
	dialer, past := d.client.dialer, d.dialDeadline > 0 && d.client.clock() >= d.dialDeadline
	switch {
	case len(d.addrs) == 0 || dialer.FallbackDelay > 0 && past:
		d.fail(&DialError{results.PhaseConnect, context.DeadlineExceeded})
	case dialer.FallbackDelay > 0 && dialer.Fallback == pool.FallbackRace:
		d.leaveBehind()
		d.connect()
	default:
		d.connectFailed(context.DeadlineExceeded)
	}
}

// leaveBehind has the connect under way, if there is one, go on beside the next.
func (d *dialing) leaveBehind() {
	if d.sock == nil {
		return
	}
	c := &connecting{d, d.sock}
	d.client.loop.tokens.pass(d.sock.Token(), c)
	d.earlier, d.sock = append(d.earlier, c), nil
}

// connectFailed gives up the connect to one address, and goes on to the next.
func (d *dialing) connectFailed(err error) {
	d.firstErr = firstError(d.firstErr, err)
	d.sock.Drop()
	d.sock = nil
	d.connect()
}

// Event implements transport.Listener: the connect that was left behind is over. If it has
// succeeded, it takes the place of the later one; else the next address is tried at once.
func (c *connecting) Event(e poll.Event) {
	if !e.Writable {
		return
	}
	d := c.dialing
	d.earlier = slices.DeleteFunc(d.earlier, func(other *connecting) bool { return other == c })
	d.leaveBehind()
	d.sock = c.sock
	d.client.loop.tokens.pass(d.sock.Token(), d)
	d.Event(e)
}

// Event implements transport.Listener: the connect is over.
func (d *dialing) Event(e poll.Event) {
	if !e.Writable {
		return
	}
	if e.Failed {
		if err := d.sock.Connected(); err != nil {
			d.connectFailed(err)
			return
		}
	}
	d.dropEarlier()
	d.connected = d.client.clock()
	if d.origin.TLS {
		d.secure()
		return
	}
	sock := d.sock
	d.sock = nil
	conn := d.established(sock)
	d.client.loop.tokens.pass(sock.Token(), conn)
	d.client.settle() // a request that has waited for it is written before anything is read: a server may speak first
	conn.noteFin(e)
	if e.Readable {
		conn.Readable(e.Ended)
	}
}

// established gives the connection that the dial has made, over wire, to the
// pool.
func (d *dialing) established(wire transport.Transport) *connection {
	c := d.client
	d.done()
	c.conns++
	conn := &connection{id: c.conns, client: c, shard: d.shard, dialed: d, wire: wire}
	if c.Tracer != nil {
		traceEstablished(conn, d)
	}
	var decisions []pool.Decision
	conn.entry, decisions = d.shard.core.Dialed(c.clock(), d.dial, conn)
	c.decide(d.shard, decisions, nil)
	return conn
}

// giveUp ends the dial because no request waits for it any more.
func (d *dialing) giveUp(why error) {
	switch {
	case d.over:
	case d.cancel == nil:
		d.fail(&DialError{results.PhaseConnect, why})
	case d.givenUp == nil:
		d.givenUp = why
		d.cancel() // the goroutine will say in which step, or that it was done already
	}
}

// whyGivenUp returns err, the error of a step that a goroutine did. If the dial was
// given up meanwhile, it returns that step and the reason instead: the later outcome
// does not count.
func (d *dialing) whyGivenUp(err error) error {
	if d.givenUp == nil {
		return err
	}
	phase := results.PhaseConnect
	if step, ok := errors.AsType[*DialError](err); ok {
		phase = step.Phase
	}
	return &DialError{phase, d.givenUp}
}

// fail ends the dial without a connection.
func (d *dialing) fail(err error) {
	d.done()
	if d.client.Tracer != nil {
		traceDialFailed(d, err)
	}
	if d.sock != nil {
		d.sock.Drop()
		d.sock = nil
	}
	d.dropEarlier()
	d.client.decide(d.shard, d.shard.core.DialFailed(d.client.clock(), d.dial), err)
}

// dropEarlier gives up the connects that were left behind.
func (d *dialing) dropEarlier() {
	for _, c := range d.earlier {
		c.sock.Drop()
	}
	d.earlier = nil
}

func (d *dialing) done() {
	d.over = true
	d.client.loop.dialTimers.remove(&d.timer)
	if d.cancel != nil {
		d.cancel()
	}
	delete(d.client.dials, d)
}
