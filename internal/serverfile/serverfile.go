// Package serverfile writes what was measured of a server as a file that lint, the lab, a
// profile and reproduce read: a server preset with the section measured.
package serverfile

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/strictyaml"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/profiles/schema"
	"github.com/kabench/kabench/profiles/script"
)

// Source is how a server was measured.
type Source struct {
	URL  string    // without secrets
	From string    // "probe", "autopsy" or "watch"
	At   time.Time // when
}

// Preset returns the server as a script of the lab, with facts and the measurement. The
// facts follow the earliest close, so that a client that is safe with the file is safe with
// the server.
func Preset(s evidence.Server, from Source) profiles.ServerPreset {
	p := profiles.ServerPreset{
		Name:     s.Address,
		What:     "the server at " + s.Address + ", which " + s.Sentence(),
		Versions: "as it was on " + from.At.UTC().Format("2006-01-02"),
		Lab:      labOf(s),
		Facts:    factsOf(s),
		Measured: measuredOf(s, from),
	}
	if p.Name == "" {
		p.Name = "measured"
	}
	if s.Lifetime.Known() {
		p.Cannot = append(p.Cannot, "the server ends connections some time after they were opened; the lab does not")
	}
	if s.Forgets != nil {
		p.Cannot = append(p.Cannot, "a machine in the path forgets idle connections; the lab has only the server")
	}
	return p
}

// Text returns the preset as YAML, with what is known about the server as comments before
// it.
func Text(s evidence.Server, from Source) ([]byte, error) {
	p := Preset(s, from)
	body, err := strictyaml.Marshal(p, strictyaml.Extra{})
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteString(schema.Line("server"))
	fmt.Fprintf(&b, "# The server at %s, measured by kabench %s from %s.\n", s.Address, from.From, oneLine(from.URL))
	b.WriteString("# kabench lint --server FILE, lab --as FILE and reproduce --server FILE read it.\n")
	b.WriteString("# It " + oneLine(s.Sentence()) + ".\n")
	for _, statement := range s.Statements() {
		b.WriteString("#   " + oneLine(statement.Text) + "\n")
	}
	b.Write(body)
	return b.Bytes(), nil
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// idleOf returns the idle timeout as its server is probably configured, and how much
// earlier it may close: 5 s and 2 ms if the earliest close came after 4.9985 s. If no
// round time is near, it is the earliest close, in whole milliseconds; 0: none is known.
func idleOf(t evidence.Timer) (idle, early time.Duration) {
	if !t.Known() {
		return 0, 0
	}
	first := t.Min - t.Slack
	if round := first.Round(roundTo(first)); round > 2*near && (round-first).Abs() <= near && round <= t.Max+t.Slack {
		return round, max(ceil(round-first), 0)
	}
	if at := first.Truncate(time.Millisecond); at > 0 {
		return at, 0
	}
	return max(t.Min, 1), 0
}

// near is how far from a round time a close may be that such a timer has caused: nginx
// closes a little early, others wait for the end of a tick.
const near = 5 * time.Millisecond

// roundTo is what people round a timer of about d to.
func roundTo(d time.Duration) time.Duration {
	switch {
	case d >= 10*time.Second:
		return time.Second
	case d >= time.Second:
		return 100 * time.Millisecond
	}
	return 10 * time.Millisecond
}

// ceil rounds up to a whole millisecond.
func ceil(d time.Duration) time.Duration {
	return (d + time.Millisecond - 1).Truncate(time.Millisecond)
}

// spreadOf is how much later than idle the latest close may be, in whole milliseconds, if
// the server itself spreads them.
func spreadOf(t evidence.Timer, idle time.Duration) script.Delay {
	late := (t.Max - idle).Round(time.Millisecond)
	if !t.Spread() || late <= 0 {
		return script.Delay{}
	}
	return script.Delay{Form: script.Uniform, B: min(late, time.Hour)}
}

func labOf(s evidence.Server) script.Server {
	idle, _ := idleOf(s.Idle)
	l := script.Server{TLS: s.TLS, IdleTimeout: idle, IdleLate: spreadOf(s.Idle, idle)}
	l.Delay = script.Delay{A: min(serverTime(s), time.Hour)}
	h := s.Hints
	if h.Unasked.Responses > 0 && h.Unasked.Closing == h.Unasked.Responses && h.Asked.Closing < h.Asked.Responses {
		l.Version = script.HTTP10
	}
	switch {
	case s.Keeping == evidence.ClosesEach && s.Limit.Announced:
		l.SayClose, l.IdleTimeout, l.IdleLate = true, 0, script.Delay{}
	case s.Keeping == evidence.ClosesEach:
		l.MaxRequests, l.Unannounced = 1, true
	case s.Keeping == evidence.ClosesAtOnce:
		l.Fault = script.CloseBeforeResponse
		if s.AtOnce.RST > s.AtOnce.FIN {
			l.Fault = script.ResetBeforeResponse
		}
	case s.Limit.Requests > 0 && !s.Limit.KeepsOpen:
		l.MaxRequests, l.Unannounced = s.Limit.Requests, !s.Limit.Announced
	}
	if l.SayClose { // it has no idle connections, and no hints about them
		return l
	}
	if l.Fault == script.FaultNone {
		l.Fault, l.NotifyLead = closingOf(s)
	}
	l.Hint, l.HintIfAsked = hintOf(h)
	return l
}

// serverTime is the time from a request to its response without the round trip, in whole
// milliseconds.
func serverTime(s evidence.Server) time.Duration {
	if !s.Response.Known() {
		return 0
	}
	return max(s.Response.Median-s.RoundTrip.Median, 0).Truncate(time.Millisecond)
}

// closingOf is how idle connections are closed, where that is not by a FIN, which over TLS
// a close_notify precedes.
func closingOf(s evidence.Server) (script.Fault, time.Duration) {
	switch {
	case s.Close == evidence.RST:
		return script.ResetOnIdle, 0
	case s.Close == evidence.FIN && s.TLS:
		return script.TLSNoCloseNotify, 0
	case s.Close == evidence.Notify && s.TLS:
		gap := max(s.Notify.Median, s.Notify.LongerThan)
		if gap >= time.Millisecond {
			return script.FaultNone, min(gap.Truncate(time.Millisecond), time.Hour)
		}
	}
	return script.FaultNone, 0
}

func hintOf(h evidence.Hints) (text string, ifAsked bool) {
	var parts []string
	if h.Timeout > 0 {
		parts = append(parts, fmt.Sprintf("timeout=%d", h.Timeout/time.Second))
	}
	if h.Max > 0 {
		parts = append(parts, fmt.Sprintf("max=%d", h.Max))
	}
	return strings.Join(parts, ", "), len(parts) > 0 && h.Asked.KeepAlive > 0 && h.Unasked.KeepAlive == 0 && h.Unasked.Responses > 0
}

func factsOf(s evidence.Server) profiles.ServerFacts {
	f := profiles.ServerFacts{Hint: s.Hints.Timeout, Delay: serverTime(s)}
	f.IdleTimeout, f.IdleEarly = idleOf(s.Idle)
	if s.Limit.Requests > 0 && !s.Limit.KeepsOpen {
		f.MaxRequests, f.Unannounced = s.Limit.Requests, !s.Limit.Announced
	}
	if s.Keeping == evidence.ClosesEach {
		f.MaxRequests, f.Unannounced = 1, !s.Limit.Announced
	}
	if s.Lifetime.Known() {
		life, early := idleOf(s.Lifetime)
		f.MaxLifetime = max(life-early, 1)
	}
	if forgets := s.Forgets; forgets != nil && !s.Idle.Known() {
		f.Silent, f.PassesOn = forgets.How != evidence.RST, forgets.How == evidence.RST
		if f.IdleTimeout = forgets.After; f.IdleTimeout <= 0 {
			f.IdleTimeout = forgets.Until / 2 // only an upper bound is known
		}
	}
	return f
}

func measuredOf(s evidence.Server, from Source) *profiles.Measured {
	round := func(d time.Duration) time.Duration { return d.Round(time.Microsecond) }
	m := &profiles.Measured{
		URL: from.URL, From: from.From, At: from.At.UTC().Truncate(time.Second), Closes: s.Idle.Closes,
		IdleMin: round(s.Idle.Min), IdleLow: round(s.Idle.Low), IdleMedian: round(s.Idle.Median),
		IdleHigh: round(s.Idle.High), IdleMax: round(s.Idle.Max), IdleSlack: round(s.Idle.Slack),
		RoundTrip: round(s.RoundTrip.Median), RoundTripMax: round(s.RoundTrip.Max),
		Response: round(s.Response.Median), ResponseMax: round(s.Response.Max),
	}
	for _, d := range s.Idle.Times {
		m.Idle = append(m.Idle, round(d))
	}
	if !s.Idle.Known() {
		m.LongerThan = round(s.Idle.LongerThan)
	}
	if s.Close != evidence.Open {
		m.Close = s.Close.String()
	}
	return m
}
