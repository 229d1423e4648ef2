package pool

import (
	"cmp"
	"slices"
)

// slot is the place of a connection in the lease order. With Policy.Slots it stays
// when the connection has ended: urllib3's pool is a stack whose entries may be
// empty, and undici's a list of clients that each make their own connection again.
type slot struct {
	id      uint64 // the connection's, by which first_fit and last_fit go
	release uint64 // by which lifo and fifo go
}

// leavesSlot reports whether a connection that is closed for the reason leaves an empty
// slot. One that the pool had no place for does not.
func (r Reason) leavesSlot() bool {
	switch r {
	case Surplus, MadeRoom, Shutdown:
		return false
	}
	return true
}

// rank returns the order in which slots are leased: the least first.
func (p *Core) rank(s slot) int64 {
	switch p.policy.LeaseOrder {
	case FIFO:
		return int64(s.release)
	case FirstFit:
		return int64(s.id)
	case LastFit:
		return -int64(s.id)
	default:
		return -int64(s.release)
	}
}

// empty adds an empty slot, if there is a place for it: it takes up max_idle as an idle
// connection does.
func (p *Core) empty(o *origin, s slot) {
	if p.closed || p.policy.MaxIdle != NoCap && o.idle.len+len(o.slots) >= p.policy.MaxIdle {
		return
	}
	at, _ := slices.BinarySearchFunc(o.slots, s, func(a, b slot) int { return cmp.Compare(p.rank(a), p.rank(b)) })
	o.slots = slices.Insert(o.slots, at, s)
}

// slotFirst reports whether it is the turn of an empty slot, and not yet of the idle
// connection c, which may be nil.
func (p *Core) slotFirst(o *origin, c *Conn) bool {
	return len(o.slots) > 0 && (c == nil || p.rank(o.slots[0]) < p.rank(slot{c.id, c.release}))
}

// fill gives the first empty slot to the connection that d will make.
func (p *Core) fill(o *origin, d *Dial) {
	d.slot, d.hasSlot = o.slots[0], true
	o.slots = o.slots[1:]
}
