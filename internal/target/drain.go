package target

import (
	"time"

	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/profiles/script"
)

// drainTime bounds the wait for connections to end after a run.
const drainTime = 2 * time.Second

// A wait ends when there was nothing new for quietLooks looks, each at least lookEvery after the
// one before: a network that has forgotten a connection swallows its FIN, so that the server
// never hears of it. Looks are counted, and not time, because a machine that stands still
// notices nothing either.
const (
	lookEvery  = 5 * time.Millisecond
	quietLooks = 80 // 400 ms; Linux sends a lost FIN again after 200 ms and a round trip
)

// Drain waits until the lab and its proxies have noticed that the client closed its
// connections, and until timers that are nearly due have closed connections that are
// still kept. It does not wait for connections that no timer will close, nor for those
// whose end never reaches the server.
func (t *Target) Drain(p *profiles.Profile) {
	most := quietLooks + int(p.RoundTrip()/lookEvery)
	if p.Target.Lab != nil {
		most += int((p.Target.Lab.Delay.A + p.Target.Lab.Delay.B) / lookEvery) // a server at work does not look
	}
	last, quiet := t.heard(), 0
	for end := time.Now().Add(drainTime); !t.drained(&p.Target) && time.Now().Before(end); {
		time.Sleep(lookEvery)
		switch now := t.heard(); {
		case now != last || ticks(&p.Target):
			last, quiet = now, 0
		case quiet == most:
			return
		default:
			quiet++
		}
	}
}

// heard counts what the lab and its proxies have noticed of their clients and servers.
func (t *Target) heard() (n uint64) {
	for _, proxy := range t.proxies {
		s := proxy.Seen()
		n += s.Requests + s.Attempts + s.Connections + s.ClosedByClient + s.ClosedByProxy
		n += s.Upstream + s.UpstreamClosedByProxy + s.UpstreamClosedByServer
	}
	for _, server := range t.lab {
		s := server.Seen()
		n += s.Connections + s.Requests + s.Executed + s.ClosedFirst + s.ClientClosed
	}
	return n
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
