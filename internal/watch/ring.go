package watch

import (
	"net/netip"
	"slices"
	"time"

	"github.com/kabench/kabench/internal/evidence"
)

// The most connections that a Ring keeps. Those with failures remain when others make
// room.
const (
	maxRing   = 50_000
	maxFailed = 10_000
)

// Ring keeps the newest connections that have ended.
type Ring struct {
	Last time.Duration // how long they are kept; 0: as long as there is room
	list []evidence.Connection
	bad  int                       // of them, with failures
	past time.Duration             // when Pass looked at them last
	Left map[netip.AddrPort][2]int // connections and requests that are no longer kept, by server
}

const maxLeft = 1000

// Add keeps a connection.
func (r *Ring) Add(c *evidence.Connection) {
	one := *c
	one.Exchanges = slices.Clone(one.Exchanges)
	r.list = append(r.list, one)
	if len(one.Unanswered) > 0 {
		r.bad++
	}
	if len(r.list) > maxRing+maxRing/10 {
		r.room()
	}
}

// room leaves out the oldest connections; those with failures last.
func (r *Ring) room() {
	extra := len(r.list) - maxRing
	r.list = slices.DeleteFunc(r.list, func(c evidence.Connection) bool {
		failed := len(c.Unanswered) > 0
		if extra <= 0 || failed && r.bad <= maxFailed {
			return false
		}
		if failed {
			r.bad--
		}
		extra--
		r.leave(&c)
		return true
	})
}

func (r *Ring) leave(c *evidence.Connection) {
	if r.Left == nil {
		r.Left = map[netip.AddrPort][2]int{}
	}
	n, known := r.Left[c.Server]
	if !known && len(r.Left) >= maxLeft {
		return
	}
	r.Left[c.Server] = [2]int{n[0] + 1, n[1] + c.Requests + len(c.Unanswered)}
}

// passEvery is how often a Ring looks for what is too old: it has to look at all.
const passEvery = time.Second

// Pass leaves out what is older than Last, to the second.
func (r *Ring) Pass(now time.Duration) {
	if r.Last == 0 || now-r.past < passEvery {
		return
	}
	r.past = now
	r.list = slices.DeleteFunc(r.list, func(c evidence.Connection) bool {
		old := c.Until < now-r.Last
		if old && len(c.Unanswered) > 0 {
			r.bad--
		}
		return old
	})
}

// Connections are those that are kept, in about the order of their ends.
func (r *Ring) Connections() []evidence.Connection { return r.list }
