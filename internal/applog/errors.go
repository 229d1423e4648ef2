package applog

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/kabench/kabench/internal/evidence"
)

// Errors is the format of a log in which only the application's errors mention
// connections.
const Errors = "application errors"

// errorsOnly collects the errors of a log, one of each record. They count only if no
// format shows connections: there the same failures have more to say.
type errorsOnly struct {
	lives   *lives
	counts  int
	counted bool          // the newest record has been counted
	at      time.Duration // of the newest record
	timed   bool
	kept    []*life
}

// phrases are parts of errors that report the end of a connection. Each of them is
// from one client or one system.
var phrases = []string{
	"prematurely closed", "failed to respond", "unexpected end of stream", "Connection reset", "ECONNRESET", "socket hang up", "other side closed",
	"Broken pipe", "EPIPE", "Premature end of", "Connection closed by peer", "Connection aborted", "server closed idle connection", "RemoteDisconnected",
}

// cutPhrases are those of a response that was cut off.
var cutPhrases = []string{"DURING response", "Premature end of"}

// urlIn matches the beginning of a URL, with the server.
var urlIn = regexp.MustCompile(`https?://[^\s"'<>,;)]+`)

// line notes the error of a record. It never claims a line: a format may know it.
func (e *errorsOnly) line(l *line) {
	text := strings.TrimSpace(l.text)
	if text == "" {
		return
	}
	switch {
	case l.at != evidence.NotSeen:
		e.counted, e.timed, e.at = false, true, l.at
	case !e.timed && l.text[0] != ' ' && l.text[0] != '\t' && !strings.HasPrefix(text, "Caused by"):
		e.counted = false // without times, each line that is not indented begins a record
	}
	if e.counted || strings.HasPrefix(text, "at ") || !hasOne(text, phrases) {
		return
	}
	e.counted = true
	e.counts++
	if len(e.kept) >= maxErrors {
		return
	}
	e.kept = append(e.kept, e.one(l, text))
}

// maxErrors is how many errors are kept.
const maxErrors = 10_000

func hasOne(text string, list []string) bool {
	for _, p := range list {
		if strings.Contains(text, p) {
			return true
		}
	}
	return false
}

// one makes the connection of an error. The line is written at its end.
func (e *errorsOnly) one(l *line, text string) *life {
	moved := *l
	moved.at = evidence.NotSeen
	if e.timed {
		moved.at = e.at
	}
	l = &moved
	c := newLife(fmt.Sprintf("error %d", e.counts), Errors, l)
	c.known, c.Alone, c.Vague = false, true, true
	if u := urlIn.FindString(text); u != "" {
		host := hostOf(u)
		if c.Server = address(host); !c.Server.IsValid() {
			c.Host = host
		}
	}
	c.ask(l, "")
	c.request.Begun, c.request.Sent = evidence.NotSeen, evidence.NotSeen
	if hasOne(text, cutPhrases) {
		c.respond(l, 0)
	}
	by, how, basis, why := causeOf(text)
	c.closed(l, by, how, basis, why)
	return c
}

// end passes on the errors if they are all that the log has.
func (e *errorsOnly) end(r *reader) {
	if r.sum.Known > 0 || len(e.kept) == 0 {
		return
	}
	r.sum.Known, r.sum.Formats[Errors] = int64(e.counts), e.counts
	for _, c := range e.kept {
		e.lives.end(c)
	}
}
