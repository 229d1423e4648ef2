package wording

import (
	"cmp"
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/kabench/kabench/results"
)

//go:embed faults.yaml
var embeddedFaults []byte

// errno is an error of the operating system, with its text on every system.
type errno struct {
	Name     string              `yaml:"name"`
	Text     string              `yaml:"text"`    // glibc's
	Numbers  []int               `yaml:"numbers"` // the first is Linux's; macOS, BSD, Windows
	Texts    []string            `yaml:"texts"`   // musl, macOS, Windows; other languages
	Meaning  string              `yaml:"meaning"`
	Outcomes map[string][]string `yaml:"outcomes"` // by operation; any is for the others

	outcomes map[string][]Outcome
	meaning  meaning
}

// fault is an errno in a text.
type fault struct {
	*errno
	at        span
	operation string // connect, tls, write, read, body; "" is unknown
	weight    int    // bytes of text that show it
}

// systems is faults.yaml, compiled.
type systems struct {
	foreign map[string]*errno // other systems' texts, in lower case
	known   map[string]*errno // glibc's texts and the names, in lower case
	numbers map[string]string
}

func compileFaults(errnos []*errno, meanings map[string]meaning) (systems, error) {
	s := systems{foreign: map[string]*errno{}, known: map[string]*errno{}, numbers: map[string]string{}}
	for _, e := range errnos {
		m, ok := meanings[e.Meaning]
		if !ok || e.Text == "" || len(e.Numbers) == 0 || len(e.Outcomes["any"]) == 0 {
			return s, fmt.Errorf("%s: text, numbers, a known meaning and outcomes for any operation are needed", e.Name)
		}
		e.meaning, e.outcomes = m, map[string][]Outcome{}
		for operation, list := range e.Outcomes {
			parsed, err := parseOutcomes(list)
			if err != nil {
				return s, fmt.Errorf("%s: %w", e.Name, err)
			}
			e.outcomes[operation] = parsed
		}
		for _, text := range e.Texts {
			s.foreign[normalise(text)] = e
		}
		for _, n := range e.Numbers[1:] {
			s.numbers[fmt.Sprint(n)] = fmt.Sprint(e.Numbers[0])
		}
		for _, text := range []string{normalise(e.Text), lower(e.Name), "wsa" + lower(e.Name)} {
			s.known[text] = e
		}
	}
	return s, nil
}

// found is a place in a text that has one of a table's texts.
type found struct {
	from, to int
	*errno
}

// occurrences lists the places where a text in lower case has the texts of a table,
// from left to right. Of two that overlap, the longer one counts.
func occurrences(in string, table map[string]*errno) []found {
	var all []found
	for text, e := range table {
		for from := 0; ; {
			at := strings.Index(in[from:], text)
			if at < 0 {
				break
			}
			at += from
			from = at + len(text)
			all = append(all, found{at, from, e})
		}
	}
	slices.SortFunc(all, func(a, b found) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(b.to, a.to)) })
	end := 0
	return slices.DeleteFunc(all, func(f found) bool {
		if f.from < end {
			return true
		}
		end = f.to
		return false
	})
}

// numbered is an errno's number as programs write it: [Errno 54], (os error 54),
// error(-54), SocketException (10054), (61: ...
var numbered = regexp.MustCompile(`(?i)(errno ?[:=]? ?-?|winerror |os error |error\(-?|error: |exception \(|code[=: ]{1,2}|\()(1?[0-9]{2,4})([\]):,} ]|$)`)

// ownWords names the clients that write "operation timed out" for their own time
// limit. musl and macOS write it for ETIMEDOUT.
var ownWords = regexp.MustCompile(`(?i)curl|reqwest|error sending request`)

// translate replaces the errnos of every system and language with glibc's.
func (s systems) translate(text string) string {
	own := ownWords.MatchString(text)
	low, end := lower(text), 0
	var b strings.Builder
	b.Grow(len(text))
	for _, place := range occurrences(low, s.foreign) {
		if own && low[place.from:place.to] == "operation timed out" {
			continue
		}
		b.WriteString(text[end:place.from])
		b.WriteString(place.Text)
		end = place.to
		if strings.HasPrefix(text[end:], "。") {
			end += len("。")
		}
	}
	b.WriteString(text[end:])
	text = b.String()
	return numbered.ReplaceAllStringFunc(text, func(found string) string {
		m := numbered.FindStringSubmatch(found)
		linux, ok := s.numbers[m[2]]
		if !ok || strings.HasPrefix(m[1], "(") && m[3] != ":" && m[3] != "," {
			return found
		}
		return m[1] + linux + m[3]
	})
}

// operations are words near an errno that say what the program was doing. The nearest
// one counts.
var operations = []struct {
	name  string
	words *regexp.Regexp
}{
	{"tls", regexp.MustCompile(`ssl handshak|tls handshak|in ssl handshake|do_handshake|ssl_connect|ssl connect|handshaking`)},
	{"connect", regexp.MustCompile(`trying to connect|connect\(|connectex|connect: |connect0|connect e[a-z]{4}|dial tcp|connecting to|connectexception|connect to |net\.connect|connecthelper|failed to connect|connecterror|newconnectionerror|tcp connect|new connection|cannot connect|open tcp connection|attempt to connect|make connection|finishconnect|pollconnect|bindexception|bind:|\(connect\)`)},
	{"write", regexp.MustCompile(`\bwrite|writev|send\(|sendto|sendmsg|sendfile|send failure|unable to write|outputstream|sendaddress|write0|sending request to|pass request body`)},
	{"body", regexp.MustCompile(`connection broken|reading body|reading upstream|reading a body|read response body|incompleteread|copying content|during response`)},
	{"read", regexp.MustCompile(`\bread|recv|readv|readaddress|inputstream|getresponse|read0|receive`)},
}

// errnoNumber is a number that stands for an errno.
var errnoNumber = regexp.MustCompile(`(?:errno[ :=]{1,2}-?|os error |delayed[ _]connect[ _]error:[ _])([0-9]{2,3})\b`)

// nearby is how far from an errno the word for its operation may be, in bytes.
const nearby = 160

// faults lists the errnos in a text, up to maxStarts of them.
func (s systems) faults(t text) []fault {
	var list []fault
	places := occurrences(t.flat, s.known)
	for _, at := range errnoNumber.FindAllStringSubmatchIndex(t.flat, maxStarts) {
		for _, e := range s.known {
			if fmt.Sprint(e.Numbers[0]) == t.flat[at[2]:at[3]] {
				places = append(places, found{at[0], at[1], e})
				break
			}
		}
	}
	slices.SortStableFunc(places, func(a, b found) int { return cmp.Compare(a.from, b.from) })
	for _, p := range places[max(0, len(places)-maxStarts):] {
		place := span{from: p.from, to: p.to}
		if !t.bounded(place, false) {
			continue
		}
		f := fault{errno: p.errno, at: place, weight: p.to - p.from}
		before := t.flat[max(0, p.from-nearby):p.from]
		if strings.HasSuffix(before, "code: '") || strings.HasSuffix(before, "'code':'") {
			f.weight = 3 // Node prints this code whether or not there was a reset
		}
		f.operation = operation(before, t.flat[p.to:min(len(t.flat), p.to+nearby)])
		list = append(list, f)
	}
	return list
}

func operation(before, after string) string {
	best, name := nearby+1, ""
	for _, o := range operations {
		if all := o.words.FindAllStringIndex(before, -1); len(all) > 0 {
			if distance := len(before) - all[len(all)-1][1]; distance < best {
				best, name = distance, o.name
			}
		}
		if first := o.words.FindStringIndex(after); first != nil && first[0] < best {
			best, name = first[0], o.name
		}
	}
	return name
}

// innermost returns the fault at the bottom of a chain of causes. Java, .NET, Go, Rust
// and Node print it last. Python prints it first: the outer exception follows "During
// handling of the above exception".
func innermost(faults []fault, flat string) *fault {
	if len(faults) == 0 {
		return nil
	}
	best := &faults[len(faults)-1]
	if strings.Contains(flat, "during handling of the above exception") || strings.Contains(flat, "the direct cause of the following exception") {
		best = &faults[0]
	}
	for i := range faults {
		if best.weight <= 3 && faults[i].weight > 3 {
			best = &faults[i]
		}
	}
	return best
}

// ends lists the outcomes of an exchange with this fault.
func (f fault) ends() []Outcome {
	if list := f.outcomes[f.operation]; len(list) > 0 {
		return list
	}
	return f.outcomes["any"]
}

// narrow returns the outcomes that have the fault's cause and operation; all of them
// if none has.
func (f fault) narrow(outcomes []Outcome) (narrowed []Outcome, fits bool) {
	ends := f.ends()
	keep := func(ok func(Outcome) bool) {
		if left := slices.DeleteFunc(slices.Clone(outcomes), func(o Outcome) bool { return !ok(o) }); len(left) > 0 {
			outcomes, fits = left, true
		}
	}
	keep(func(o Outcome) bool { return o.Cause == ends[0].Cause })
	if fits {
		keep(func(o Outcome) bool { return slices.Contains(ends, o) })
	}
	return outcomes, fits
}

func parseOutcomes(list []string) ([]Outcome, error) {
	var outcomes []Outcome
	for _, text := range list {
		phase, cause, _ := strings.Cut(text, "/")
		var p results.Phase
		var c results.Cause
		if err := p.UnmarshalText([]byte(phase)); err != nil {
			return nil, err
		}
		if err := c.UnmarshalText([]byte(cause)); err != nil {
			return nil, err
		}
		outcomes = append(outcomes, Outcome{p, c})
	}
	return outcomes, nil
}
