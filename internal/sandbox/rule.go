package sandbox

import (
	"fmt"

	"github.com/kabench/kabench/profiles/network"
)

// rule is a network.Rule at work.
type rule struct {
	cfg      network.Rule
	by       uint16 // its name in the record
	from     int    // node; -1: both
	src, dst uint32 // 0: any
	after    bool   // the event of After has not happened
	until    bool   // the event of Until has happened
	counts   ruleCount
	struck   uint64 // packets of all connections
	perConn  map[flowKey]ruleCount
}

type ruleCount struct {
	matched, struck int
	isn             uint32 // of the connection's last SYN
}

// strikes reports whether r applies to the packet h of the node from, and counts h.
func (r *rule) strikes(h *header, from int) bool {
	c := &r.cfg
	switch {
	case r.after || r.until,
		r.from >= 0 && r.from != from,
		r.src != 0 && r.src != h.src,
		r.dst != 0 && r.dst != h.dst,
		c.SrcPort != 0 && c.SrcPort != h.sport,
		c.DstPort != 0 && c.DstPort != h.dport,
		(c.Flags|c.NotFlags != 0 || c.Do == network.ActionRST) && !h.isTCP(),
		h.flags&c.Flags != c.Flags,
		h.flags&c.NotFlags != 0,
		c.Data && h.dataLen() == 0:
		return false
	}
	strikes := false
	if c.PerConnection {
		strikes = r.nextOf(h)
	} else {
		strikes = r.counts.next(c)
	}
	if strikes {
		r.struck++
	}
	return strikes
}

// nextOf counts the packet h in its connection.
func (r *rule) nextOf(h *header) bool {
	n := r.perConn[h.key()]
	if h.flags&(network.SYN|network.ACK) == network.SYN && h.seq != n.isn {
		n = ruleCount{isn: h.seq} // a new connection on the ports of an older one
	}
	strikes := n.next(&r.cfg)
	r.perConn[h.key()] = n
	return strikes
}

func (n *ruleCount) next(c *network.Rule) bool {
	n.matched++
	if n.matched <= c.Skip || c.Times > 0 && n.struck >= c.Times {
		return false
	}
	n.struck++
	return true
}

// event notes that the event name has happened. It reports whether r mentions name.
func (r *rule) event(name string) bool {
	mentions := false
	if r.cfg.After == name {
		r.after, mentions = false, true
	}
	if r.cfg.Until == name {
		r.until, mentions = true, true
	}
	return mentions
}

// event tells rules and balancers that the event name has happened. It reports whether any
// mentions it.
func (c *core) event(name string) (mentioned bool) {
	for _, l := range c.links {
		for _, r := range l.rules {
			mentioned = r.event(name) || mentioned
		}
	}
	for _, b := range c.balancers() {
		mentioned = b.event(c, name) || mentioned
	}
	return mentioned
}

// ruleName returns the name of the i-th rule in the record.
func ruleName(c network.Rule, i int) string {
	if c.Name != "" {
		return c.Name
	}
	return fmt.Sprintf("rule %d", i+1)
}
