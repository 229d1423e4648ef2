package external

import (
	"strings"

	"github.com/kabench/kabench/internal/wording"
	"github.com/kabench/kabench/results"
)

// words are the outcomes that an error of the client may stand for, as package wording
// understands its text; none if it does not know the text.
type words []wording.Outcome

// reader reads the errors of one client. It belongs to one goroutine.
type reader struct {
	client string // the driver's name, by which wording knows the client
	known  map[string]words
}

// maxTexts is how many different texts are kept. Numbers in them do not count.
const maxTexts = 500

// read returns what an error may stand for. To explain a text takes about a
// millisecond, so that is done once for texts that differ in numbers only.
func (r *reader) read(e *Error) words {
	key := masked(e)
	if w, ok := r.known[key]; ok {
		return w
	}
	w := explained(r.client, e)
	if r.known == nil || len(r.known) >= maxTexts {
		r.known = map[string]words{}
	}
	r.known[key] = w
	return w
}

// explained asks wording. The text is written as a stack trace has it, the cause last.
func explained(client string, e *Error) words {
	var b strings.Builder
	b.WriteString(joined(e.Class, e.Text))
	for _, c := range e.Causes {
		b.WriteString("\nCaused by: " + joined(c.Class, c.Text))
	}
	for _, c := range wording.ExplainAs(client, b.String()) {
		if !c.Vague {
			return c.Outcomes
		}
	}
	return nil
}

// masked is an error's text with 0 for each number. Java names an object by a number in
// hexadecimal after an @, another one in each error.
func masked(e *Error) string {
	var b strings.Builder
	write := func(text string) {
		b.WriteByte('\n')
		number, object := false, false
		for _, r := range text {
			digit := r >= '0' && r <= '9' || object && r >= 'a' && r <= 'f'
			object = r == '@' || object && digit
			if digit && number {
				continue
			}
			if number = digit; digit {
				r = '0'
			}
			b.WriteRune(r)
		}
	}
	write(e.Class)
	write(e.Text)
	for _, c := range e.Causes {
		write(c.Class)
		write(c.Text)
	}
	return b.String()
}

// before returns the first outcome in which no request was put on a connection.
func (w words) before() (wording.Outcome, bool) {
	for _, o := range w {
		if o.Phase <= results.PhaseTLS {
			return o, true
		}
	}
	return wording.Outcome{}, false
}

// onlyBefore reports whether in every outcome no request was put on a connection.
func (w words) onlyBefore() bool {
	for _, o := range w {
		if o.Phase > results.PhaseTLS {
			return false
		}
	}
	return len(w) > 0
}

// onReset reports whether in one of the outcomes a request met a reset before any
// response.
func (w words) onReset() bool {
	for _, o := range w {
		if sent(o.Phase) && sameCause(o.Cause, results.CauseRST) {
			return true
		}
	}
	return false
}

// say reports whether one of the outcomes is what was seen, as far as a wire and a client
// can agree: see sameCause and sent.
func (w words) say(phase results.Phase, cause results.Cause) bool {
	for _, o := range w {
		if (o.Phase == phase || sent(o.Phase) && sent(phase)) && sameCause(o.Cause, cause) {
			return true
		}
	}
	return false
}

// sent reports whether a phase is one between which only the client can tell: a wire
// shows what has left, and not what a write was meant to send.
func sent(p results.Phase) bool {
	return p >= results.PhaseWriteHeaders && p <= results.PhaseBeforeResponse
}

// sameCause reports whether two causes may be one event. A write after the peer's reset
// meets EPIPE, and what follows a FIN within a body is a truncated response.
func sameCause(words, wire results.Cause) bool {
	kind := func(c results.Cause) results.Cause {
		switch c {
		case results.CausePipe:
			return results.CauseRST
		case results.CauseTruncated, results.CauseCloseNotify:
			return results.CauseFIN
		}
		return c
	}
	return kind(words) == kind(wire)
}
