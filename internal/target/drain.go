package target

import (
	"time"

	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/profiles/script"
)

// drainTime bounds the wait for connections to end after a run.
const drainTime = 2 * time.Second

// Drain waits until the lab and its proxies have noticed that the client closed its
// connections, and until timers that are nearly due have closed connections that are
// still kept. It does not wait for connections that no timer will close.
func (t *Target) Drain(p *profiles.Target) {
	for end := time.Now().Add(drainTime); !t.drained(p) && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
}

// drained reports whether nobody holds a connection that its other end has
// closed already, nor, if a timer is due soon, one that this will end.
func (t *Target) drained(p *profiles.Target) bool {
	held := uint64(0) // connections that are kept by who made them: the client has closed its own
	for i, proxy := range t.proxies {
		s := proxy.Seen()
		open := s.Connections - s.ClosedByClient - s.ClosedByProxy
		// A blind proxy does not look at its client while it waits for the server.
		if open > held && p.Proxies[i].HopByHop != script.Blind {
			return false
		}
		held = s.Upstream - s.UpstreamClosedByProxy - s.UpstreamClosedByServer
	}
	open := uint64(0)
	for _, server := range t.lab {
		s := server.Seen()
		open += s.Connections - s.ClosedFirst - s.ClientClosed
	}
	return open <= held && (held == 0 || !ticks(p))
}

// ticks reports whether a timer will end connections that are kept before
// drainTime is over.
func ticks(p *profiles.Target) bool {
	soon := func(d time.Duration) bool { return 0 < d && d <= drainTime }
	for _, proxy := range p.Proxies {
		up := proxy.Upstream
		if soon(up.IdleTimeout) && !up.Unwatched || soon(up.Timeout) && proxy.HopByHop == script.Blind {
			return true
		}
	}
	return p.Lab != nil && (soon(p.Lab.IdleTimeout) || soon(p.Lab.ReloadEvery))
}
