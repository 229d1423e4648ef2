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
)

const (
	flowLimit = 4 << 20 // bytes under way in one direction
	itemCost  = 64      // bytes that an item takes besides its data
	// resetGrace is how long data that is due before a RST has to get into a
	// socket whose peer is not reading.
	resetGrace = 100 * time.Millisecond
)

// relay is one connection through a link: two sockets, and for each direction
// a flow with a reader at one end and a writer at the other. It is over when
// both sockets were sent a FIN, or one of them a RST.
type relay struct {
	delay  time.Duration
	ctx    context.Context
	cancel context.CancelFunc
	late   *lateness
	fins   atomic.Int32 // sent
}

// own closes conn when the relay is over, or when the function it returns is
// called.
func (r *relay) own(conn *net.TCPConn) (release func()) {
	stop := context.AfterFunc(r.ctx, func() { conn.Close() })
	return func() {
		stop()
		conn.Close()
	}
}

// due is when what happens now is known at the other end.
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

// read puts what comes from a socket into f until its FIN or RST.
func (r *relay) read(from *net.TCPConn, f *flow) {
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		at := r.due()
		switch {
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

// write puts what comes out of f into a socket until the relay is over. If the
// socket turns out to be dead, that travels back.
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
			if errors.Is(err, os.ErrDeadlineExceeded) { // set when a RST came up behind
				r.resetNow(to)
				return
			}
			if err != nil {
				// A socket reports a RST once. If it was reported here its reader
				// saw a FIN instead; only EPIPE says that a FIN had really come.
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

// item is something under way in a flow.
type item struct {
	at   time.Time // when it is due at the other end
	end  end
	data []byte
}

// flow is what is under way in one direction, in order.
type flow struct {
	filled chan struct{} // has one when something was put
	freed  chan struct{} // has one when something was taken

	mu        sync.Mutex // guards the rest
	items     []item
	size      int          // of items, in bytes
	to        *net.TCPConn // where it leads; nil: not there yet
	cut       time.Time    // when writing to it must be over, because a RST follows; zero: none does
	abandoned bool         // nobody takes any more
}

func newFlow() *flow {
	return &flow{filled: make(chan struct{}, 1), freed: make(chan struct{}, 1)}
}

// put adds data once there is room. It reports whether ctx is not done.
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

// reset adds a RST; if instead, it takes the place of a FIN that is still under
// way.
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
	f.cut = at.Add(resetGrace)
	if f.to != nil {
		f.to.SetWriteDeadline(f.cut)
	}
}

// add needs f.mu.
func (f *flow) add(it item) {
	if f.abandoned {
		return
	}
	f.items = append(f.items, it)
	f.size += len(it.data) + itemCost
	signal(f.filled)
}

// leadsTo says where the flow leads.
func (f *flow) leadsTo(conn *net.TCPConn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.to = conn
	if !f.cut.IsZero() {
		conn.SetWriteDeadline(f.cut)
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
			// Afterwards it may be another one: a RST for a FIN.
			if !serve.Sleep(ctx, wait) {
				return item{}, false
			}
		default:
			return it, true
		}
	}
}

// poll removes the first item if it is due, or else says how long until it is;
// false: there is none.
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
	f.items[0] = item{} // lets go of the data
	f.items = f.items[1:]
	f.size -= len(it.data) + itemCost
	signal(f.freed)
	return it, 0, true
}

// abandon drops what is under way and what is yet to come.
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
