package wording

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
)

// MaxText is how many bytes of a text are looked at.
const MaxText = 1 << 20

// Candidate is a wording that a text matches.
type Candidate struct {
	Wording
	Numbers []Number `json:"numbers,omitempty"` // picked up from the text
	Partial bool     `json:"partial,omitempty"` // the text has only a part of the pattern, or only the exception's class
	Score   int      `json:"score"`             // bytes of literal text recognised, the client's own marks included

	at span
}

// Number is one figure of a text.
type Number struct {
	Of    string `json:"of"`
	Value string `json:"value"`
	Means string `json:"means,omitempty"` // what this very value gives away
}

// Explain lists the wordings a text may stand for, the most specific first: the
// one with the longest literal text, then the one whose client left other marks,
// such as the packages in a stack trace. A shorter wording inside a longer
// one's words is left out. Of the text, MaxText bytes are read. None: the text
// is unknown; see Nearest.
func Explain(s string) []Candidate {
	exact := unify(s[:min(len(s), MaxText)])
	t, cased := newText(lower(exact)), newText(exact)
	var found []Candidate
	for _, w := range known().wordings {
		if c, ok := w.match(t, cased); ok {
			found = append(found, c)
		}
	}
	slices.SortStableFunc(found, func(a, b Candidate) int { return cmp.Compare(b.Score, a.Score) })
	found = slices.DeleteFunc(found, func(c Candidate) bool {
		return slices.ContainsFunc(found, c.coveredBy)
	})
	for i := range found {
		found[i].pickUp(t)
	}
	return found
}

// coveredBy reports whether a longer match includes this one's place.
func (c Candidate) coveredBy(o Candidate) bool {
	return o.at.from <= c.at.from && c.at.to <= o.at.to && o.at.to-o.at.from > c.at.to-c.at.from
}

func (w Wording) match(t, cased text) (Candidate, bool) {
	if w.Silent {
		return Candidate{}, false
	}
	simple := w.class
	if !strings.HasPrefix(simple, "Errno::") { // what follows is a word of every client
		simple = simple[strings.LastIndexAny(simple, ".$:")+1:]
	}
	simple = normalise(simple)
	in := t
	if w.exact {
		in = cased
	}
	at, whole := in.find(w.parts, w.alone)
	c := Candidate{Wording: w, at: at, Score: literals(w.parts)}
	switch {
	case whole:
	case w.hasPart(in.flat):
		c.Partial, c.at, c.Score = true, span{0, len(t.flat), nil}, len(t.flat)-1
	case w.classAlone:
		class, ok := t.find([]part{{literal: simple}}, false)
		if !ok {
			return Candidate{}, false
		}
		c.Partial, c.at, c.Score = true, class, len(simple)
	default:
		return Candidate{}, false
	}
	if whole && simple != "" && strings.Contains(t.flat, simple) {
		c.Score += len(simple)
	}
	bonus := 0 // the client's longest mark
	for _, mark := range w.marks {
		if strings.Contains(t.flat, mark) {
			bonus = max(bonus, len(mark))
		}
	}
	c.Score += bonus
	return c, true
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
			}
		}
		c.Numbers = append(c.Numbers, n)
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
		c.Reused, request.Means = "no", "a fresh connection: this is not the keep-alive race, the server or what is before it closed with the request in flight"
		c.Incidents = slices.DeleteFunc(slices.Clone(c.Incidents), func(name string) bool { return strings.HasPrefix(name, "idle-race") })
	}
	state := "open when the line was written"
	if m[3] == "!" {
		state = "closed when the line was written"
	}
	c.Numbers = append(c.Numbers, request, Number{Of: "local port", Value: m[2]}, Number{Of: "port", Value: m[4], Means: state})
}

// Nearest lists the n wordings most like an unknown text, by the share of their
// letter triples found in it; those that have nothing in common with it are
// left out.
func Nearest(s string, n int) []Wording {
	have := triples(newText(normalise(s[:min(len(s), MaxText)])).flat)
	type near struct {
		Wording
		share float64
	}
	var list []near
	seen := map[string]bool{}
	for _, w := range known().wordings {
		want := triples(normalise(display(w.Pattern))) // not the class: every Java text has java.io and Exception
		common := 0
		for triple := range want {
			if have[triple] {
				common++
			}
		}
		if w.Silent || common < 4 || seen[w.Text] {
			continue
		}
		seen[w.Text] = true
		// A text is longer than the pattern, or a piece of it; of two patterns that
		// cover it alike, the one with less besides is nearer.
		share := float64(common)/float64(min(len(want), max(len(have), 8))) + float64(common)/float64(len(want)+len(have))
		list = append(list, near{w, share * min(1, float64(common)/12)})
	}
	slices.SortStableFunc(list, func(a, b near) int { return cmp.Compare(b.share, a.share) })
	var nearest []Wording
	for _, l := range list[:min(n, len(list))] {
		if l.share >= 0.3 {
			nearest = append(nearest, l.Wording)
		}
	}
	return nearest
}

func triples(s string) map[string]bool {
	set := map[string]bool{}
	for i := 3; i <= len(s); i++ {
		set[s[i-3:i]] = true
	}
	return set
}
