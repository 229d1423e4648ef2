package sandbox

import (
	"hash/fnv"
	"net/netip"
	"slices"

	"github.com/kabench/kabench/profiles/network"
)

// balancer is a network.Balancer at work.
type balancer struct {
	cfg      network.Balancer
	by       uint16
	node     int
	addr     uint32
	backends []int // nodes that get new connections
	left     map[int]bool
	turn     int // of round robin
	flows    *flowTable
	bypassed *flowTable // connections of the backends' own addresses
}

func (c *core) addBalancer(cfg network.Balancer, node int) {
	b := &balancer{
		cfg: cfg, by: c.rec.name(cfg.Name), node: node, addr: addrNumber(c.addrs[node][0]),
		left:     map[int]bool{},
		flows:    newFlowTable(cfg.Flows),
		bypassed: newFlowTable(network.Flows{Idle: directIdle}),
	}
	for _, name := range cfg.Backends {
		backend, err := c.find(name)
		if err != nil {
			continue // Validate has refused it
		}
		if cfg.Joins[name] == "" {
			b.backends = append(b.backends, backend)
		}
		c.behind[backend] = b
	}
	c.at[node] = b
}

// event takes in the backends that join at the event name and drops those that leave. It
// reports whether there are any.
func (b *balancer) event(c *core, name string) (mentions bool) {
	for host, joins := range b.cfg.Joins {
		if node, err := c.find(host); err == nil && joins == name {
			if mentions = true; !slices.Contains(b.backends, node) {
				b.backends = append(b.backends, node)
			}
			delete(b.left, node)
		}
	}
	for host, leaves := range b.cfg.Leaves {
		if node, err := c.find(host); err == nil && leaves == name {
			b.backends = slices.DeleteFunc(b.backends, func(n int) bool { return n == node })
			b.left[node], mentions = true, true
		}
	}
	slices.Sort(b.backends) // so that runs with the same events choose alike
	return mentions
}

// bypass remembers a connection that uses the backend's own address and so does not
// pass b.
func (b *balancer) bypass(h *header, now int64) {
	key := h.key()
	f := b.bypassed.find(key, now)
	if f == nil {
		if h.flags&(network.SYN|network.ACK) != network.SYN {
			return
		}
		f = b.bypassed.make(key, now)
	}
	b.bypassed.touch(f, h, now)
	for {
		if _, ok := b.bypassed.expired(now); !ok {
			return
		}
	}
}

// direct reports whether a packet of the backend from goes past b: packets that are
// not TCP, and packets of connections between backends, of connections that from
// opened, and of connections to its own address.
func (b *balancer) direct(c *core, f *frame, from, to int, known bool, now int64) bool {
	if !f.h.isTCP() || !known || c.at[to] != nil || c.behind[to] == b {
		return true
	}
	if f.h.flags&(network.SYN|network.ACK) == network.SYN {
		b.bypass(&f.h, now)
		return true
	}
	fl := b.bypassed.find(f.h.key(), now)
	if fl != nil {
		b.bypassed.touch(fl, &f.h, now)
	}
	return fl != nil
}

// pass sends on a packet that has arrived at b over h.
func (b *balancer) pass(c *core, f *frame, h *hop, now int64) {
	if !f.h.isTCP() || f.h.src == b.addr {
		c.drop(f, FateNotCarried, b.by, now)
		return
	}
	if c.behind[h.from] == b && f.h.dst != b.addr {
		b.passBack(c, f, h, now)
		return
	}
	key := f.h.key()
	syn := f.h.flags&(network.SYN|network.ACK) == network.SYN
	fl := b.flows.find(key, now)
	if fl == nil || syn && fl.closing {
		if !syn {
			switch b.cfg.Unknown {
			case network.UnknownDrop:
				c.drop(f, FateForgotten, b.by, now)
				return
			case network.UnknownRST:
				c.resetBy(h, f, network.RSTToSender, b.by, now)
				return
			}
		}
		switch {
		case fl != nil:
			fl.made, fl.closing = now, false
		case b.flows.full(now):
			c.drop(f, FateTableFull, b.by, now)
			return
		default:
			fl = b.flows.make(key, now)
		}
		fl.backend = noBackend
		fl.from = int32(h.from)
	}
	if fl.backend == noBackend || b.cfg.AtLeave == network.LeavingMove && b.left[int(fl.backend)] {
		fl.backend = int32(b.choose(&f.h))
	}
	if fl.backend == noBackend {
		fl.closing = true // refused, and not forgotten
		b.flows.remove(fl.self)
		c.resetBy(h, f, network.RSTToSender, b.by, now)
		return
	}
	b.flows.touch(fl, &f.h, now)
	to := int(fl.backend)
	readdress(f.bytes(), &f.h, f.h.src, addrNumber(c.addrs[to][0]))
	c.enter(c.hops[b.node][to], f, now)
}

// passBack sends a packet of a backend on to the client.
func (b *balancer) passBack(c *core, f *frame, h *hop, now int64) {
	to, known := c.byAddr[f.h.dst]
	if !known {
		c.drop(f, FateNotCarried, b.by, now)
		return
	}
	backend := h.from
	if !b.cfg.DirectReturn {
		key := keyOf(b.addr, f.h.sport, f.h.dst, f.h.dport)
		fl := b.flows.find(key, now)
		known := fl != nil && int(fl.backend) == backend
		switch {
		case known:
			back := f.h
			back.src = b.addr
			b.flows.touch(fl, &back, now)
		case b.cfg.Unknown == network.UnknownDrop:
			c.drop(f, FateForgotten, b.by, now)
			return
		case b.cfg.Unknown == network.UnknownRST:
			c.resetBy(h, f, network.RSTToSender, b.by, now)
			return
		}
	}
	readdress(f.bytes(), &f.h, b.addr, f.h.dst)
	c.enter(c.hops[b.node][to], f, now)
}

// noBackend is the backend of a flow for which there is none.
const noBackend = -1

// choose returns the backend for the flow that h opens, or noBackend.
func (b *balancer) choose(h *header) int {
	if len(b.backends) == 0 {
		return noBackend
	}
	if b.cfg.Choose == network.RoundRobin {
		b.turn++
		return b.backends[(b.turn-1)%len(b.backends)]
	}
	sum := fnv.New32a()
	_, _ = sum.Write([]byte{byte(h.src >> 24), byte(h.src >> 16), byte(h.src >> 8), byte(h.src), byte(h.sport >> 8), byte(h.sport)})
	return b.backends[mix(sum.Sum32())%uint32(len(b.backends))]
}

// mix spreads the bits of a hash. The low bits of FNV are close to those of its
// input, so that consecutive ports would alternate between two backends.
func mix(x uint32) uint32 {
	x ^= x >> 16
	x *= 0x7feb352d
	x ^= x >> 15
	x *= 0x846ca68b
	return x ^ x>>16
}

// expire forgets flows that have been idle for too long.
func (b *balancer) expire(c *core, now int64) {
	for {
		f, ok := b.flows.expired(now)
		if !ok {
			return
		}
		if b.cfg.AtExpiry == network.ExpiryRST {
			b.resetEnds(c, &f, now)
		}
	}
}

// resetEnds sends a RST to both ends of a forgotten flow, in the name of the peer,
// unless they are closing it themselves.
func (b *balancer) resetEnds(c *core, f *flow, now int64) {
	if f.closing {
		return
	}
	client, server := 0, 1
	if f.key.addr[0] == b.addr {
		client, server = 1, 0
	}
	k := &f.key
	if f.heard[client] {
		own := addrNumber(c.addrs[f.backend][0])
		c.inject(c.hops[b.node][f.backend], reset{
			src: k.addr[client], sport: k.port[client], dst: own, dport: k.port[server],
			seq: f.next[client], flags: network.RST,
		}, b.by, now)
	}
	if f.heard[server] {
		c.inject(c.hops[b.node][f.from], reset{
			src: b.addr, sport: k.port[server], dst: k.addr[client], dport: k.port[client],
			seq: f.next[server], flags: network.RST,
		}, b.by, now)
	}
}

// connectionKey returns the key under which the record finds a packet: the connection
// as the client sees it. b is the balancer through which it will come back, or nil.
func (c *core) connectionKey(h *header, b *balancer) flowKey {
	if b != nil {
		return keyOf(b.addr, h.sport, h.dst, h.dport)
	}
	return h.key()
}

// throughBalancer returns the key under which the record finds the connection between
// a and b when one of them is a backend: the connection as the client sees it.
func (c *core) throughBalancer(a, b netip.AddrPort) flowKey {
	end := func(e netip.AddrPort) (uint32, uint16) {
		addr := addrNumber(e.Addr())
		if node, ok := c.byAddr[addr]; ok && c.behind[node] != nil {
			addr = c.behind[node].addr
		}
		return addr, e.Port()
	}
	aa, ap := end(a)
	ba, bp := end(b)
	return keyOf(aa, ap, ba, bp)
}
