package witness

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/kabench/kabench/dialers/external"
	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/lab/story"
	"github.com/kabench/kabench/results"
)

// Stories is a server of kabench's own that tells which requests it read: a lab.Server or
// a proxy.Proxy. It must follow its requests: call its Follow before the first one.
type Stories interface {
	Find(id string) []story.Found
	Reads(remote string) (n int, ok bool)
}

// Hear adds a server that ends TLS connections. A request that it read is known by its
// story. A request that it did not read is one whose records no story explains; if there
// is one such request in the window, that is it, and the statement is inferred.
func (w *Witness) Hear(s Stories) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stories = append(w.stories, s)
}

// sealed returns the attempts of a request whose id is encrypted.
func (w *Witness) sealed(seq uint64, id string, epoch time.Time, win window) (all []external.Attempt) {
	for _, from := range w.stories {
		for _, f := range from.Find(id) {
			all = append(all, w.told(f, seq, epoch))
		}
	}
	// An attempt after those that the server knows, or the only one.
	if last := len(all) - 1; last < 0 || all[last].Phase != results.PhaseDone {
		if last >= 0 {
			win.from = max(win.from, w.clock.onWire(epoch, all[last].Began)+1)
		}
		all = append(all, w.eliminated(seq, epoch, win, last < 0)...)
	}
	return all
}

// onWire is the time of an offset on the clock of packets.
func (c *clock) onWire(epoch time.Time, at time.Duration) time.Duration {
	return at + epoch.Sub(c.base)
}

// told joins a story with the packets of its connection.
func (w *Witness) told(f story.Found, seq uint64, epoch time.Time) external.Attempt {
	read := f.Read.Sub(w.clock.base)
	a := w.sealedAttempt(f, read)
	if a == nil {
		return storyAlone(f, epoch)
	}
	a.claimed = seq + 1
	out := w.attempt(a, epoch)
	switch {
	case !f.Responded.IsZero():
		if out.Phase == results.PhaseDone || out.First != results.Never {
			out.Phase, out.Cause, out.Basis, out.Why = results.PhaseDone, results.CauseNone, evidence.Seen, "the server wrote the whole response, and packets carried it"
			out.Done = w.offsets(epoch)(a.latest(w))
		}
	case out.Phase == results.PhaseDone && f.First != "":
		// The server closed within the response.
		out.Phase, out.Basis = results.PhaseDuringResponse, evidence.Inferred
		out.Cause, out.Why = results.CauseTruncated, "the server closed before it had written the whole response"
		if f.How == story.RST {
			out.Cause = results.CauseRST
		}
		if f.First == story.ByClient {
			out.Cause, out.Why = results.CauseNone, "the client closed before the server had written the whole response"
		}
	}
	return out
}

// latest is the last byte of the response that was seen.
func (a *attempt) latest(w *Witness) time.Duration {
	if a.settled() || a.Answered {
		return a.Done
	}
	now := *a
	if s := w.look(a.conn); s != nil {
		now.update(s)
	}
	return now.Done
}

// sealedAttempt finds the attempt that a story tells of.
func (w *Witness) sealedAttempt(f story.Found, read time.Duration) (found *attempt) {
	remote, err := netip.ParseAddrPort(f.Remote)
	if err != nil {
		return nil
	}
	c := w.conns.newest[unmapped(remote)]
	if c == nil || c.since > read {
		c = w.earlier(unmapped(remote), read)
	}
	if c == nil {
		return nil
	}
	for _, a := range c.recent {
		if a.Begun > read {
			break
		}
		if found = a; a.Nth == f.Use {
			break
		}
	}
	return found
}

// earlier finds an earlier connection from the same client's end.
func (w *Witness) earlier(client netip.AddrPort, at time.Duration) *conn {
	for i := len(w.conns.all) - 1; i >= 0; i-- {
		if c := w.conns.all[i]; c.client == client && c.since <= at {
			return c
		}
	}
	return nil
}

// storyAlone is what the story says if no packets of the connection were seen.
func storyAlone(f story.Found, epoch time.Time) external.Attempt {
	a := blank()
	a.Local, a.Use, a.Began, a.Basis = f.Remote, f.Use, f.Read.Sub(epoch), evidence.Inferred
	a.Why = "the server's story alone: no packets of this connection were seen"
	a.Phase = results.PhaseBeforeResponse
	switch {
	case !f.Responded.IsZero():
		a.Phase, a.Done = results.PhaseDone, f.Responded.Sub(epoch)
	case f.First == story.ByServer && f.How == story.RST:
		a.Cause = results.CauseRST
	case f.First == story.ByServer:
		a.Cause = results.CauseFIN
	}
	if f.First == story.ByServer && f.Responded.IsZero() {
		a.Done = f.ClosedAt.Sub(epoch)
	}
	return a
}

// eliminated returns the request that no story explains: it began within the window, has
// no whole response, and the server has not read it. Where there are several, only what they have
// in common is said, if all is true.
func (w *Witness) eliminated(seq uint64, epoch time.Time, win window, all bool) []external.Attempt {
	var left []*attempt
	for _, c := range w.sealedOpen() {
		for _, a := range c.recent {
			if a.claimed == seq+1 {
				return []external.Attempt{w.attempt(a, epoch)}
			}
			if a.claimed == 0 && win.holds(a.Begun) && w.unexplained(a) {
				left = append(left, a)
			}
		}
	}
	switch len(left) {
	case 0:
		return nil
	case 1:
		left[0].claimed = seq + 1
		a := w.attempt(left[0], epoch)
		a.Basis = min(a.Basis, evidence.Inferred)
		a.Why = "the only request in this time that the server did not read; " + a.Why
		return []external.Attempt{a}
	}
	if !all {
		return nil
	}
	return []external.Attempt{w.common(left, epoch)}
}

// common is what several requests have in common, one of which is asked for.
func (w *Witness) common(left []*attempt, epoch time.Time) external.Attempt {
	one := w.attempt(left[0], epoch)
	same, reused := true, true
	for _, l := range left {
		a := w.attempt(l, epoch)
		same = same && a.Phase == one.Phase && a.Cause == one.Cause && (a.Use > 1) == (one.Use > 1)
		reused = reused && a.Use > 1
	}
	out := blank()
	out.Why = fmt.Sprintf("%d requests in this time were not read by the server; which one this is cannot be seen", len(left))
	if same {
		out.Phase, out.Cause, out.Basis = one.Phase, one.Cause, evidence.Inferred
		out.Why += ", but all ended alike"
	}
	if !reused {
		out.Use = 1
	} else if same {
		out.Use = 2
	}
	return out
}

// sealedOpen returns the TLS connections that may carry what is asked for: those that
// segments follows, and those that it has let go of and on which a request had no response.
func (w *Witness) sealedOpen() (all []*conn) {
	for _, c := range w.conns.open {
		if c.sealed {
			all = append(all, c)
		}
	}
	return append(all, w.conns.failed...)
}

// unexplained reports whether an attempt has no whole response, and no story says that the
// server read it.
func (w *Witness) unexplained(a *attempt) bool {
	if len(w.stories) == 0 || a.settled() && a.verdict == nil {
		return false
	}
	for _, s := range w.stories {
		if n, ok := s.Reads(a.conn.client.String()); ok {
			return n < a.Nth
		}
	}
	return true
}
