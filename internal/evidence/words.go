package evidence

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kabench/kabench/results"
)

// Statement is one thing that is known about a server, in words.
type Statement struct {
	About string `json:"about"` // idle, fresh, half, used_half, lifetime, limit, burst, forgets, notify, late, hint, backends, round_trip, response, status
	Basis Basis  `json:"basis"`
	Text  string `json:"text"` // a clause without a full stop; the server is its subject unless it names another
	Why   string `json:"why,omitempty"`
}

// Sentence says in one clause how the server treats idle connections, as in "closes
// idle connections after 5.00 s (4.998 to 5.003), by FIN, without saying so; its hint of
// 15 s is wrong". The server is its subject.
func (s Server) Sentence() string {
	text := s.keepingWords()
	if hint := s.hintClause(); hint != "" {
		text += "; " + hint
	}
	return text
}

// keepingWords says what the server does with connections after a response.
func (s Server) keepingWords() string {
	switch s.Keeping {
	case ClosesAtOnce:
		return "closes connections without a response, by " + kindWords(s.AtOnce)
	case ClosesEach:
		if s.Limit.Announced {
			return "closes the connection after each response, and says so"
		}
		return "closes the connection after each response, without saying so"
	case KeepsLonger:
		if s.livesUntil() {
			return "keeps idle connections until " + s.Lifetime.words() + " after they were opened"
		}
		if met := s.metCloses(); s.Forgets == nil && 2*met >= s.Connections {
			return fmt.Sprintf("closed %d of %d connections when a request had just come, and none while it was idle, so its idle timeout was not seen", met, s.Connections)
		}
		if s.Forgets == nil {
			return "keeps idle connections longer than " + seconds(s.Idle.LongerThan)
		}
		return s.forgetsWords()
	case KeepsUntilIdle:
		text := "closes idle connections after " + s.Idle.words() + ", by " + kindWords(s.Idle.How)
		if middle := s.Idle.By.Middle; middle > 0 {
			text += fmt.Sprintf(" (%d of %d from a machine in the path)", middle, s.Idle.Closes)
		}
		if s.Idle.Status408 > 0 {
			text += " after a 408 response"
		}
		if s.Hints.Verdict == NoHint || s.Hints.Verdict == HintWrong {
			text += ", without saying so"
		}
		return text
	}
	if s.Forgets != nil {
		return s.forgetsWords()
	}
	return "treats idle connections in a way that was not seen"
}

// metCloses counts the requests on used connections that met a close of the server.
func (s Server) metCloses() (n int) {
	for _, l := range s.Late {
		n += l.FIN + l.RST
	}
	return n
}

// words prints a timer: its median with the interval, or what the server spreads.
func (t Timer) words() string {
	switch {
	case !t.Known() && t.LongerThan == 0:
		return "a time that was not seen"
	case !t.Known():
		return "more than " + seconds(t.LongerThan)
	case t.Closes == 1:
		return t.withInterval() + " (one close)"
	case t.Spread():
		half := seconds(t.Median)
		if half == seconds(t.Min) || half == seconds(t.Max) {
			return fmt.Sprintf("%s to %s (spread; half of them by %s)", milliseconds(t.Min), milliseconds(t.Max), milliseconds(t.Median))
		}
		return fmt.Sprintf("%s (spread; half of them by %s)", fromTo(t.Min, t.Max), half)
	}
	return t.withInterval()
}

// hintClause says whether the Keep-Alive hint is true.
func (s Server) hintClause() string {
	h := s.Hints
	hint := "its hint of " + seconds(h.Timeout)
	if h.Timeout%time.Second == 0 {
		hint = fmt.Sprintf("its hint of %d s", h.Timeout/time.Second)
	}
	text := ""
	switch h.Verdict {
	case NoHint:
		return ""
	case HintTrue:
		text = hint + " is true"
	case HintLate:
		text = fmt.Sprintf("that is %s later than %s", seconds(h.Off), hint)
	case HintWrong:
		text = hint + " is wrong"
	case HintUnchecked:
		text = hint + " was not checked"
	}
	if h.Asked.KeepAlive > 0 && h.Unasked.KeepAlive == 0 && h.Unasked.Responses > 0 {
		joint := ", and"
		if h.Verdict == HintLate { // the sentence is about the close
			joint = ", which"
		}
		text += joint + " is given only to requests with Connection: keep-alive"
	}
	return text
}

func (s Server) forgetsWords() string {
	f := s.Forgets
	what := "gets no response at all, not even an ACK"
	if f.How == RST {
		what = "meets a RST"
	}
	when := fmt.Sprintf("at most %s", seconds(f.Until))
	if f.After > 0 && f.After < f.Until {
		when = fmt.Sprintf("%s to %s", seconds(f.After), seconds(f.Until))
	}
	return fmt.Sprintf("does not close idle connections, but a machine in the path forgets them after %s: the next request %s", when, what)
}

// kindWords names the kinds of close, the most frequent first, with counts if there are
// several.
func kindWords(k Kinds) string {
	type kind struct {
		name string
		n    int
	}
	all := []kind{{"FIN", k.FIN}, {"RST", k.RST}, {"close_notify", k.Notify}, {"silence", k.Silent}}
	all = slices.DeleteFunc(all, func(k kind) bool { return k.n == 0 })
	slices.SortStableFunc(all, func(a, b kind) int { return b.n - a.n })
	if len(all) == 1 {
		return all[0].name
	}
	texts := make([]string, len(all))
	for i, k := range all {
		texts[i] = fmt.Sprintf("%s (%d)", k.name, k.n)
	}
	return strings.Join(texts, " or ")
}

// seconds prints d with three significant digits: 5.00 s, 12.3 ms, 40.0 µs.
func seconds(d time.Duration) string { return results.FormatSeconds(d.Seconds()) }

// inUnit returns d in the unit that people use for such a time.
func inUnit(d time.Duration) (float64, string) {
	switch abs := d.Abs(); {
	case abs < 999500*time.Nanosecond:
		return float64(d) / float64(time.Microsecond), "µs"
	case abs < 999500*time.Microsecond:
		return float64(d) / float64(time.Millisecond), "ms"
	}
	return d.Seconds(), "s"
}

// withInterval prints a median and its interval: 5.00 s (4.998 to 5.003). The interval's
// ends are rounded outwards, to milliseconds or better; its median has the digits that
// put it between them.
func (t Timer) withInterval() string {
	v, unit := inUnit(t.Median)
	decimals, finest := 2, 3
	if unit != "s" {
		finest = 1
	}
	switch {
	case v >= 99.95:
		decimals = 0
	case v >= 9.995:
		decimals = 1
	}
	perUnit := t.Median.Seconds() / v
	low, high := t.Low.Seconds()/perUnit, t.High.Seconds()/perUnit
	if t.Closes < 2 || t.Low == t.High || v == 0 {
		return strconv.FormatFloat(v, 'f', decimals, 64) + " " + unit
	}
	digits := min(max(int(math.Ceil(-math.Log10(high-low))), 0), finest)
	grid := math.Pow10(digits)
	low, high = math.Floor(low*grid)/grid, math.Ceil(high*grid)/grid
	return fmt.Sprintf("%s %s (%s to %s)", between(v, low, high, decimals), unit,
		strconv.FormatFloat(low, 'f', digits, 64), strconv.FormatFloat(high, 'f', digits, 64))
}

// between prints v with as many decimals as put it between low and high.
func between(v, low, high float64, decimals int) string {
	for ; ; decimals++ {
		grid := math.Pow10(decimals)
		if rounded := math.Round(v*grid) / grid; low <= rounded && rounded <= high || decimals == 6 {
			return strconv.FormatFloat(v, 'f', decimals, 64)
		}
	}
}

// fromTo prints a range with as many digits as its ends differ in, or one time if they
// look alike to the millisecond.
func fromTo(a, b time.Duration) string {
	for _, digits := range []func(time.Duration) string{seconds, milliseconds} {
		if digits(a) != digits(b) {
			return digits(a) + " to " + digits(b)
		}
	}
	return seconds(a)
}

// milliseconds prints a time above a second to the millisecond.
func milliseconds(d time.Duration) string {
	if d < time.Second {
		return seconds(d)
	}
	return fmt.Sprintf("%.3f s", d.Seconds())
}
