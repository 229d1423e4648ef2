package probe

import (
	"slices"
	"time"

	"github.com/kabench/kabench/internal/evidence"
)

// Known is what a probe has found so far, for its own decisions and for its progress.
type Known struct {
	Idle      []time.Duration // how old idle connections were that the server has closed, in ascending order
	Waiting   int             // idle connections that are still open
	AtOnce    int             // connections closed with their response, that asked to be kept
	AtOnceNot int             // connections closed with their response, that did not ask
	Asked     int             // connections that asked to be kept and were, for some time
	NotAsked  int             // connections that did not ask and were kept
}

// soon is within which a connection counts as closed with its response, also where the
// machine is busy. A server with so short an idle timeout is measured with fewer
// connections.
const soon = 100 * time.Millisecond

// idleAtClose returns how long c had been idle when the server closed it; false if it was
// not, or if something else was sent on it meanwhile.
func idleAtClose(c *evidence.Connection) (time.Duration, bool) {
	if len(c.Exchanges) == 0 || c.Half != evidence.NotSeen || c.Close.By != evidence.ByServer {
		return 0, false
	}
	last := c.Exchanges[len(c.Exchanges)-1]
	if last.Done == evidence.NotSeen || c.Close.At == evidence.NotSeen || c.Close.At < last.Done {
		if len(c.Exchanges) < 2 || c.Close.At == evidence.NotSeen {
			return 0, false
		}
		// A late request that came behind the close leaves the close of an idle connection.
		before := c.Exchanges[len(c.Exchanges)-2]
		return c.Close.At - before.Done, before.Done != evidence.NotSeen && c.Close.At < last.Sent
	}
	return c.Close.At - last.Done, true
}

// add takes a connection that has carried a request into account.
func (k *Known) add(c *evidence.Connection) {
	if len(c.Exchanges) == 0 || c.Exchanges[0].Done == evidence.NotSeen {
		return
	}
	first := c.Exchanges[0]
	idle, closed := idleAtClose(c)
	switch {
	case closed && (idle <= soon || c.Exchanges[len(c.Exchanges)-1].Closing):
		if len(c.Exchanges) > 1 {
			return // the limit of requests, if anything
		}
		if first.Asked {
			k.AtOnce++
		} else {
			k.AtOnceNot++
		}
		return
	case closed:
		at, _ := slices.BinarySearch(k.Idle, idle)
		k.Idle = slices.Insert(k.Idle, at, idle)
	case c.Close.At == evidence.NotSeen:
		k.Waiting++
	}
	if first.Asked {
		k.Asked++
	} else {
		k.NotAsked++
	}
}

// Median is the median of Idle; 0 if there is none.
func (k *Known) Median() time.Duration {
	n := len(k.Idle)
	if n == 0 {
		return 0
	}
	return (k.Idle[(n-1)/2] + k.Idle[n/2]) / 2
}

// timer reports whether the idle timeout is known well enough to aim and to plan by.
func (k *Known) timer() bool {
	return len(k.Idle) >= enoughCloses || len(k.Idle) > 0 && k.Waiting == 0
}

// enoughAtOnce is how many connections must have been closed with their response before
// the probe believes that all are.
const enoughAtOnce = 3

// keepsNone reports whether the server closes each connection after its response, asked
// or not. On a busy machine, one in ten may look kept for a moment.
func (k *Known) keepsNone() bool {
	return k.AtOnce >= enoughAtOnce && k.AtOnceNot >= enoughAtOnce && 10*(k.Asked+k.NotAsked) <= k.AtOnce+k.AtOnceNot
}

// mustAsk reports whether the server keeps only connections whose request asks for it.
func (k *Known) mustAsk() bool {
	return k.AtOnceNot >= enoughAtOnce && k.NotAsked == 0
}

// atMost bounds the length of a probe, since the server's first response, by the idle
// timeout.
func atMost(idle time.Duration) time.Duration { return idle + idle/10 + 4300*time.Millisecond }
