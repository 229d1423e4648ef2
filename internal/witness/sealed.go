package witness

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/kabench/kabench/dialers/external"
	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/lab/story"
	"github.com/kabench/kabench/results"
)

// Stories is a server of kabench's own that knows which requests it read: a lab.Server or
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
	if len(all) == 0 {
		return w.eliminated(seq, epoch, win)
	}
	return all
}

// onWire is the time of an offset on the clock of packets.
func (w *Witness) onWire(epoch time.Time, at time.Duration) time.Duration {
	return at + epoch.Sub(w.clock.Base)
}

// told joins a story with the packets of its connection.
func (w *Witness) told(f story.Found, seq uint64, epoch time.Time) external.Attempt {
	read := f.Read.Sub(w.clock.Base)
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

// sealedAttempt finds the attempt that belongs to a story.
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

// storyAlone is what the story says if no packets of the connection were seen. When the
// server had read the request's head is the nearest that it knows to when the request
// began and was sent.
func storyAlone(f story.Found, epoch time.Time) external.Attempt {
	a := blank()
	a.Local, a.Use, a.Began, a.Basis = f.Remote, f.Use, f.Read.Sub(epoch), evidence.Inferred
	a.Sent, a.Opened, a.Age = a.Began, f.Accepted.Sub(epoch), f.Read.Sub(f.Accepted)
	if a.Idle = max(f.Idle, 0); f.Use == 1 && a.Idle < fresh {
		a.Idle, a.Age = 0, 0
	}
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

// candidate is a request that may be the one that is asked for.
type candidate struct {
	a    *attempt
	seen external.Attempt
	far  time.Duration // from the window's ends
}

// eliminated returns the request that no story explains: it began within the window, has
// no whole response, the server has not read it, and its connection has ended. Of several
// that ended alike the nearest to the window's ends is taken. A blank attempt says that it
// may be one of several; where the connection is open, the request may be another
// exchange's that is on its way.
func (w *Witness) eliminated(seq uint64, epoch time.Time, win window) []external.Attempt {
	var ended, open []candidate
	for _, c := range w.sealedOpen() {
		for _, a := range c.recent {
			if a.claimed == seq+1 {
				return []external.Attempt{w.attempt(a, epoch)}
			}
			if a.claimed != 0 || !win.holds(a.Begun) || !w.unexplained(a) {
				continue
			}
			one := candidate{a: a, seen: w.attempt(a, epoch)}
			if one.seen.Cause == results.CauseNone {
				open = append(open, one)
			} else if end := max(w.onWire(epoch, one.seen.Done), a.Begun); one.seen.Done == results.Never || win.holds(end) {
				one.far = win.far(a.Begun, end)
				ended = append(ended, one)
			}
		}
	}
	left := ended
	if len(open) > 0 && len(left) == 0 {
		return []external.Attempt{blank()} // it is one of these, or none
	}
	if len(left) == 0 {
		return nil
	}
	slices.SortStableFunc(left, func(a, b candidate) int { return cmp.Compare(a.far, b.far) })
	why := "the only request in this time that the server did not read"
	switch {
	case len(left) == 1:
	case alike(left) || left[1].far-left[0].far > clearly:
		why = fmt.Sprintf("of %d requests that the server did not read, this one fits the time best", len(left))
	default:
		return []external.Attempt{blank()}
	}
	one := left[0]
	one.a.claimed = seq + 1
	one.seen.Basis = min(one.seen.Basis, evidence.Inferred)
	one.seen.Why = why + "; " + one.seen.Why
	return []external.Attempt{one.seen}
}

// clearly is how much nearer in time the request that is asked for must be than another
// one that ended otherwise.
const clearly = 2 * time.Millisecond

// far is how far the beginning and the end of a request are from the window's ends. A client
// writes as soon as it may, and is often late to read; so the beginning counts more.
func (v window) far(begun, end time.Duration) (far time.Duration) {
	if v.from > -1<<62 {
		far += begun - v.from
	}
	if v.to < 1<<62 {
		end = v.to - end
	}
	return far + end/64 // without a window, the first to end is asked for first
}

func alike(all []candidate) bool {
	one := &all[0].seen
	for i := range all {
		a := &all[i].seen
		if a.Phase != one.Phase || a.Cause != one.Cause || (a.Use > 1) != (one.Use > 1) {
			return false
		}
	}
	return true
}

// sealedOpen returns the TLS connections that may carry what is asked for: those that
// segments follows, and those that are over and on which a request had no response.
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
