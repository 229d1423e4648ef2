package sandbox

import (
	"fmt"
	"math/rand/v2"
	"net/netip"

	"github.com/kabench/kabench/profiles/network"
)

// maxFrames bounds the packets in flight on all links together (100 MB at 1500
// bytes). Further packets are dropped as queue_full.
const maxFrames = 1 << 16

// core decides what happens to each packet. It has no clock, no device and no
// goroutine: its methods are given the time, receive takes packets in, and advance
// calls deliver for the packets that are due.
type core struct {
	cfg    network.Config
	names  []string // of the nodes: the client, the other hosts, the balancers, the NATs
	hosts  int      // how many of the nodes are hosts
	addrs  [][]netip.Addr
	byAddr map[uint32]int // node
	behind []*balancer    // by node: the balancer whose backend it is
	at     []*balancer    // by node: the balancer it is
	inside []*nat         // by node: the NAT that it is behind
	nats   []*nat         // in the order of their nodes, which are the last ones
	links  []*link
	hops   [][]*hop // from, to
	all    []*hop   // every hop
	rec    *recorder

	// deliver gives a packet to a host; false: its device refused it.
	deliver func(node int, packet []byte) bool

	made int // frames
	free []*frame
	late lateness
}

// newCore makes the network of cfg, which must be valid.
func newCore(cfg network.Config) (*core, error) {
	cfg = cfg.WithDefaults()
	c := &core{cfg: cfg, byAddr: map[uint32]int{}}
	for _, h := range cfg.Hosts {
		c.node(h.Name)
	}
	c.hosts = len(c.names)
	for _, b := range cfg.Balancers {
		c.node(b.Name)
	}
	for _, n := range cfg.NATs {
		c.node(n.Name)
	}
	n := len(c.names)
	c.rec = newRecorder(cfg.Record, c.names)
	c.behind, c.at, c.inside = make([]*balancer, n), make([]*balancer, n), make([]*nat, n)
	c.hops = make([][]*hop, n)
	for i := range c.hops {
		c.hops[i] = make([]*hop, n)
	}
	for i, b := range cfg.Balancers {
		c.addBalancer(b, c.hosts+i)
	}
	for i, nc := range cfg.NATs {
		c.addNAT(nc, n-len(cfg.NATs)+i)
	}
	for _, l := range cfg.Links {
		if err := c.addLink(l); err != nil {
			return nil, err
		}
	}
	for from := range n { // hosts without a link of their own get a perfect one
		for to := range from {
			if c.hops[from][to] == nil {
				c.join(&link{ends: [2]int{from, to}}, network.Conditions{}, network.Conditions{})
			}
		}
	}
	return c, nil
}

// node adds a node.
func (c *core) node(name string) {
	addrs := c.cfg.Addrs(name)
	for _, a := range addrs {
		c.byAddr[addrNumber(a)] = len(c.names)
	}
	c.names = append(c.names, name)
	c.addrs = append(c.addrs, addrs)
}

// balancers returns the balancers, in the order of their nodes.
func (c *core) balancers() []*balancer { return c.at[c.hosts : len(c.at)-len(c.nats)] }

func (c *core) find(name string) (int, error) {
	for i, n := range c.names {
		if n == name {
			return i, nil
		}
	}
	return 0, fmt.Errorf("there is no host, balancer or NAT %q; there are %q", name, c.names)
}

func (c *core) addLink(cfg network.Link) error {
	l := &link{by: c.rec.name(cfg.Name())}
	for i, name := range cfg.Between {
		node, err := c.find(name)
		if err != nil {
			return err
		}
		l.ends[i] = node
	}
	if cfg.Flows != nil {
		l.cfg = *cfg.Flows
		l.flows = newFlowTable(l.cfg)
	}
	for i, rc := range cfg.Rules {
		r := &rule{cfg: rc, by: c.rec.name(ruleName(rc, i)), from: -1, after: rc.After != ""}
		var err error
		if rc.From != "" {
			if r.from, err = c.find(rc.From); err != nil {
				return err
			}
		}
		if r.src, err = c.address(rc.Src); err != nil {
			return err
		}
		if r.dst, err = c.address(rc.Dst); err != nil {
			return err
		}
		if rc.PerConnection {
			r.perConn = map[flowKey]ruleCount{}
		}
		l.rules = append(l.rules, r)
	}
	there, back := cfg.Conditions, cfg.Conditions
	if cfg.There != nil {
		there = *cfg.There
	}
	if cfg.Back != nil {
		back = *cfg.Back
	}
	c.join(l, there, back)
	return nil
}

// address returns the first address of a host, balancer or NAT, or the address that name
// itself is.
func (c *core) address(name string) (uint32, error) {
	if name == "" {
		return 0, nil
	}
	if a, err := netip.ParseAddr(name); err == nil {
		return addrNumber(a), nil
	}
	node, err := c.find(name)
	if err != nil {
		return 0, err
	}
	return addrNumber(c.addrs[node][0]), nil
}

func (c *core) join(l *link, there, back network.Conditions) {
	a, b := l.ends[0], l.ends[1]
	newOne := func(from, to int, cond network.Conditions) *hop {
		random := rand.New(rand.NewPCG(c.cfg.Seed, uint64(from)<<32|uint64(to)))
		h := newHop(l, from, to, cond, c.cfg.MTU, random)
		c.hops[from][to] = h
		c.all = append(c.all, h)
		return h
	}
	l.hops = [2]*hop{newOne(a, b, there), newOne(b, a, back)}
	c.links = append(c.links, l)
}

// receive takes in the packet in f, which the host from has sent. First it does
// everything that was due earlier.
func (c *core) receive(f *frame, from int, now int64) {
	c.advance(now)
	var ok bool
	f.h, ok = parse(f.bytes())
	if ok && f.h.end > f.n {
		ok = false // its header states more bytes than the packet has
	}
	if !ok {
		f.id = c.rec.enter(f.bytes(), from, 0, nil, now)
		c.drop(f, FateNotCarried, 0, now)
		return
	}
	to, known := c.byAddr[f.h.dst]
	b := c.behind[from]
	if b != nil && b.direct(c, f, from, to, known, now) {
		b = nil
	}
	key := c.connectionKey(&f.h, b)
	if c.nats != nil {
		key = c.insideOf(key)
	}
	f.id = c.rec.enter(f.bytes(), from, 0, &key, now)
	switch {
	case !known || to == from:
		c.drop(f, FateNotCarried, 0, now)
		return
	case b != nil:
		to = b.node
	case c.inside[from] != c.inside[to] && f.h.isTCP():
		if c.inside[from] == nil { // the addresses behind a NAT are its own affair
			c.drop(f, FateNotCarried, 0, now)
			return
		}
		to = c.inside[from].node
	case to < c.hosts && c.behind[to] != nil && f.h.isTCP():
		c.behind[to].bypass(&f.h, now)
	}
	c.enter(c.hops[from][to], f, now)
}

// enter puts f onto a hop, unless a rule, the link's memory of flows, loss or the
// queue stops it.
func (c *core) enter(h *hop, f *frame, now int64) {
	l := h.link
	for _, r := range l.rules {
		if !r.strikes(&f.h, h.from) {
			continue
		}
		if r.cfg.Do == network.ActionDrop {
			c.drop(f, FateDropped, r.by, now)
			return
		}
		c.resetBy(h, f, r.cfg.To, r.by, now)
		return
	}
	if l.flows != nil && f.h.isTCP() && !c.remember(h, f, now) {
		return
	}
	if h.loss > 0 && h.random.Float64() < h.loss {
		c.drop(f, FateLost, l.by, now)
		return
	}
	c.push(h, f, now)
}

func (c *core) push(h *hop, f *frame, now int64) {
	if !h.accept(f, now) {
		c.drop(f, FateQueueFull, h.link.by, now)
	}
}

// remember updates the link's memory of flows with f; false: f goes no further.
func (c *core) remember(h *hop, f *frame, now int64) bool {
	l := h.link
	key := f.h.key()
	fl := l.flows.find(key, now)
	if fl == nil {
		if f.h.flags&(network.SYN|network.ACK) != network.SYN {
			switch l.cfg.Unknown {
			case network.UnknownDrop:
				c.drop(f, FateForgotten, l.by, now)
				return false
			case network.UnknownRST:
				c.resetBy(h, f, network.RSTToSender, l.by, now)
				return false
			}
		}
		if l.flows.full(now) {
			c.drop(f, FateTableFull, l.by, now)
			return false
		}
		fl = l.flows.make(key, now)
		fl.from = int32(h.from)
		if key.side(&f.h) == 1 {
			fl.from = int32(h.to)
		}
	}
	l.flows.touch(fl, &f.h, now)
	return true
}

// resetBy drops f, which is about to enter h, and sends RSTs in its place.
func (c *core) resetBy(h *hop, f *frame, to network.RSTTo, by uint16, now int64) {
	fh := f.h
	c.drop(f, FateAnswered, by, now)
	if r, ok := answerTo(&fh); ok && to != network.RSTToReceiver {
		c.inject(h.reverse(), r, by, now)
	}
	if to != network.RSTToSender {
		c.inject(h, inPlaceOf(&fh), by, now)
	}
}

// inject sends a RST of the wire's own over h.
func (c *core) inject(h *hop, r reset, by uint16, now int64) {
	key := keyOf(r.src, r.sport, r.dst, r.dport)
	if b := c.behind[h.from]; b != nil && h.to == b.node {
		key = keyOf(b.addr, r.sport, r.dst, r.dport)
	} else if b := c.at[h.from]; b != nil && c.behind[h.to] == b {
		key = keyOf(r.src, r.sport, b.addr, r.dport)
	}
	if c.nats != nil {
		key = c.insideOf(key)
	}
	c.injectAs(h, r, by, key, now)
}

// injectAs sends a RST that the record finds under key.
func (c *core) injectAs(h *hop, r reset, by uint16, key flowKey, now int64) {
	f := c.frame()
	if f == nil {
		return
	}
	f.n = r.write(f.buf)
	f.h, _ = parse(f.bytes())
	f.id = c.rec.enter(f.bytes(), -1, by, &key, now)
	c.push(h, f, now)
}

// next returns when advance has something to do again.
func (c *core) next() int64 {
	next := int64(never)
	for _, h := range c.all {
		next = min(next, h.due())
	}
	for _, l := range c.links {
		if l.flows != nil {
			next = min(next, l.flows.nextExpiry())
		}
	}
	for _, b := range c.balancers() {
		next = min(next, b.flows.nextExpiry())
	}
	for _, n := range c.nats {
		next = min(next, n.nextExpiry())
	}
	return next
}

// advance does everything that is due by now, in the order in which it was due. So a
// middlebox remembers and forgets the same flows when the wire is late.
func (c *core) advance(now int64) {
	for {
		at := min(c.earliest().due(), now)
		c.expire(at) // which may send a RST
		h := c.earliest()
		if h.due() > at { // at is now, then
			return
		}
		f := h.pop()
		switch at := h.to - c.hosts; { // with the due time, so that delays of the wire do not add up
		case at < 0:
			c.hand(f, h.to, now)
		case c.at[h.to] != nil:
			c.at[h.to].pass(c, f, h, f.due)
		default:
			c.nats[at-len(c.balancers())].pass(c, f, h, f.due)
		}
	}
}

// noHop is a hop that never has a packet.
var noHop hop

// earliest returns the hop whose first packet leaves first.
func (c *core) earliest() *hop {
	first := &noHop
	for _, h := range c.all {
		if h.due() < first.due() {
			first = h
		}
	}
	return first
}

// hand delivers f to the host node.
func (c *core) hand(f *frame, node int, now int64) {
	c.late.add(now - f.due)
	if c.deliver(node, f.bytes()) {
		c.rec.delivered(f.id, node, &f.h, now)
		c.release(f)
		return
	}
	c.drop(f, FateRefused, 0, now)
}

// expire makes links, balancers and NATs forget flows that have been idle for too long.
func (c *core) expire(now int64) {
	for _, l := range c.links {
		l.expire(c, now)
	}
	for _, b := range c.balancers() {
		b.expire(c, now)
	}
	for _, n := range c.nats {
		n.expire(c, now)
	}
}
