package wording

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/kabench/kabench/results"
)

// MaxText is how many bytes of a text are looked at.
const MaxText = 1 << 20

// Candidate is a wording that a text matches.
type Candidate struct {
	Wording
	Numbers []Number `json:"numbers,omitempty"` // picked up from the text
	Partial bool     `json:"partial,omitempty"` // the text has only a part of the pattern, or only the exception's class
	Vague   bool     `json:"vague,omitempty"`   // the text is so short that others may write it as well
	Score   int      `json:"score"`             // bytes of literal text recognised, the client's own marks included

	at    span
	plain bool // made for an errno, not out of the table
}

// Number is one figure of a text.
type Number struct {
	Of    string `json:"of"`
	Value string `json:"value"`
	Means string `json:"means,omitempty"` // what this very value gives away
}

// reading is a text as it is looked at.
type reading struct {
	text
	cased  string   // the same with its case
	named  []string // the clients that the text names
	faults []fault
	inner  *fault // the innermost of them; nil: none
}

func read(s string) reading {
	l := known()
	exact := unify(l.systems.translate(unify(unwrap(s[:min(len(s), MaxText)]))))
	r := reading{text: newText(lower(exact)), cased: exact}
	r.named = l.named(r.flat)
	r.faults = l.systems.faults(r.text)
	r.inner = innermost(r.faults, r.flat)
	return r
}

// Explain lists the wordings a text may stand for, the likeliest first. What
// carries the text is taken off (unwrap), errnos are brought into one language
// (translate), and the clients that the text names are found by their marks. Of
// what matches, the longest literal text is best, if a client named may have
// written it. An errno that no wording explains is explained for each client
// named, or for any client (Client is ""). Of the text, MaxText bytes are read.
// None: the text is unknown; see Nearest.
func Explain(s string) []Candidate {
	r := read(s)
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

// distinct leaves out what a better one covers, of a client's those that say
// less, and, beside a whole match, those of which the text has a part only. What
// a wrapper says of the connection holds for what it carries.
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
			continue // the proxy's own code says more than an errno's text beside it
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

// coveredBy reports whether a longer match, and no worse one, includes this one's place.
func (c Candidate) coveredBy(o Candidate) bool {
	return o.Score >= c.Score && o.at.from <= c.at.from && c.at.to <= o.at.to && o.at.to-o.at.from > c.at.to-c.at.from
}

// What a match is worth besides the bytes of literal text.
const (
	namedWorth    = 30 // the text names the client
	decisiveWorth = 20 // no client is named, and the words are hardly another's
	decisiveBytes = 24
	vagueBytes    = 12
	wrapperWorth  = 6 // in place of its bytes: the text carried says more
)

// match reports whether the text may be the wording, and makes a candidate of it.
func (r reading) match(w Wording) (Candidate, bool) {
	if w.Silent || w.code != "" {
		return Candidate{}, false
	}
	kin, client := known().kinship(w.Client, r.named)
	m, found := r.locate(w)
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

// score is how many bytes of literal text count for a wording, before its client
// is looked at.
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

// location is where a text has a wording, and how much of it.
type location struct {
	at       span
	bytes    int  // of literal text recognised
	whole    bool // the whole pattern, and not only a part of it or the exception's class
	classed  bool // the text has the exception's class
	decisive bool // the pattern is so long that hardly another client writes it
}

// locate finds the wording's pattern in the text; else the text in the pattern;
// else the exception's class, if that alone tells.
func (r reading) locate(w Wording) (location, bool) {
	at, whole := r.find(w.parts, w.alone)
	class, classed := w.class.in(r.flat)
	m := location{at: at, bytes: literals(w.parts), whole: whole, classed: classed}
	m.decisive = !w.bare && !w.alone && m.bytes >= decisiveBytes
	switch {
	case whole:
	case !w.wrapper && w.hasPart(r.flat):
		m.at, m.bytes = span{0, len(r.flat), nil}, len(strings.TrimSpace(r.flat))-1
	case classed && w.classAlone:
		m.at, m.bytes = class, len(w.class.simple)
	default:
		return location{}, false
	}
	return m, true
}

// weight is how many bytes the innermost fault has.
func (r reading) weight() int {
	if r.inner == nil {
		return 0
	}
	return r.inner.weight
}

// narrow takes the cause from the innermost fault, where the text has one.
func (r reading) narrow(c Candidate) (Candidate, bool) {
	if r.inner == nil || c.at.from > r.inner.at.to+traceReach || r.inner.at.from > c.at.to+traceReach {
		return c, true
	}
	outcomes, fits := r.inner.narrow(c.Outcomes)
	if c.bare && !slices.ContainsFunc(outcomes, func(o Outcome) bool { return slices.Contains(r.inner.ends(), o) }) {
		outcomes = r.inner.ends()
	}
	if !fits && c.Partial && r.inner.weight > 3 && c.classAlone {
		return c, false // the class is right, and what it carries is another thing
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

// hasPart reports whether the text, as a whole, is words out of the pattern.
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
	// [c457f217-2, L:/127.0.0.1:46168 ! R:/127.0.0.1:18080]: the connection, the
	// ordinal of the request on it, its ends, and whether it is open.
	channel = regexp.MustCompile(`\[(?:id: ?)?(?:0x)?[0-9a-f]{8}-([0-9]{1,9}), l:[^ ]{0,80}:([0-9]{1,5}) ([!-]) r:[^ \]]{0,80}:([0-9]{1,5})\]`)
	address = regexp.MustCompile(`(?:[0-9]{1,3}\.){3}[0-9]{1,3}:([0-9]{1,5})(?:[^0-9.]|$)|://[a-z0-9.-]{1,80}:([0-9]{1,5})|\[[0-9a-f:]{2,40}\]:([0-9]{1,5})`)
)

// reuseSigns are what other lines of a client's log say of the connection.
var reuseSigns = []struct {
	client string
	form   *regexp.Regexp
}{
	{"varnish", regexp.MustCompile(`backendopen .{0,200} (reuse|connect)\b`)},
	{"libcurl", regexp.MustCompile(`\* (re-using existing|connected to)`)},
	{"hyper", regexp.MustCompile(`(reuse idle connection for|starting new connection)`)},
}

// pickUp adds the numbers of the text, and what they say of the connection.
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

// setReused takes what a text says of the connection: a fresh one has not been
// idle.
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
