package sandbox

import "github.com/kabench/kabench/profiles/network"

// nat is a network.NAT at work.
type nat struct {
	cfg     network.NAT
	by      uint16
	node    int
	addrs   []uint32          // outside
	slice   map[uint32]int    // the first of a client's own ports, by its address; with PortsPerClient
	flows   *flowTable        // by the connection as the client sees it
	mapped  []mapping         // by the index of the flow
	outside map[flowKey]int32 // index of the flow, by the connection as the server sees it
	pools   map[poolKey]*portPool
	waiting []waiting // for their reuse, in the order of due
	turns   uint64
	room    budget
}

// end is an address and port.
type end struct {
	addr uint32
	port uint16
}

// mapping is what the NAT knows of a connection beyond its flow.
type mapping struct {
	client, out, dst end
	number           int     // of out in its pool
	turn             uint64  // which connection this is of the flow; 0: the flow is gone
	fin, acked       [2]bool // each side of the flow's key: it has sent a FIN, and the other has acknowledged that
	answered         bool    // the other side has answered the SYN
	ended            bool
}

// waiting is a connection that has ended, whose port may be given again from due on.
type waiting struct {
	due  int64
	self int32
	turn uint64
}

// poolKey is who shares ports: the connections to one destination, of one client if each
// has its own; else client is 0.
type poolKey struct {
	dst    end
	client uint32
}

// portPool gives out numbers of ports in turn.
type portPool struct {
	fresh int   // the numbers from here on were never given
	free  []int // given before; the first has been free for longest
	used  int
}

func (p *portPool) take(most int) (number int, ok bool) {
	switch {
	case p.fresh < most:
		number = p.fresh
		p.fresh++
	case len(p.free) > 0:
		number, p.free = p.free[0], p.free[1:]
	default:
		return 0, false
	}
	p.used++
	return number, true
}

func (p *portPool) give(number int) {
	p.free = append(p.free, number)
	p.used--
}

func (c *core) addNAT(cfg network.NAT, node int) {
	n := &nat{
		cfg: cfg, by: c.rec.name(cfg.Name), node: node, slice: map[uint32]int{},
		flows: newFlowTable(cfg.Flows()), outside: map[flowKey]int32{}, pools: map[poolKey]*portPool{},
	}
	for _, a := range c.addrs[node] {
		n.addrs = append(n.addrs, addrNumber(a))
	}
	for _, name := range cfg.Inside() {
		host, err := c.find(name)
		if err != nil {
			continue // Validate has refused it
		}
		c.inside[host] = n
		for _, a := range c.addrs[host] {
			n.slice[addrNumber(a)] = len(n.slice) * cfg.Ports
		}
	}
	c.nats = append(c.nats, n)
}

// pool returns the ports for connections of a client to dst.
func (n *nat) pool(client uint32, dst end) *portPool {
	key := poolKey{dst: dst}
	if n.cfg.PortsPer == network.PortsPerClient {
		key.client = client
	}
	p := n.pools[key]
	if p == nil {
		p = &portPool{}
		n.pools[key] = p
	}
	return p
}

// spot returns the outside end that has the number in a pool of the client.
func (n *nat) spot(client uint32, number int) end {
	first := network.FirstNATPort
	if n.cfg.PortsPer == network.PortsPerClient {
		first += n.slice[client]
	}
	return end{n.addrs[number%len(n.addrs)], uint16(first + number/len(n.addrs))}
}

// pass sends on a packet that has arrived at n over h.
func (n *nat) pass(c *core, f *frame, h *hop, now int64) {
	if !f.h.isTCP() {
		c.drop(f, FateNotCarried, n.by, now)
		return
	}
	n.expire(c, now)
	if c.inside[h.from] == n {
		n.passOut(c, f, h, now)
		return
	}
	n.passIn(c, f, h, now)
}

// passOut sends on a packet of a client.
func (n *nat) passOut(c *core, f *frame, h *hop, now int64) {
	to := c.byAddr[f.h.dst]
	if to == n.node || c.inside[to] != nil {
		c.drop(f, FateNotCarried, n.by, now)
		return
	}
	key := f.h.key()
	syn := f.h.flags&(network.SYN|network.ACK) == network.SYN
	fl := n.flows.find(key, now)
	switch {
	case fl == nil && !syn && n.cfg.Unknown == network.UnknownDrop:
		c.drop(f, FateForgotten, n.by, now)
		return
	case fl == nil && !syn && n.cfg.Unknown == network.UnknownRST:
		c.resetBy(h, f, network.RSTToSender, n.by, now)
		return
	case fl == nil:
		if fl = n.begin(key, &f.h, now); fl == nil {
			c.drop(f, FateNoPort, n.by, now)
			return
		}
		fl.from = int32(h.from)
		n.mapped[fl.self].answered = !syn // it began before n knew it
	case syn && n.mapped[fl.self].ended: // another connection from the same port, before the time of the old one is over
		fl.closing = false
		m := &n.mapped[fl.self]
		n.turns++
		m.fin, m.acked, m.answered, m.ended, m.turn = [2]bool{}, [2]bool{}, false, false, n.turns
	}
	n.see(fl, &f.h, now)
	out := n.mapped[fl.self].out
	readdress(f.bytes(), &f.h, out.addr, f.h.dst)
	report(f.bytes(), &f.h, out.port, f.h.dport)
	if b := c.behind[to]; b != nil {
		b.bypass(&f.h, now)
	}
	c.enter(c.hops[n.node][to], f, now)
}

// begin gives a port to the connection that h opens; nil: none is left.
func (n *nat) begin(key flowKey, h *header, now int64) *flow {
	client, dst := end{h.src, h.sport}, end{h.dst, h.dport}
	p := n.pool(client.addr, dst)
	number, ok := p.take(n.cfg.Ports * len(n.addrs))
	if !ok {
		n.room.refuse(now)
		return nil
	}
	n.room.peak = max(n.room.peak, p.used)
	fl := n.flows.make(key, now)
	if int(fl.self) == len(n.mapped) {
		n.mapped = append(n.mapped, mapping{})
	}
	n.turns++
	m := mapping{client: client, dst: dst, out: n.spot(client.addr, number), number: number, turn: n.turns}
	n.mapped[fl.self] = m
	n.outside[m.seen()] = fl.self
	return fl
}

// seen is the key of the connection as the other side sees it.
func (m *mapping) seen() flowKey { return keyOf(m.out.addr, m.out.port, m.dst.addr, m.dst.port) }

// passIn sends on a packet that has come to an outside address.
func (n *nat) passIn(c *core, f *frame, h *hop, now int64) {
	self, known := n.outside[f.h.key()]
	if known && !n.mapped[self].answered && n.cfg.Unknown != network.UnknownPass {
		answer := f.h.flags&(network.SYN|network.ACK) == network.SYN|network.ACK
		known = answer || f.h.flags&network.RST != 0
		n.mapped[self].answered = answer
	}
	switch {
	case !known && n.cfg.Unknown == network.UnknownRST:
		r, ok := answerTo(&f.h)
		key := f.h.key() // it closes nothing that the client has opened since
		c.drop(f, FateAnswered, n.by, now)
		if ok {
			c.injectAs(h.reverse(), r, n.by, key, now)
		}
		return
	case !known:
		c.drop(f, FateForgotten, n.by, now)
		return
	}
	client := n.mapped[self].client
	n.see(&n.flows.flows[self], &f.h, now)
	readdress(f.bytes(), &f.h, f.h.src, client.addr)
	report(f.bytes(), &f.h, f.h.sport, client.port)
	c.enter(c.hops[n.node][c.byAddr[client.addr]], f, now)
}

// see notes that the packet h of fl was seen, and whether it ends the connection. h has
// the client's end as the client knows it, or comes from the other side.
func (n *nat) see(fl *flow, h *header, now int64) {
	m := &n.mapped[fl.self]
	n.flows.touch(fl, h, now)
	side := fl.key.side(h)
	other := 1 - side
	m.fin[side] = m.fin[side] || h.flags&network.FIN != 0
	m.acked[other] = m.acked[other] || m.fin[other] && h.flags&network.ACK != 0 && h.ack == fl.next[other]
	if m.ended || h.flags&network.RST == 0 && m.acked != [2]bool{true, true} {
		return
	}
	m.ended = true
	n.waiting = append(n.waiting, waiting{now + int64(n.cfg.Reuse), fl.self, m.turn})
}

// forget removes a flow that is in the table no more, and frees its port.
func (n *nat) forget(fl *flow) {
	m := &n.mapped[fl.self]
	delete(n.outside, m.seen())
	n.pool(m.client.addr, m.dst).give(m.number)
	*m = mapping{}
}

// forgetAll removes all flows, as if n had been restarted. It returns how many there were.
func (n *nat) forgetAll() int {
	count := n.flows.forget()
	clear(n.outside)
	clear(n.pools)
	n.mapped, n.waiting = n.mapped[:0], nil
	return count
}

// expire forgets connections whose port may be given again, and those that have been idle
// for too long.
func (n *nat) expire(c *core, now int64) {
	for len(n.waiting) > 0 && n.waiting[0].due <= now {
		w := n.waiting[0]
		n.waiting = n.waiting[1:]
		if int(w.self) >= len(n.mapped) || n.mapped[w.self].turn != w.turn {
			continue // used again before
		}
		fl := n.flows.flows[w.self]
		n.flows.remove(w.self)
		n.forget(&fl)
	}
	for {
		fl, ok := n.flows.expired(now)
		if !ok {
			return
		}
		if n.cfg.AtExpiry == network.ExpiryRST {
			n.resetEnds(c, &fl, now)
		}
		n.forget(&fl)
	}
}

// nextExpiry returns when expire has something to do again.
func (n *nat) nextExpiry() int64 {
	next := n.flows.nextExpiry()
	if len(n.waiting) > 0 {
		next = min(next, n.waiting[0].due)
	}
	return next
}

// resetEnds sends a RST to both ends of a forgotten flow, in the name of the peer, unless
// they are closing it themselves.
func (n *nat) resetEnds(c *core, fl *flow, now int64) {
	if fl.closing {
		return
	}
	m := n.mapped[fl.self]
	client, server := 0, 1
	if (end{fl.key.addr[1], fl.key.port[1]}) == m.client {
		client, server = 1, 0
	}
	if fl.heard[client] {
		c.inject(c.hops[n.node][c.byAddr[m.dst.addr]], reset{
			src: m.out.addr, sport: m.out.port, dst: m.dst.addr, dport: m.dst.port,
			seq: fl.next[client], flags: network.RST,
		}, n.by, now)
	}
	if fl.heard[server] {
		c.inject(c.hops[n.node][c.byAddr[m.client.addr]], reset{
			src: m.dst.addr, sport: m.dst.port, dst: m.client.addr, dport: m.client.port,
			seq: fl.next[server], flags: network.RST,
		}, n.by, now)
	}
}

// insideOf returns the key under which the record finds a connection whose key outside of
// a NAT is key: the connection as the client sees it.
func (c *core) insideOf(key flowKey) flowKey {
	for _, n := range c.nats {
		if self, known := n.outside[key]; known {
			return n.flows.flows[self].key
		}
	}
	return key
}
