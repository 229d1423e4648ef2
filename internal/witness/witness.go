package witness

import (
	"net/netip"
	"sync"
	"time"

	"github.com/kabench/kabench/internal/capture"
	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/evidence/segments"
	"github.com/kabench/kabench/internal/packetring"
)

// ErrNotAllowed is the error of Listen where this process may not open a packet socket.
var ErrNotAllowed = packetring.ErrNotAllowed

// every is how often the packets are taken while nobody asks. The ring holds what comes
// in many times as long.
const every = 20 * time.Millisecond

// Witness follows the connections to some servers. Its methods may be called concurrently.
type Witness struct {
	clock *packetring.Clock
	stop  chan struct{}
	ended sync.WaitGroup

	mu      sync.Mutex       // guards all below
	ring    *packetring.Ring // nil once closed
	servers map[netip.AddrPort]bool
	lives   *segments.Lives
	packets uint64
	lost    uint64
	lostAt  time.Duration // when a loss was noticed last, or NotSeen
	stories []Stories
	conns   conns
	asked   index
	kept    kept
	segment segments.Segment // the current one
}

// Listen begins to watch the connections to servers in the network namespace of the
// calling thread, which is the one of the process unless somebody has moved the thread.
// A server with an unspecified address is its port on every address. The error is
// ErrNotAllowed if this process may not.
func Listen(servers []netip.AddrPort) (*Witness, error) {
	w := newWitness(servers, packetring.NewClock(time.Now))
	var err error
	if w.ring, err = packetring.Open(servers, packetring.Whole); err != nil {
		return nil, err
	}
	w.ended.Go(w.watch)
	return w, nil
}

func newWitness(servers []netip.AddrPort, c *packetring.Clock) *Witness {
	w := &Witness{clock: c, stop: make(chan struct{}), servers: map[netip.AddrPort]bool{}, lostAt: evidence.NotSeen}
	w.lives = segments.NewLives(func(*evidence.Connection) {}, nil)
	w.lives.Begun, w.lives.Watch, w.lives.Ended = w.begun, w.request, w.over
	for _, s := range servers {
		s = netip.AddrPortFrom(s.Addr().Unmap(), s.Port())
		w.servers[s] = true
		w.lives.Server(s)
	}
	w.conns.open = map[ends]*conn{}
	w.conns.newest = map[netip.AddrPort]*conn{}
	w.asked.most, w.asked.of = maxAsked, map[uint64][]*attempt{}
	return w
}

// watch takes the packets while nobody asks, so that the ring does not fill up.
func (w *Witness) watch() {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-w.stop:
			return
		case <-t.C:
			w.mu.Lock()
			w.drain()
			w.mu.Unlock()
		}
	}
}

// Close stops watching. What was seen can still be asked for.
func (w *Witness) Close() error {
	w.mu.Lock()
	if w.ring == nil {
		w.mu.Unlock()
		return nil
	}
	w.drain()
	w.count(w.ring.Lost())
	w.ring.Close()
	w.ring = nil
	close(w.stop)
	w.mu.Unlock()
	w.ended.Wait()
	return nil
}

// drain takes the packets that have come; mu is held.
func (w *Witness) drain() {
	if w.ring == nil {
		return
	}
	w.clock.Read()
	w.ring.Drain(w.take)
	w.count(w.ring.Noticed())
}

func (w *Witness) count(lost uint64) {
	if lost > w.lost {
		w.lost, w.lostAt = lost, w.clock.Now()
	}
}

// take takes a packet.
func (w *Witness) take(data []byte, size int, wall int64) {
	s := &w.segment
	if !capture.IP(data, size, s) {
		return
	}
	w.packets++
	s.At, s.Number = w.clock.Since(wall), int64(w.packets)
	s.Src, s.Dst = unmapped(s.Src), unmapped(s.Dst)
	w.lives.Add(s)
	w.keep(s)
}

func unmapped(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// Lost returns how many packets passed unseen because the ring was full.
func (w *Witness) Lost() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ring != nil {
		w.count(w.ring.Lost())
	}
	return w.lost
}

// Seen returns how many packets were seen.
func (w *Witness) Seen() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drain()
	return w.packets
}
