package page

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/kabench/kabench/results"
)

// LaneEnd is how the connection of a lane ended.
type LaneEnd struct {
	At   float64 `json:"at"`             // the first end of a side, as the client saw it
	Idle float64 `json:"idle"`           // idle time before it; -1: a request was on it
	By   string  `json:"by"`             // us, peer, reset, unknown
	Uses int     `json:"uses,omitempty"` // how many exchanges it carried
	Text string  `json:"text"`           // for people: "closed by us (FIN) after 500 ms idle: pool.idle_timeout"
}

// Ended adds how a connection ended. It does not keep e. Of a finished run, call it after
// every Observe: connections that are not shown are forgotten.
func (g *Gatherer) Ended(e *results.ConnectionEnd) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lives.ended(e)
	g.ends = true
}

// ended adds how the connection of a remembered life ended.
func (ls *lifelines) ended(e *results.ConnectionEnd) {
	for _, lives := range [...]map[uint64]*life{ls.kept, ls.young, ls.old} {
		if l := lives[e.Conn]; l != nil {
			end := *e
			l.end = &end
			return
		}
	}
}

// laneEnd is the end of l; nil: it is not known.
func (ls *lifelines) laneEnd(l *life) *LaneEnd {
	e := l.end
	if e == nil || e.Ended == results.Never {
		return nil
	}
	return &LaneEnd{At: seconds(e.Ended), Idle: seconds(e.Idle), By: e.By.String(), Uses: e.Uses, Text: ls.endText(e)}
}

// endText says how a connection ended: who, how, after which idle time, and why.
func (ls *lifelines) endText(e *results.ConnectionEnd) string {
	how := map[results.EndedHow]string{results.HowFIN: " (FIN)", results.HowRST: " (RST)", results.HowCloseNotify: " (TLS close_notify)"}[e.How]
	text := "closed, but which side was first could not be seen"
	switch e.By {
	case results.EndUs:
		text = "closed by us" + how
	case results.EndPeer:
		text = "closed by the server" + how
	case results.EndReset:
		text = "reset by the server" + how
	}
	switch {
	case e.Idle > 0:
		text += " after " + took(e.Idle) + " idle"
	case e.Idle == 0:
		text += " right after its last exchange"
	case e.By != results.EndUs:
		text += " while a request was on it"
	}
	why := serverReasons[e.Server]
	if why == "" {
		why = e.Server
	}
	if e.By == results.EndUs || e.By == results.EndUnknown {
		why = ls.ourReason(e)
	}
	if why != "" {
		text += ": " + why
	}
	if late := e.Closed - e.Ended; e.By != results.EndUs && late >= time.Millisecond {
		text += fmt.Sprintf("; we closed our side %s later", took(late))
	}
	return text
}

// ourReason says why the client closed a connection.
func (ls *lifelines) ourReason(e *results.ConnectionEnd) string {
	if e.Reason == "expired" && (ls.poolIdle <= 0 || e.Idle < ls.poolIdle-time.Millisecond) {
		return "the time that the server's Keep-Alive header announced"
	}
	if e.Reason == "expired" && e.Idle > ls.poolIdle+ls.poolIdle/50+time.Millisecond {
		return "pool.idle_timeout of " + took(ls.poolIdle) + " was over when the pool looked"
	}
	return cmp.Or(ourReasons[e.Reason], e.Reason)
}

// ourReasons are the evictions of the pool, for people.
var ourReasons = map[string]string{
	"expired":           "pool.idle_timeout",
	"lifetime":          "pool.max_lifetime",
	"max_requests":      "pool.max_requests",
	"surplus":           "as many connections as the pool keeps were idle (pool.max_idle)",
	"made_room":         "to make room for another request (pool.max_conns)",
	"hint":              "the server's Keep-Alive header left it no time",
	"peer_closed":       "the server had begun to close it",
	"reset":             "the server had reset it",
	"server_said_close": "the response said so",
	"broken":            "its exchange did not end in order",
	"shutdown":          "the end of the run",
}

// serverReasons are why a server of kabench's own closes, for people.
var serverReasons = map[string]string{
	"idle_timeout": "its idle timer ran out",
	"max_requests": "it had served as many requests as it allows",
	"said_close":   "as its response had said",
	"fault":        "as its script says",
	"bad_request":  "it could not read the request",
	"until_close":  "that was the end of the response",
	"not_kept":     "it does not keep connections of HTTP/1.0",
	"reload":       "it was reloaded or stopped",
	"upstream":     "the connection behind it had ended",
	"handshake":    "the TLS handshake failed",
	"shutdown":     "it was shut down",
}

// how says how a life ended, if that is known.
func (ls *lifelines) how(l *life) string {
	if l.conn == 0 {
		return "failed before there was a connection"
	}
	for _, list := range [][]stay{l.stays, l.failures} {
		for _, s := range list {
			if e, found := ls.evidence[s.seq]; found && e.Conn == l.conn && e.By != "" && (l.end == nil || e.By == "link") {
				how := strings.ToUpper(e.How)
				if e.How == "alert" {
					how = "a TLS alert and FIN"
				}
				return fmt.Sprintf("closed first by the %s, by %s", e.By, how)
			}
		}
	}
	switch {
	case l.end != nil:
		return ls.endText(l.end)
	case !l.failed:
		return ls.unknown
	}
	what := l.last.cause.String()
	switch l.last.cause {
	case results.CauseFIN, results.CauseTruncated:
		what = "the peer's FIN"
	case results.CauseRST:
		what = "an RST"
	case results.CauseCloseNotify:
		what = "the peer's TLS close_notify"
	case results.CauseAlert:
		what = "a TLS alert"
	case results.CauseTimeout:
		what = "a timeout"
	case results.CausePipe:
		what = "a write on a connection that the peer had closed"
	case results.CauseMalformed:
		what = "a response that is not HTTP"
	}
	return fmt.Sprintf("ended by %s in the phase %v", what, l.last.phase)
}

// whyUnknown says why the end of a connection on which nothing failed is not known.
func (g *Gatherer) whyUnknown() string {
	switch {
	case g.live && !g.ends:
		return "nothing failed on it; how connections end is known at the end of the run"
	case !g.ends:
		return "nothing failed on it; the record does not say how it ended"
	case !g.doc.Complete:
		return "it was open when the record ended"
	case g.oneIn > 1:
		return fmt.Sprintf("nothing failed on it; one in %d of such ends was recorded, and not this one", g.oneIn)
	}
	return "nothing failed on it; its end was not seen"
}

// poolIdle is the idle timeout of the client's pool; 0: none, or not known.
func poolIdle(set *results.Setup) time.Duration {
	d, err := time.ParseDuration(set.Pool["idle_timeout"])
	if err != nil {
		return 0
	}
	return max(d, 0)
}
