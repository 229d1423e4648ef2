package lab

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/kabench/kabench/internal/lab/serve"
	"github.com/kabench/kabench/profiles/script"
)

const (
	flowLimit = 4 << 20 // bytes in flight in one direction
	itemCost  = 64      // bytes that an item counts besides its data
	// resetGrace is how long the link tries to write data that is due before a RST to
	// a socket whose peer does not read.
	resetGrace = 100 * time.Millisecond
)

// relay is one connection through a link: two sockets, and for each direction a flow
// with a reader at one end and a writer at the other. It is over when the link has sent
// a FIN to both sockets, or a RST to one of them.
type relay struct {
	delay  time.Duration
	ctx    context.Context
	cancel context.CancelFunc
	late   *lateness
	fins   atomic.Int32 // sent
	idle   *idleness    // nil: the link remembers for ever
	ends   atomic.Int32 // sockets of a forgotten connection that were reset
}

// own closes conn when the relay is over, or when the returned function is called.
func (r *relay) own(conn *net.TCPConn) (release func()) {
	stop := context.AfterFunc(r.ctx, func() { conn.Close() })
	return func() {
		stop()
		conn.Close()
	}
}

// due returns when an event of now takes effect at the other end.
func (r *relay) due() time.Time { return time.Now().Add(r.delay) }

func (r *relay) dial(target string) (*net.TCPConn, error) {
	if !serve.Sleep(r.ctx, r.delay) {
		return nil, r.ctx.Err()
	}
	conn, err := new(net.Dialer).DialContext(r.ctx, "tcp", target)
	if err != nil {
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}

// read puts what a socket receives into f, until its FIN or RST.
func (r *relay) read(from *net.TCPConn, f *flow) {
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		at := r.due()
		switch {
		case r.idle != nil && r.ctx.Err() == nil && !r.idle.passes():
			r.unknown(from, n > 0)
			return
		case n > 0:
			if !f.put(r.ctx, item{at: at, data: bytes.Clone(buf[:n])}) {
				return
			}
		case r.ctx.Err() != nil:
			return
		case err == io.EOF:
			f.fin(at)
			return
		default:
			f.reset(at, true)
			return
		}
	}
}

// write writes what comes out of f to a socket until the relay is over. If the socket
// is dead, write sends a RST in the other direction.
func (r *relay) write(f *flow, to *net.TCPConn, back *flow) {
	defer f.abandon()
	f.leadsTo(to)
	for {
		it, ok := f.take(r.ctx)
		if !ok {
			return
		}
		r.late.since(it.at)
		switch it.end {
		case more:
			_, err := to.Write(it.data)
			if errors.Is(err, os.ErrDeadlineExceeded) { // the deadline that reset has set
				r.resetNow(to)
				return
			}
			if err != nil {
				// A socket reports a RST once. If this write got it, the reader saw a
				// FIN instead; only EPIPE means that a FIN really arrived.
				back.reset(r.due(), errors.Is(err, syscall.ECONNRESET))
				return
			}
		case fin:
			to.CloseWrite() // fails only on a socket that was reset
			if r.fins.Add(1) == 2 {
				r.cancel()
			}
		case rst:
			r.resetNow(to)
			return
		}
	}
}

func (r *relay) resetNow(conn *net.TCPConn) {
	conn.SetLinger(0)
	conn.Close()
	r.cancel()
}

// end says whether an item ends its direction.
type end uint8

const (
	more end = iota
	fin
	rst
)

// item is data, a FIN or a RST in flight.
type item struct {
	at   time.Time // when it is due at the other end
	end  end
	data []byte
}

// flow holds what is in flight in one direction, in order.
type flow struct {
	filled chan struct{} // has an element after something was put
	freed  chan struct{} // has an element after something was taken

	mu        sync.Mutex // guards the rest
	items     []item
	size      int          // bytes of items
	to        *net.TCPConn // the socket at its end; nil: not connected yet
	writeBy   time.Time    // deadline of writes to it, because a RST follows; zero: no RST
	abandoned bool         // nothing takes from it any more
}

func newFlow() *flow {
	return &flow{filled: make(chan struct{}, 1), freed: make(chan struct{}, 1)}
}

// put adds data as soon as there is room; false: ctx is done.
func (f *flow) put(ctx context.Context, it item) bool {
	for {
		f.mu.Lock()
		if f.abandoned || f.size < flowLimit {
			f.add(it)
			f.mu.Unlock()
			return true
		}
		f.mu.Unlock()
		select {
		case <-f.freed:
		case <-ctx.Done():
			return false
		}
	}
}

// fin adds a FIN.
func (f *flow) fin(at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.add(item{at: at, end: fin})
}

// reset adds a RST. If instead is set, the RST replaces a FIN that is still in flight.
func (f *flow) reset(at time.Time, instead bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	last := len(f.items) - 1
	if last >= 0 && f.items[last].end == rst {
		return
	}
	if instead && last >= 0 && f.items[last].end == fin {
		f.items = f.items[:last]
		f.size -= itemCost
	}
	f.add(item{at: at, end: rst})
	f.writeBy = at.Add(resetGrace)
	if f.to != nil {
		f.to.SetWriteDeadline(f.writeBy)
	}
}

// add adds an item. The caller holds f.mu.
func (f *flow) add(it item) {
	if f.abandoned {
		return
	}
	f.items = append(f.items, it)
	f.size += len(it.data) + itemCost
	signal(f.filled)
}

// leadsTo sets the socket at the end of the flow.
func (f *flow) leadsTo(conn *net.TCPConn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.to = conn
	if !f.writeBy.IsZero() {
		conn.SetWriteDeadline(f.writeBy)
	}
}

// take waits until the first item is due and removes it; false: ctx is done.
func (f *flow) take(ctx context.Context) (item, bool) {
	for {
		it, wait, ok := f.poll(time.Now())
		switch {
		case !ok:
			select {
			case <-f.filled:
			case <-ctx.Done():
				return item{}, false
			}
		case wait > 0:
			// After the wait the first item may be another one: a RST may have replaced
			// a FIN.
			if !serve.Sleep(ctx, wait) {
				return item{}, false
			}
		default:
			return it, true
		}
	}
}

// poll removes and returns the first item if it is due; otherwise it returns how long
// that takes. False: there is no item.
func (f *flow) poll(now time.Time) (it item, wait time.Duration, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.items) == 0 {
		return item{}, 0, false
	}
	it = f.items[0]
	if wait := it.at.Sub(now); wait > 0 {
		return item{}, wait, true
	}
	f.items[0] = item{} // so that the data can be freed
	f.items = f.items[1:]
	f.size -= len(it.data) + itemCost
	signal(f.freed)
	return it, 0, true
}

// abandon drops what is in flight and all that is added later.
func (f *flow) abandon() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.items, f.size, f.abandoned = nil, 0, true
	signal(f.freed)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// idleness is what a link that ends or forgets idle connections knows of one of them.
type idleness struct {
	after    time.Duration
	atExpiry script.Expiry

	mu        sync.Mutex // guards the rest
	last      time.Time  // when data or an end last entered the link
	forgotten bool
}

func newIdleness(after time.Duration, atExpiry script.Expiry) *idleness {
	return &idleness{after: after, atExpiry: atExpiry, last: time.Now()}
}

// passes notes that something enters the link, and reports whether the connection is
// still known. It decides together with left, so that a byte either passes or comes too
// late.
func (i *idleness) passes() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	now := time.Now()
	if i.forgotten = i.forgotten || now.Sub(i.last) >= i.after; i.forgotten {
		return false
	}
	i.last = now
	return true
}

// left returns how long the connection will be known if nothing enters the link, and
// forgets it at 0.
func (i *idleness) left() time.Duration {
	i.mu.Lock()
	defer i.mu.Unlock()
	left := i.after - time.Since(i.last)
	i.forgotten = i.forgotten || left <= 0
	return max(left, 0)
}

// endWhenIdle ends the connection on both sides once it was idle for too long, with a FIN
// or a RST that travel for the delay.
func (r *relay) endWhenIdle(client, server *net.TCPConn, up, down *flow) {
	for left := r.idle.left(); left > 0; left = r.idle.left() {
		if !serve.Sleep(r.ctx, left) {
			return
		}
	}
	at := r.due()
	if r.idle.atExpiry == script.Fin {
		up.fin(at)
		down.fin(at)
		return
	}
	if !serve.Sleep(r.ctx, r.delay) {
		return
	}
	client.SetLinger(0)
	server.SetLinger(0)
	r.cancel() // closes both
}

// unknown does with what came from a socket of a forgotten connection as a device would
// that does not know it: a RST to its sender, who alone hears of it. The other end has its
// connection until it notices by itself. If both ends hear of it at expiry, their FIN or
// RST is on its way already.
func (r *relay) unknown(from *net.TCPConn, data bool) {
	if !r.idle.atExpiry.Silent() {
		return
	}
	if data && !serve.Sleep(r.ctx, r.delay) {
		return
	}
	from.SetLinger(0)
	from.Close()
	if r.ends.Add(1) == 2 {
		r.cancel()
	}
}
