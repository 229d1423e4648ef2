package wording

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// How far a hole may reach, in bytes. Together with the bound on starting points, they
// keep the search linear in the length of the text.
const (
	holeReach  = 400  // <name>: a URL, an address, a list of them
	traceReach = 4000 // <...>: from an exception to its cause
	maxStarts  = 2000
)

// part is a hole and the literal text that follows it.
type part struct {
	hole    string // "" for the part at the pattern's start
	number  bool
	reach   int
	literal string // normalised
}

var holes = regexp.MustCompile(`<(#[a-z ]+|[a-z ]+|\.\.\.)>`)

// parsePattern compiles a pattern.
func parsePattern(pattern string) ([]part, error) {
	var parts []part
	hole, from := "", 0
	add := func(literal string) {
		p := part{hole: strings.TrimPrefix(hole, "#"), number: strings.HasPrefix(hole, "#"), reach: holeReach, literal: normalise(literal)}
		if hole == "..." {
			p.reach = traceReach
		}
		parts = append(parts, p)
	}
	for _, at := range holes.FindAllStringSubmatchIndex(pattern, -1) {
		add(pattern[from:at[0]])
		hole, from = pattern[at[2]:at[3]], at[1]
	}
	add(pattern[from:])
	if parts[0].literal == "" {
		return nil, fmt.Errorf("a pattern begins with text, not with a hole: %s", pattern)
	}
	for i, p := range parts[1:] {
		if p.literal == "" && i+2 < len(parts) {
			return nil, fmt.Errorf("nothing follows <%s>: %s", p.hole, pattern)
		}
	}
	return parts, nil
}

// display writes a pattern for people: N stands for a number, … for other text.
func display(pattern string) string {
	return holes.ReplaceAllStringFunc(pattern, func(hole string) string {
		switch {
		case hole == "<...>":
			return " ← "
		case hole[1] == '#':
			return "N"
		}
		return "…"
	})
}

// normalise removes the differences between logs: case, kinds of quotes and their
// escapes, and runs of blanks. It keeps line ends.
func normalise(text string) string { return lower(unify(text)) }

// lower keeps the length of the text, so that offsets are the same in both forms.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// unify is normalise without the change of case.
func unify(text string) string {
	var b strings.Builder
	b.Grow(len(text))
	blank := byte(0) // the blank to write before the next rune
	for _, r := range text {
		switch {
		case r == '\n' || r == '\u2028' || r == '\r':
			blank = '\n'
			continue
		case unicode.IsSpace(r):
			if blank == 0 {
				blank = ' '
			}
			continue
		case strings.ContainsRune("\"'`‘’“”«»", r):
			r = '\''
		}
		if blank != 0 {
			b.WriteByte(blank)
		}
		blank = 0
		b.WriteRune(r)
	}
	if blank == ' ' {
		b.WriteByte(' ')
	}
	return closes.ReplaceAllString(opens.ReplaceAllString(strings.ReplaceAll(b.String(), `\'`, `'`), "("), ")")
}

// Rust's and Python's printers put what is in parentheses on separate lines that end
// with a comma.
var (
	opens  = regexp.MustCompile(`\([ \n]`)
	closes = regexp.MustCompile(`,?[ \n]\)|,\)`)
)

// text is a text to explain, normalised. flat has a blank for each line end; the
// offsets are the same.
type text struct{ lined, flat string }

func newText(lined string) text {
	return text{lined, strings.ReplaceAll(lined, "\n", " ")}
}

// span is the place of a match, with the numbers in its holes.
type span struct {
	from, to int
	numbers  map[string]string
}

// find returns the first place where the parts follow one another.
func (t text) find(parts []part, alone bool) (span, bool) {
	from := 0
	for range maxStarts {
		at := strings.Index(t.flat[from:], parts[0].literal)
		if at < 0 {
			break
		}
		at += from
		s := span{from: at, to: at + len(parts[0].literal)}
		if t.follow(parts[1:], &s) && t.bounded(s, alone) {
			return s, true
		}
		from = at + 1
	}
	return span{}, false
}

func (t text) follow(parts []part, s *span) bool {
	for _, p := range parts {
		rest := t.flat[s.to:]
		if p.number {
			n := digits(rest)
			if n == 0 || !strings.HasPrefix(rest[n:], p.literal) {
				return false
			}
			if s.numbers == nil {
				s.numbers = map[string]string{}
			}
			s.numbers[p.hole] = rest[:n]
			s.to += n + len(p.literal)
			continue
		}
		at := strings.Index(rest[:min(len(rest), p.reach+len(p.literal))], p.literal)
		if at < 0 {
			return false
		}
		s.to += at + len(p.literal)
	}
	return true
}

// digits returns the length of the number that s begins with: 45000, 0.1, 129,072.
func digits(s string) int {
	n := 0
	for n < len(s) && n < 20 && (isDigit(s[n]) || n > 0 && s[n] == '.' && n+1 < len(s) && isDigit(s[n+1]) || thousands(s[n:]) && n > 0) {
		n++
	}
	return n
}

// thousands reports whether s begins with a comma between groups of digits.
func thousands(s string) bool {
	return len(s) > 3 && s[0] == ',' && isDigit(s[1]) && isDigit(s[2]) && isDigit(s[3]) && (len(s) == 4 || !isDigit(s[4]))
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isWord(c byte) bool {
	return isDigit(c) || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || c >= 0x80
}

// bounded reports whether a match begins and ends at word boundaries. With alone it
// must also be a message of its own.
func (t text) bounded(s span, alone bool) bool {
	before, after := t.lined[:s.from], t.lined[s.to:]
	if before != "" && isWord(before[len(before)-1]) && isWord(t.flat[s.from]) {
		return false
	}
	if after != "" && isWord(after[0]) && isWord(t.flat[s.to-1]) {
		return false
	}
	if !alone {
		return true
	}
	before = strings.TrimRight(before, " ")
	starts := before == "" || strings.ContainsRune("\n:'(=[]|←", lastRune(before)) || strings.HasSuffix(before, " -")
	ends := strings.TrimRight(after, " ") == "" || strings.ContainsRune("\n'),]}", rune(after[0])) || strings.HasPrefix(after, " at ") ||
		strings.HasPrefix(after, " {") || strings.HasPrefix(after, " ←")
	return starts && ends
}

func lastRune(s string) rune {
	r := []rune(s[max(0, len(s)-4):])
	return r[len(r)-1]
}

// literals is how many bytes of a pattern are literal text.
func literals(parts []part) int {
	n := 0
	for _, p := range parts {
		n += len(strings.TrimSpace(p.literal))
	}
	return n
}
