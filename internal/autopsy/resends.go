package autopsy

import (
	"hash/maphash"
	"math"
	"net/netip"
	"time"

	"github.com/kabench/kabench/internal/evidence"
)

const (
	askedKept = 1 << 16               // requests that are remembered, the newest
	soon      = 50 * time.Millisecond // after a failure, and two round trips for a new connection: then a request is sent again
	around    = time.Second           // before a failure: how often the same request comes anyway
)

// maxJudged is how many failures of one client at one server are judged: for each, the
// requests of some seconds are looked through.
const maxJudged = 2000

// ask is a request that was sent.
type ask struct {
	at     time.Duration
	line   uint64 // hash
	client netip.AddrPort
}

// asks remembers the newest requests at one place.
type asks struct {
	seed maphash.Seed
	ring []ask
	next int
}

func (a *asks) add(client netip.AddrPort, line string, at time.Duration) {
	one := ask{at, maphash.String(a.seed, line), client}
	if len(a.ring) < askedKept {
		a.ring = append(a.ring, one)
		return
	}
	a.ring[a.next] = one
	a.next = (a.next + 1) % askedKept
}

// resend counts failed requests of a client, and the same requests soon after them.
type resend struct {
	failed   int
	followed int
	chance   float64 // how many would be followed if requests came independently of failures
}

// judge looks for the request line of a failure within some time after at, on
// another connection of the same client. known is false if that time is no longer remembered.
func (a *asks) judge(client netip.AddrPort, line string, at, within time.Duration) (followed, known bool, chance float64) {
	if n := len(a.ring); n == 0 || n == askedKept && a.ring[a.next].at > at-around {
		return false, false, 0
	}
	hash := maphash.String(a.seed, line)
	before := 0
	for i := range a.ring {
		one := &a.ring[(a.next+len(a.ring)-1-i)%len(a.ring)]
		if one.at < at-around-time.Second {
			break // requests are nearly in the order of time
		}
		if one.line != hash || one.client.Addr() != client.Addr() || one.client == client {
			continue
		}
		switch after := one.at - at; {
		case after >= 0 && after < within:
			followed = true
		case after < 0 && after > -around:
			before++
		}
	}
	return followed, true, 1 - math.Exp(-float64(before)*within.Seconds()/around.Seconds())
}

// resends judges the failures of a connection that has ended.
func (c *collector) resends(one *evidence.Connection, place int) {
	w := way{one.Client.Addr(), one.Server}
	for _, u := range one.Unanswered {
		if c.again[w].failed == maxJudged {
			return
		}
		if u.Line == "" || u.Met == evidence.Waiting || u.Begun == evidence.NotSeen {
			continue
		}
		followed, known, chance := c.asks[place].judge(one.Client, u.Line, max(one.Close.At, u.Begun), soon+2*max(one.RoundTrip, 0))
		if !known {
			continue
		}
		n := c.again[w]
		n.failed++
		n.chance += chance
		if followed {
			n.followed++
		}
		c.again[w] = n
	}
}
