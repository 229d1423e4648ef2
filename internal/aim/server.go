package aim

import (
	"cmp"
	"net/http"
	"time"

	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/profiles/script"
)

// Server is what the aim needs to know of a server.
type Server struct {
	Idle       Spread        // from the last byte of a response to the close of the idle connection
	LongerThan time.Duration // no idle connection was closed within this time; 0: not known
	RoundTrip  time.Duration // the median
	Response   time.Duration // from a request to its response, without the round trip; the median
	// ResponseMax is the longest of the times whose median is Response.
	ResponseMax time.Duration
	Hint        time.Duration // the timeout that it announces; 0: none
	MaxRequests int           // of one connection; 0: no limit
	Unannounced bool          // at MaxRequests it closes without saying so
	From        string        // who measured it: probe or autopsy; "": nobody, it is what a file says
	// Late is how late this machine woke, each time after Nap; nil: as a machine with little
	// to do.
	Late []time.Duration
}

// ServerOf returns what a preset or a file says about a server. What was measured comes
// before what is configured.
func ServerOf(p profiles.ServerPreset) Server {
	s := Server{Hint: p.Facts.Hint, MaxRequests: p.Facts.MaxRequests, Unannounced: p.Facts.Unannounced, Response: p.Facts.Delay}
	if s.Hint == 0 {
		s.Hint = profiles.HintTimeout(p.Lab.Hint)
	}
	s.MaxRequests, s.Unannounced = cmp.Or(s.MaxRequests, p.Lab.MaxRequests), s.Unannounced || p.Lab.Unannounced
	s.Idle = configured(p)
	s.Response = cmp.Or(s.Response, middle(p.Lab.Delay))
	s.ResponseMax = s.Response
	m := p.Measured
	if m == nil {
		return s
	}
	s.From, s.LongerThan = m.From, m.LongerThan
	s.RoundTrip = m.RoundTrip
	s.Response = max(m.Response-m.RoundTrip, 0)
	s.ResponseMax = max(m.ResponseMax-m.RoundTrip, s.Response)
	s.Idle = Spread{}
	if m.Closes > 0 {
		s.Idle = spreadOf(*m)
	}
	return s
}

// configured returns the idle timer as a file has it.
func configured(p profiles.ServerPreset) Spread {
	idle := cmp.Or(p.Lab.IdleTimeout, p.Facts.IdleTimeout)
	if idle == 0 {
		return Spread{}
	}
	late := p.Lab.IdleLate
	switch early := p.Facts.IdleEarly; {
	case early > 0:
		return evenly(idle-early, idle)
	case late.Form == script.Uniform:
		return evenly(idle+late.A, idle+late.B)
	case late.A > 0:
		return evenly(idle, idle+2*late.A)
	}
	return Spread{Seen: 1, First: idle, Min: idle, Max: idle, points: []time.Duration{idle, idle, idle, idle, idle}}
}

func middle(d script.Delay) time.Duration {
	if d.Form == script.Uniform {
		return (d.A + d.B) / 2
	}
	return d.A
}

// safe reports whether a method changes nothing on the server.
func safe(method string) bool {
	return method == "" || method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}
