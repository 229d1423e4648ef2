package evidence

import (
	"fmt"
	"time"
)

// Statements lists what is known about the server, the most useful first. What was not
// observed is left out, except the idle timeout.
func (s Server) Statements() []Statement {
	list := []Statement{s.idleStatement()}
	for _, t := range s.Others {
		list = append(list, s.otherStatement(t))
	}
	list = append(list, s.stillOpenStatement())
	list = append(list, s.hintStatements()...)
	list = append(list, s.backendStatements()...)
	list = append(list, s.limitStatement(), s.lifetimeStatement())
	for _, b := range s.Bursts {
		list = append(list, b.statement())
	}
	list = append(list,
		s.Fresh.statement("fresh", "connections on which nothing was sent"),
		s.Half.statement("half", "fresh connections after half a request head"),
		s.UsedHalf.statement("used_half", "used connections after half a request head"),
		s.notifyStatement(), s.lateStatement(), s.forgetsStatement(),
		s.RoundTrip.took("round_trip", "TCP handshakes took"),
		s.Response.took("response", "responses began after"),
		s.statusStatement())
	kept := list[:0]
	for _, one := range list {
		if one.Text != "" {
			kept = append(kept, one)
		}
	}
	return kept
}

func (s Server) idleStatement() Statement {
	one := Statement{About: "idle", Basis: s.Idle.Basis, Text: s.keepingWords(), Why: s.Idle.Why}
	switch s.Keeping {
	case ClosesAtOnce:
		one.Basis, one.Why = Seen, fmt.Sprintf("%d first requests got no response", s.Unanswered)
	case ClosesEach:
		one.Basis, one.Why = Seen, fmt.Sprintf("%d responses on %d connections", s.Responses, s.Connections)
	case KeepsLonger:
		one.Basis, one.Why = Seen, "no idle connection was closed within this time"
		if s.livesUntil() {
			one.Why = "no idle connection was closed before"
		}
	case KeepsUntilIdle:
		if one.Why == "" {
			one.Why = fmt.Sprintf("%d idle connections were closed after %s", s.Idle.Closes, fromTo(s.Idle.Min, s.Idle.Max))
			if s.Idle.Closes == 1 {
				one.Why = "1 idle connection was closed after " + fromTo(s.Idle.Min, s.Idle.Max)
			}
		}
	}
	return one
}

// otherStatement is about a second group of idle times.
func (s Server) otherStatement(t Timer) Statement {
	return Statement{
		About: "idle", Basis: Inferred,
		Text: fmt.Sprintf("closes other idle connections after %s, by %s: there are probably two servers behind this address, or two timers", t.words(), kindWords(t.How)),
		Why:  fmt.Sprintf("the idle times of %d and %d closes form groups with a gap between them", s.Idle.Closes, t.Closes),
	}
}

// stillOpenStatement is about connections that were idle for longer than all that were
// closed. One or two may be late requests, or packets that a capture lacks.
func (s Server) stillOpenStatement() Statement {
	t := s.Idle
	if !t.Known() || len(s.Others) > 0 || t.StillOpen < max(3, t.Closes/10) {
		return Statement{}
	}
	return Statement{
		About: "idle", Basis: Inferred,
		Text: fmt.Sprintf("did not close all connections then: %d were still open after more than %s, up to %s; there are probably two servers behind this address, or two rules", t.StillOpen, seconds(t.Max), seconds(t.LongerThan)),
		Why:  fmt.Sprintf("%d idle connections were closed, and %d were not", t.Closes, t.StillOpen),
	}
}

func (s Server) hintStatements() (list []Statement) {
	h := s.Hints
	if clause := s.hintClause(); clause != "" {
		one := Statement{About: "hint", Basis: Seen, Text: clause, Why: "idle connections were closed about then"}
		switch {
		case h.Verdict == HintUnchecked:
			one.Basis, one.Why = Unknown, "no idle connection was closed"
		case !s.Idle.Known():
			one.Why = "idle connections were still open " + seconds(s.Idle.LongerThan-h.Timeout) + " later"
		case h.Off < -hintSlack:
			one.Why = "an idle connection was closed " + seconds(-h.Off) + " earlier"
		case h.Off > hintSlack:
			one.Why = "idle connections were closed " + seconds(h.Off) + " later"
		}
		list = append(list, one)
	}
	if h.Max > 0 && s.Limit.Requests > 1 && s.Limit.Requests != h.Max && s.Limit.Requests != h.Max+1 {
		list = append(list, Statement{
			About: "hint", Basis: s.Limit.Basis,
			Text: fmt.Sprintf("its hint max=%d is wrong: connections end after %d responses", h.Max, s.Limit.Requests), Why: s.Limit.Why,
		})
	}
	if a, u := h.Asked, h.Unasked; a.Closing == 0 && a.Responses > 0 && u.Responses > 0 && u.Closing == u.Responses {
		list = append(list, Statement{About: "hint", Basis: Seen, Text: "keeps connections only if the request says Connection: keep-alive"})
	}
	return list
}

func (s Server) backendStatements() (list []Statement) {
	if s.Unsettled {
		return []Statement{{
			About: "backends", Basis: Seen,
			Text: fmt.Sprintf("passes requests of one connection to several of its %d backends, so it closes connections itself", len(s.Backends)),
		}}
	}
	for _, b := range s.Backends {
		name := b.Name
		if name == "" {
			name = "without a name"
		}
		list = append(list, Statement{
			About: "backends", Basis: b.Idle.Basis,
			Text: fmt.Sprintf("its backend %s closes idle connections after %s (%d connections)", name, b.Idle.words(), b.Connections),
		})
	}
	if len(list) > 1 && s.backendsDiffer() {
		list = append(list, Statement{About: "backends", Basis: Inferred, Text: "its backends have different idle timeouts", Why: "the intervals of their medians do not overlap"})
	}
	return list
}

// backendsDiffer reports whether the intervals of two backends' timers do not overlap.
func (s Server) backendsDiffer() bool {
	for i, a := range s.Backends {
		for _, b := range s.Backends[:i] {
			if a.Idle.Closes > 2 && b.Idle.Closes > 2 && (a.Idle.High < b.Idle.Low || b.Idle.High < a.Idle.Low) {
				return true
			}
		}
	}
	return false
}

func (s Server) limitStatement() Statement {
	l := s.Limit
	one := Statement{About: "limit", Basis: l.Basis, Why: l.Why}
	switch {
	case l.Requests > 1 && l.KeepsOpen:
		one.Text = fmt.Sprintf("announces the close with response %d of a connection, and keeps the connection open", l.Requests)
	case l.Requests > 1 && l.Announced:
		one.Text = fmt.Sprintf("ends connections after %d responses, and says so", l.Requests)
	case l.Requests > 1:
		one.Text = fmt.Sprintf("ends connections after %d responses, without saying so", l.Requests)
	case s.Keeping == ClosesEach:
	case s.AfterResponse > 0:
		one.Basis, one.Text = Seen, fmt.Sprintf("closed %d connections directly after a response, after different numbers of responses", s.AfterResponse)
	case l.MoreThan > 1:
		one.Basis, one.Text = Seen, fmt.Sprintf("serves at least %d requests on a connection", l.MoreThan)
	}
	return one
}

func (s Server) lifetimeStatement() Statement {
	if !s.Lifetime.Known() {
		return Statement{}
	}
	return Statement{
		About: "lifetime", Basis: s.Lifetime.Basis, Why: s.Lifetime.Why,
		Text: fmt.Sprintf("ends connections %s after they were opened, however they are used", s.Lifetime.words()),
	}
}

func (b Burst) statement() Statement {
	return Statement{
		About: "burst", Basis: Inferred,
		Text: fmt.Sprintf("closed %d connections within %s, by %s, after idle times of %s: probably a reload, a deploy or a process that ended",
			b.Closes, seconds(b.Until-b.At), kindWords(b.How), fromTo(b.IdleMin, b.IdleMax)),
		Why: fmt.Sprintf("the closes came together, %s after the start, and the idle timeout does not explain them", seconds(b.At)),
	}
}

// statement is about a timer of connections that are not idle after a response.
func (t Timer) statement(about, which string) Statement {
	switch {
	case t.Known():
		text := fmt.Sprintf("closes %s after %s, by %s", which, t.words(), kindWords(t.How))
		if t.Status408 > 0 {
			text += fmt.Sprintf(", with status 408 (%d of %d)", t.Status408, t.Closes)
		}
		return Statement{About: about, Basis: t.Basis, Text: text, Why: t.Why}
	case t.LongerThan >= time.Second: // less says nothing about any server
		return Statement{About: about, Basis: Seen, Text: fmt.Sprintf("keeps %s longer than %s", which, seconds(t.LongerThan))}
	}
	return Statement{}
}

func (s Server) notifyStatement() Statement {
	one := Statement{About: "notify", Basis: Seen}
	switch {
	case s.Notify.Known():
		one.Text = fmt.Sprintf("sends the FIN %s after its close_notify", s.Notify.words())
	case s.BareNotify > 0:
		one.Text = fmt.Sprintf("sends no FIN within %s after its close_notify", seconds(s.Notify.LongerThan))
	}
	return one
}

// lateStatement says what requests met that were sent around or after the idle timeout.
func (s Server) lateStatement() Statement {
	var sum Reuse
	from := -30 * time.Millisecond
	if s.Idle.Spread() {
		from = s.Idle.Min - s.Idle.Median
	}
	for _, l := range s.Late {
		if s.Idle.Known() && l.To > from {
			sum.Answered, sum.FIN, sum.RST = sum.Answered+l.Answered, sum.FIN+l.FIN, sum.RST+l.RST
			sum.Status408, sum.Nothing = sum.Status408+l.Status408, sum.Nothing+l.Nothing
		}
	}
	if sum == (Reuse{}) {
		return Statement{}
	}
	text := "meets late requests with"
	for _, met := range []struct {
		n    int
		what string
	}{{sum.Answered, "a response"}, {sum.FIN, "a FIN"}, {sum.RST, "a RST"}, {sum.Status408, "status 408"}, {sum.Nothing, "silence"}} {
		if met.n > 0 {
			text += fmt.Sprintf(" %s (%d),", met.what, met.n)
		}
	}
	one := Statement{About: "late", Basis: Seen, Text: text[:len(text)-1]}
	if sum.RST > 0 {
		one.Why = "a RST without a FIN before it means that the server closed with a request unread"
	}
	return one
}

func (s Server) forgetsStatement() Statement {
	if s.Forgets == nil || s.Keeping == KeepsLonger || s.Keeping == KeepingUnknown {
		return Statement{}
	}
	var how Kinds
	how.count(s.Forgets.How)
	return Statement{
		About: "forgets", Basis: Inferred,
		Text: fmt.Sprintf("met %d requests on idle connections with %s, the first after %s", s.Forgets.Count, kindWords(how), seconds(s.Forgets.Until)),
		Why:  "a machine in the path that forgets idle connections does so",
	}
}

// took is about times that are no timers.
func (t Timer) took(about, text string) Statement {
	if !t.Known() {
		return Statement{}
	}
	took := seconds(t.Median)
	if spread := fromTo(t.Min, t.Max); spread != took {
		took += " (" + spread + ")"
	}
	return Statement{About: about, Basis: Seen, Text: text + " " + took}
}

func (s Server) statusStatement() Statement {
	odd := 0
	for status, n := range s.Statuses {
		if status >= 400 && status != 408 {
			odd += n
		}
	}
	if odd == 0 {
		return Statement{}
	}
	return Statement{About: "status", Basis: Seen, Text: fmt.Sprintf("%d of %d responses had a status of 400 or more", odd, s.Responses)}
}
