package probe

import (
	"slices"
	"time"

	"github.com/kabench/kabench/internal/evidence"
)

// blockedAfter is how long a request waits for its response beyond the usual time before
// the probe closes its half heads.
const blockedAfter = 400 * time.Millisecond

// unblock closes the connections with half a head if a request gets no response while
// they are open. Many servers give a request a thread as soon as it begins, so a few half
// heads take all threads of a small one. It returns when to look again.
func (s *site) unblock() (next time.Duration) {
	if !slices.ContainsFunc(s.conns, (*conn).half) {
		return never
	}
	patience := blockedAfter + 2*s.longest()
	next = never
	for _, c := range s.conns {
		if c.state == asking && c.last().First == evidence.NotSeen {
			next = min(next, c.last().Sent+patience)
		}
	}
	if next > s.now() {
		return next
	}
	for _, c := range s.conns {
		switch {
		case c.plan.Role == UsedHalf && c.state == asking:
			c.plan.Role = Used // its response is still to come, and no half head follows
		case c.plan.Role == Half || c.plan.Role == UsedHalf:
			s.finish(c)
		}
	}
	s.note("a request had no response for %v while half a request head was open on other connections, so kabench closed those: they may have taken all threads of the server", patience.Round(time.Millisecond))
	return never
}

// half reports whether c has sent half a head and is open.
func (c *conn) half() bool { return c.state == idle && c.seen.Half != evidence.NotSeen }

// longest is the longest time from a request to its response so far.
func (s *site) longest() (d time.Duration) {
	for _, c := range s.conns {
		for _, e := range c.seen.Exchanges {
			if e.First != evidence.NotSeen && e.Sent != evidence.NotSeen {
				d = max(d, e.First-e.Sent)
			}
		}
	}
	return d
}
