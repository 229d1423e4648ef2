package wording

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/kabench/kabench/results"
)

// MaxText is how many bytes of a text are read.
const MaxText = 1 << 20

// Candidate is a wording that a text matches.
type Candidate struct {
	Wording
	Numbers []Number `json:"numbers,omitempty"` // numbers in the text
	Partial bool     `json:"partial,omitempty"` // the text has only a part of the pattern, or only the exception's class
	Vague   bool     `json:"vague,omitempty"`   // the text is so short that other clients may write it as well
	Score   int      `json:"score"`             // recognised bytes of literal text, including the client's marks

	at    span
	plain bool // made from an errno, not from the table
}

// Number is one figure of a text.
type Number struct {
	Of    string `json:"of"`
	Value string `json:"value"`
	Means string `json:"means,omitempty"` // what this value shows
}

// reading is a text, prepared for the search.
type reading struct {
	text
	cased  string   // the same text with its upper-case letters
	named  []string // the clients that the text names
	faults []fault
	inner  *fault // the innermost of them; nil: none
}

func read(s, writer string) reading {
	l := known()
	exact := unify(l.systems.translate(unify(unwrap(s[:min(len(s), MaxText)]))))
	r := reading{text: newText(lower(exact)), cased: exact}
	r.named = l.named(r.flat)
	if _, ok := l.clients[writer]; ok {
		r.named = []string{writer}
	}
	r.faults = l.systems.faults(r.text)
	r.inner = innermost(r.faults, r.flat)
	return r
}

// Explain lists the wordings that a text may stand for, the likeliest first; none if
// the text is unknown (see Nearest). It reads up to MaxText bytes.
//
// It removes envelopes (unwrap), translates errnos into one language (translate), and
// finds the clients that the text names by their marks. The longest match of literal
// text is best, if a named client may have written it. If no wording explains an
// errno, the errno is explained for each named client, or for any client (then Client
// is "").
func Explain(s string) []Candidate { return ExplainAs("", s) }

// ExplainAs is Explain for a text that a known client wrote: a family, or a pool preset's
// name. If the client is unknown, the text's marks name it, as for Explain.
func ExplainAs(client, s string) []Candidate {
	r := read(s, Family(client))
	found := r.codes()
	for _, w := range known().wordings {
		if c, ok := r.match(w); ok {
			found = append(found, c)
		}
	}
	found = append(found, r.plain()...)
	slices.SortStableFunc(found, func(a, b Candidate) int { return cmp.Compare(b.Score, a.Score) })
	found = distinct(found)
	for i := range found {
		found[i].pickUp(r.text)
	}
	return found
}

// distinct removes candidates that a better one covers: those that say less about the
// same client, and partial matches if there is a whole one. What a wrapper says about
// the connection is kept for the text that it carries.
func distinct(found []Candidate) []Candidate {
	found = slices.DeleteFunc(slices.Clone(found), func(c Candidate) bool {
		return c.Partial && slices.ContainsFunc(found, func(o Candidate) bool {
			return !o.Partial && !o.plain && (o.Client == c.Client || o.Score > c.Score)
		})
	})
	var kept []Candidate
	for _, c := range found {
		better := slices.IndexFunc(kept, func(k Candidate) bool {
			return k.Client == c.Client && (k.Pattern == c.Pattern && k.code == c.code || c.wrapper || c.plain)
		})
		if c.plain && better < 0 && slices.ContainsFunc(found, func(o Candidate) bool { return o.Client == c.Client && o.code != "" }) {
			continue // the proxy's own code says more than the errno beside it
		}
		if better >= 0 && c.wrapper && kept[better].Reused == "unknown" {
			kept[better].Reused = c.Reused
		}
		if better < 0 && !slices.ContainsFunc(found, c.coveredBy) {
			kept = append(kept, c)
		}
	}
	return kept
}

// coveredBy reports whether o is a longer match that includes c's place and does not
// score less.
func (c Candidate) coveredBy(o Candidate) bool {
	return o.Score >= c.Score && o.at.from <= c.at.from && c.at.to <= o.at.to && o.at.to-o.at.from > c.at.to-c.at.from
}

// What counts for a match besides its bytes of literal text.
const (
	namedWorth    = 30 // the text names the client
	decisiveWorth = 20 // no client is named, and hardly another client writes these words
	decisiveBytes = 24
	vagueBytes    = 12
	wrapperWorth  = 6 // instead of its bytes: the text inside says more
)

// match reports whether the text may be the wording, and returns it as a candidate.
func (r reading) match(w Wording) (Candidate, bool) {
	if w.Silent || w.code != "" {
		return Candidate{}, false
	}
	kin, client := known().kinship(w.Client, r.named)
	m, found := r.locate(w, kin)
	if !found || kin == rival || kin == stranger && !(m.whole && m.decisive) {
		return Candidate{}, false
	}
	c := Candidate{Wording: w, at: m.at, Partial: !m.whole, Score: r.score(w, m, kin)}
	c.Vague = len(r.named) == 0 && !m.classed && (c.Partial || w.alone) && c.Score < vagueBytes
	switch {
	case kin == own:
		c.Score += namedWorth
		c.Client, c.ClientName, c.Setting = client, known().clients[client].Name, known().clients[client].setting(w.advice)
	case kin == possible && m.decisive && m.whole && !w.wrapper:
		c.Score += decisiveWorth
	}
	return r.narrow(c)
}

// score is how many bytes count for a wording before its client is considered.
func (r reading) score(w Wording, m location, kin kin) int {
	switch {
	case w.wrapper:
		return wrapperWorth
	case m.whole && m.classed:
		return m.bytes + len(w.class.simple)
	case m.whole && w.bare && kin == possible:
		return min(m.bytes, r.weight()) - 2 // behind a candidate for any client
	}
	return m.bytes
}

// location is the place of a wording in a text, and how much of it is there.
type location struct {
	at       span
	bytes    int  // of literal text recognised
	whole    bool // the whole pattern, and not only a part of it or the exception's class
	classed  bool // the text has the exception's class
	decisive bool // the pattern is so long that hardly another client writes it
}

// locate looks for the wording's pattern in the text; else for the text in the
// pattern; else for the exception's class, if the class alone decides.
func (r reading) locate(w Wording, k kin) (location, bool) {
	at, whole := r.find(w.parts, w.alone)
	class, classed := w.class.in(r.flat)
	m := location{at: at, bytes: literals(w.parts), whole: whole, classed: classed}
	m.decisive = !w.bare && !w.alone && m.bytes >= decisiveBytes
	if whole && k == possible && w.class.simple != "" && !classed && !m.decisive && len(r.named) == 0 {
		// A few words of an exception inside a sentence may be anybody's.
		m.at, m.whole = r.find(w.parts, true)
	}
	switch {
	case m.whole:
	case !w.wrapper && w.hasPart(r.flat):
		m.at, m.bytes = span{0, len(r.flat), nil}, len(strings.TrimSpace(r.flat))-1
	case classed && w.classAlone:
		m.at, m.bytes = class, len(w.class.simple)
	default:
		return location{}, false
	}
	return m, true
}

// weight is how many bytes of text show the innermost fault.
func (r reading) weight() int {
	if r.inner == nil {
		return 0
	}
	return r.inner.weight
}

// narrow takes the cause from the innermost fault, if the text has one near the match.
func (r reading) narrow(c Candidate) (Candidate, bool) {
	if r.inner == nil || c.at.from > r.inner.at.to+traceReach || r.inner.at.from > c.at.to+traceReach {
		return c, true
	}
	outcomes, fits := r.inner.narrow(c.Outcomes)
	if c.bare && !slices.ContainsFunc(outcomes, func(o Outcome) bool { return slices.Contains(r.inner.ends(), o) }) {
		outcomes = r.inner.ends()
	}
	if !fits && c.Partial && r.inner.weight > 3 && c.classAlone {
		return c, false // the class matches, but the exception carries another error
	}
	c.Outcomes = outcomes
	return c, true
}

// plain explains the innermost errno for each client that the text names, or for
// any client.
func (r reading) plain() []Candidate {
	if r.inner == nil {
		return nil
	}
	f := *r.inner
	base := Candidate{at: f.at, Score: f.weight, plain: true, Wording: Wording{
		Text: f.Text, Pattern: f.Text, Example: f.Text, Outcomes: f.ends(), Reused: "unknown", Proves: f.meaning.Proves,
		DoesNotProve: f.meaning.DoesNotProve, Check: f.meaning.Check, Incidents: f.meaning.Incidents,
		Source: "code " + f.Name + ", an error of the operating system",
	}}
	if !slices.ContainsFunc(base.Outcomes, func(o Outcome) bool { return o.Phase != results.PhaseConnect }) {
		base.Reused = "no"
	}
	var list []Candidate
	for _, name := range r.named {
		c := base
		c.Client, c.ClientName = name, known().clients[name].Name
		c.Setting = known().clients[name].setting(f.meaning.Setting)
		c.Score += namedWorth
		list = append(list, c)
	}
	if len(list) == 0 {
		base.ClientName, base.Setting = "Any client", client{}.setting(f.meaning.Setting)
		list = append(list, base)
	}
	return list
}

// hasPart reports whether the whole text is a part of the pattern.
func (w Wording) hasPart(flat string) bool {
	flat = strings.TrimSpace(flat)
	if len(flat) < 6 || len(flat) > holeReach {
		return false
	}
	for _, p := range w.parts {
		in := text{p.literal, p.literal}
		if _, ok := in.find([]part{{literal: flat}}, false); ok {
			return true
		}
	}
	return false
}

var (
	// [c457f217-2, L:/127.0.0.1:46168 ! R:/127.0.0.1:18080]: the connection, the number
	// of the request on it, its ends, and whether it is open.
	channel = regexp.MustCompile(`\[(?:id: ?)?(?:0x)?[0-9a-f]{8}-([0-9]{1,9}), l:[^ ]{0,80}:([0-9]{1,5}) ([!-]) r:[^ \]]{0,80}:([0-9]{1,5})\]`)
	address = regexp.MustCompile(`(?:[0-9]{1,3}\.){3}[0-9]{1,3}:([0-9]{1,5})(?:[^0-9.]|$)|://[a-z0-9.-]{1,80}:([0-9]{1,5})|\[[0-9a-f:]{2,40}\]:([0-9]{1,5})`)
)

// reuseSigns are other lines of a client's log that say whether the connection was
// reused.
var reuseSigns = []struct {
	client string
	form   *regexp.Regexp
}{
	{"varnish", regexp.MustCompile(`backendopen .{0,200} (reuse|connect)\b`)},
	{"libcurl", regexp.MustCompile(`\* (re-using existing|connected to)`)},
	{"hyper", regexp.MustCompile(`(reuse idle connection for|starting new connection)`)},
}

// pickUp adds the numbers in the text, and what they say about the connection.
func (c *Candidate) pickUp(t text) {
	for _, p := range c.parts {
		v, ok := c.at.numbers[p.hole]
		if !ok {
			continue
		}
		n := Number{Of: p.hole, Value: v}
		for _, known := range c.values {
			if known.Of == p.hole && known.Is == v {
				n.Means = known.Means
				c.setReused(known.Reused)
			}
		}
		c.Numbers = append(c.Numbers, n)
	}
	for _, sign := range reuseSigns {
		if m := sign.form.FindStringSubmatch(t.flat[max(0, c.at.from-traceReach):min(len(t.flat), c.at.to+traceReach)]); m != nil && c.Client == sign.client && c.Reused == "unknown" {
			reused := "no"
			if strings.HasPrefix(m[1], "re") {
				reused = "yes"
			}
			c.setReused(reused)
		}
	}
	near := t.flat[max(0, c.at.from-traceReach):min(len(t.flat), c.at.to+traceReach)]
	if m := channel.FindStringSubmatch(near); m != nil && c.Client == "reactor-netty" {
		c.readChannel(m)
		return
	}
	if slices.ContainsFunc(c.Numbers, func(n Number) bool { return n.Of == "port" }) {
		return
	}
	seen := map[string]bool{}
	for _, m := range address.FindAllStringSubmatch(near, 4) {
		port := first(m[1:]...)
		if !seen[port] {
			seen[port] = true
			c.Numbers = append(c.Numbers, Number{Of: "port", Value: port})
		}
	}
}

// readChannel reads the prefix that Reactor Netty gives each line of a channel.
func (c *Candidate) readChannel(m []string) {
	request := Number{Of: "request on its connection", Value: m[1], Means: "the connection had served a request before: the keep-alive race is possible"}
	c.Reused = "yes"
	if strings.TrimLeft(m[1], "0") == "1" {
		request.Means = "a fresh connection: this is not the keep-alive race, the server or what is before it closed with the request in flight"
		c.setReused("no")
	}
	state := "open when the line was written"
	if m[3] == "!" {
		state = "closed when the line was written"
	}
	c.Numbers = append(c.Numbers, request, Number{Of: "local port", Value: m[2]}, Number{Of: "port", Value: m[4], Means: state})
}

// setReused sets whether the connection was reused. A fresh connection cannot have
// been idle.
func (c *Candidate) setReused(reused string) {
	if reused == "" {
		return
	}
	c.Reused = reused
	if reused == "no" {
		c.Incidents = slices.DeleteFunc(slices.Clone(c.Incidents), func(name string) bool { return strings.HasPrefix(name, "idle-race") })
		c.Setting = ""
	}
}
