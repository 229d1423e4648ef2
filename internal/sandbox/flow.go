package sandbox

import (
	"net/netip"
	"time"

	"github.com/kabench/kabench/profiles/network"
)

// flowKey identifies a connection; it is the same for packets of both directions.
type flowKey struct {
	addr [2]uint32
	port [2]uint16
}

// ends returns the addresses of the two ends.
func (k flowKey) ends() [2]netip.AddrPort {
	return [2]netip.AddrPort{addrPort(k.addr[0], k.port[0]), addrPort(k.addr[1], k.port[1])}
}

func keyOf(a uint32, ap uint16, b uint32, bp uint16) flowKey {
	if a > b || a == b && ap > bp {
		a, ap, b, bp = b, bp, a, ap
	}
	return flowKey{[2]uint32{a, b}, [2]uint16{ap, bp}}
}

func (h *header) key() flowKey { return keyOf(h.src, h.sport, h.dst, h.dport) }

// side returns which end of the key sent h.
func (k flowKey) side(h *header) int {
	if h.src == k.addr[0] && h.sport == k.port[0] {
		return 0
	}
	return 1
}

// flow is what a middlebox remembers of a connection.
type flow struct {
	key      flowKey
	made     int64     // when its first packet was seen, ns since the start
	seen     int64     // when its last packet was seen
	next     [2]uint32 // sequence number after the last packet of each side
	heard    [2]bool   // each side: it has sent a packet
	closing  bool      // a FIN or RST was seen: a SYN may open another connection
	backend  int32     // of a balancer: the backend's node
	self     int32     // its index
	from     int32     // the node that side 0 of the key sends from; in a balancer: the client's node
	up, down int32     // neighbours in the order of seen; -1: none
}

// flowTable is the memory of a middlebox. It keeps the flows in the order in which
// they were last seen, so the flows that have been idle for too long are at the end.
type flowTable struct {
	idle, lifetime int64 // ns; 0: never
	most           int   // flows; 0: no limit
	room           budget
	index          map[flowKey]int32
	flows          []flow
	free           []int32
	newest, oldest int32  // -1: none
	forgotten      uint64 // flows that were forgotten while they were open
}

func newFlowTable(c network.Flows) *flowTable {
	return &flowTable{
		idle: int64(c.Idle), lifetime: int64(c.Lifetime), most: c.Max,
		index: map[flowKey]int32{}, newest: -1, oldest: -1,
	}
}

// find returns the flow of key; nil when it is unknown or has expired. The result is
// valid until the next call of a method.
func (t *flowTable) find(key flowKey, now int64) *flow {
	i, ok := t.index[key]
	if !ok {
		return nil
	}
	f := &t.flows[i]
	if t.idle > 0 && now-f.seen >= t.idle || t.lifetime > 0 && now-f.made >= t.lifetime {
		t.remove(i)
		return nil
	}
	return f
}

// full reports whether no further flow fits, and counts the packet that is dropped for it.
func (t *flowTable) full(now int64) bool {
	if t.most == 0 || len(t.index) < t.most {
		return false
	}
	t.room.refuse(now)
	return true
}

// make adds the flow of key, which must be unknown and fit.
func (t *flowTable) make(key flowKey, now int64) *flow {
	var i int32
	if n := len(t.free); n > 0 {
		i, t.free = t.free[n-1], t.free[:n-1]
	} else {
		i = int32(len(t.flows))
		t.flows = append(t.flows, flow{})
	}
	t.flows[i] = flow{key: key, made: now, seen: now, self: i}
	t.index[key] = i
	t.room.peak = max(t.room.peak, len(t.index))
	t.link(i)
	return &t.flows[i]
}

// touch notes that the packet h of f was seen.
func (t *flowTable) touch(f *flow, h *header, now int64) {
	side := f.key.side(h)
	f.seen, f.next[side], f.heard[side] = now, h.next(), true
	f.closing = f.closing || h.flags&(network.FIN|network.RST) != 0
	if i := f.self; t.newest != i {
		t.unlink(i)
		t.link(i)
	}
}

// expired removes and returns a flow that has been idle for too long; false: there is
// none.
func (t *flowTable) expired(now int64) (flow, bool) {
	if t.idle == 0 || t.oldest < 0 || now-t.flows[t.oldest].seen < t.idle {
		return flow{}, false
	}
	f := t.flows[t.oldest]
	t.remove(t.oldest)
	return f, true
}

// nextExpiry returns when the next flow will have been idle for too long; never if
// none will.
func (t *flowTable) nextExpiry() int64 {
	if t.idle == 0 || t.oldest < 0 {
		return never
	}
	return t.flows[t.oldest].seen + t.idle
}

// forget removes all flows and returns how many there were.
func (t *flowTable) forget() int {
	n := len(t.index)
	clear(t.index)
	t.flows, t.free = t.flows[:0], t.free[:0]
	t.newest, t.oldest = -1, -1
	return n
}

func (t *flowTable) link(i int32) {
	f := &t.flows[i]
	f.up, f.down = -1, t.newest
	if t.newest >= 0 {
		t.flows[t.newest].up = i
	} else {
		t.oldest = i
	}
	t.newest = i
}

func (t *flowTable) unlink(i int32) {
	f := &t.flows[i]
	if f.up >= 0 {
		t.flows[f.up].down = f.down
	} else {
		t.newest = f.down
	}
	if f.down >= 0 {
		t.flows[f.down].up = f.up
	} else {
		t.oldest = f.up
	}
}

func (t *flowTable) remove(i int32) {
	if !t.flows[i].closing {
		t.forgotten++
	}
	t.unlink(i)
	delete(t.index, t.flows[i].key)
	t.free = append(t.free, i)
}

// directIdle is how long a balancer remembers connections that bypass it.
const directIdle = 10 * time.Minute
