package autopsy

import (
	"fmt"
	"strings"
	"time"

	"github.com/kabench/kabench/internal/evidence"
)

// bound is what requests in logs say about an idle timeout that no close shows.
type bound struct {
	above time.Duration // the longest idle time after which a request was answered
	vague bool          // a FIN and a RST look alike in the log
	most  time.Duration // the shortest after which the connection was found closed; 0: none was
}

// bounds collects the bounds of each server.
func (c *collector) bounds() map[string]bound {
	all := map[string]bound{}
	for i := range c.list {
		one := &c.list[i]
		if one.twin || one.log == nil {
			continue
		}
		b := all[one.server()]
		b.vague = b.vague || one.log.vague
		if !one.log.timed || one.Guessed {
			all[one.server()] = b
			continue
		}
		b.above = max(b.above, one.LongestIdle)
		for _, u := range one.Unanswered {
			if u.Idle > 0 && one.log.lazy && one.log.early && (b.most == 0 || u.Idle+max(u.Apart, 0) < b.most) {
				b.most = u.Idle + max(u.Apart, 0)
			}
		}
		if n := len(one.Exchanges); one.log.lazy && n > 0 && len(one.Unanswered) == 0 && one.Close.By == evidence.ByServer {
			if idle := one.Close.At - one.Exchanges[n-1].Done; b.most == 0 || idle < b.most {
				b.most = idle
			}
		}
		all[one.server()] = b
	}
	return all
}

// sentence says how a server treats idle connections, as far as logs show it.
func (b bound) sentence(facts evidence.Server) string {
	switch {
	case facts.Idle.Known():
	case b.known() && b.above > 0:
		return fmt.Sprintf("closes idle connections after more than %s, which a request survived, and at most %s (inferred: this client notices a close only when it uses the connection)", seconds(b.above.Seconds()), seconds(b.most.Seconds()))
	case b.known():
		return fmt.Sprintf("closes idle connections after at most %s (inferred: this client notices a close only when it uses the connection)", seconds(b.most.Seconds()))
	case facts.Keeping == evidence.KeepingUnknown || facts.Idle.LongerThan <= 0:
		return untold
	}
	return facts.Sentence()
}

// untold is the sentence about a server if a log shows too little.
const untold = "shows nothing in the log of how it treats idle connections"

// known reports whether the timer lies between the bounds.
func (b bound) known() bool { return b.most > 0 && b.above < b.most }

// loggedSentence says how a request met the end, where only a log shows it.
func (f *Failure) loggedSentence(far string) string {
	text := ""
	if far == "0" {
		far = "at once"
	} else if far != "" {
		far += " later"
	}
	switch {
	case f.Met == evidence.Abandoned:
		text = "the client gave up"
	case f.Met == evidence.Forgotten:
		text = "reset"
	case f.First != evidence.NotSeen:
		text = "its response was cut off"
	case f.Basis == evidence.Unknown:
		text = "met the close"
	case f.Met == evidence.Late:
		text = "the close was there already"
	case f.Met == evidence.Arrived:
		text = "had arrived"
	}
	if far != "" && f.Close.At != evidence.NotSeen {
		text += ", the end was logged " + far
	}
	if f.Basis != evidence.Seen {
		text += " (" + f.Basis.String() + ")"
	}
	return text
}

// meetingsLogged says how the requests of a log and the close met.
func meetingsLogged(group []Failure) string {
	var parts []string
	for _, m := range []struct {
		is   func(Failure) bool
		text string
	}{
		{func(f Failure) bool { return f.Basis == evidence.Unknown && f.early }, "the server did not close because of %s: no response ever came so soon%s"},
		{func(f Failure) bool { return f.Basis != evidence.Unknown && f.Met == evidence.Late }, "the close was probably there before %s, as this client does not look at idle connections%s"},
		{func(f Failure) bool { return f.Met == evidence.Arrived && f.First == evidence.NotSeen }, "%s had arrived%s"},
		{func(f Failure) bool { return f.Met == evidence.Arrived && f.First != evidence.NotSeen }, "%s got the beginning of a response%s"},
		{func(f Failure) bool { return f.Basis == evidence.Unknown && !f.early }, "how %s met it, the log does not say%s"},
	} {
		var apart []time.Duration
		n := 0
		for _, f := range group {
			if !m.is(f) {
				continue
			}
			n++
			if f.Sent != evidence.NotSeen && f.Close.At != evidence.NotSeen {
				apart = append(apart, f.Apart.Abs())
			}
		}
		if n == 0 {
			continue
		}
		who := number(n) + " of them"
		switch {
		case n == 1 && len(group) == 1:
			who = "it"
		case n == len(group):
			who = "they"
			if strings.Contains(m.text, "before %s,") || strings.Contains(m.text, "because of %s") {
				who = "them"
			}
		}
		far := ""
		if len(apart) > 0 {
			far = " (the end was logged " + between(apart) + " after the request)"
		}
		parts = append(parts, fmt.Sprintf(m.text, who, far))
	}
	return strings.Join(parts, "; ")
}

// incidentLogged names the incident that a failure in a log is, if the log shows enough.
func incidentLogged(f Failure) string {
	switch {
	case f.early && f.Met == evidence.Crossed && f.Idle != evidence.NotSeen && f.Reused:
		if f.TLS {
			return "idle-race-tls"
		}
		return "idle-race"
	case f.Basis == evidence.Unknown, f.Met == evidence.Forgotten, f.Met == evidence.Abandoned:
		return ""
	case f.First != evidence.NotSeen:
		return "during-response"
	case f.Met == evidence.Arrived:
		return "before-response"
	case f.Met == evidence.Late:
		return "direct-idle-order"
	}
	return ""
}

// cannotLogs lists what the logs cannot say, and which capture would.
func (c *collector) cannotLogs(v *Verdict, list []Failure) (says []string) {
	var own []Failure
	for _, f := range list {
		if f.logged {
			own = append(own, f)
		}
	}
	if len(c.logs) == 0 || len(v.Places) > 0 && len(own) == 0 {
		return nil
	}
	filter := "tcp"
	if len(v.Servers) > 0 {
		if i := strings.LastIndexByte(v.Servers[0].Address, ':'); i >= 0 {
			filter += " port " + v.Servers[0].Address[i+1:]
		}
	}
	command := fmt.Sprintf("tcpdump -i any -s 96 -w FILE '%s'", filter)
	says = append(says, "When the server's FIN or RST left, and which of the two it was: a log shows what the program noticed, and when. Capture beside the program: "+command)
	if n := c.untimed(); n > 0 {
		says = append(says, fmt.Sprintf("After how long the server closed %s: the log has no times.", plural(n, "idle connection")))
	}
	unknown, alone := 0, 0
	for _, f := range own {
		if f.Basis == evidence.Unknown {
			unknown++
		}
		if f.Nth == 0 {
			alone++
		}
	}
	if unknown > 0 {
		says = append(says, fmt.Sprintf("How %s met the close: order and times in the log do not decide it. The same capture does.", plural(unknown, "request")))
	}
	if alone > 0 {
		says = append(says, fmt.Sprintf("Which connections carried %s, and how long they had been idle: the lines do not name connections. The same capture shows it, or a log that names them (for OkHttp a LoggingEventListener, for Apache HttpClient its wire log).", plural(alone, "request")))
	}
	for i := range v.Servers {
		if b := c.bounds()[v.Servers[i].Address]; b.known() && !v.Servers[i].Facts.Idle.Known() {
			says = append(says, fmt.Sprintf("The idle timeout of %s exactly: kabench probe measures it, or the same capture shows it.", v.Servers[i].Address))
			break
		}
	}
	return says
}

// untimed counts the idle connections that a server closed in a log without times.
func (c *collector) untimed() (n int) {
	for i := range c.list {
		if one := &c.list[i]; one.log != nil && !one.twin && one.Close.At == evidence.NotSeen && one.Close.By == evidence.ByServer && len(one.Unanswered) == 0 {
			n++
		}
	}
	return n
}
