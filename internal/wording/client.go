package wording

import (
	"regexp"
	"slices"
	"strings"
)

// client is a client, a proxy, a kernel, or a library that several clients are built
// on.
type client struct {
	Name    string   `yaml:"name"`
	Extends string   `yaml:"extends"` // the client that it is built on, whose texts it writes as well
	Generic bool     `yaml:"generic"` // it stands for all clients that are built on it
	Marks   []string `yaml:"marks"`   // words that name it: packages, file names, prefixes; ~ begins a regular expression
	Idle    string   `yaml:"idle"`    // its setting for the longest idle time of a connection
	NoIdle  string   `yaml:"no_idle"` // what to do if it has no such setting

	marks []mark
}

// mark is a word by which a text names a client.
type mark struct {
	word string
	form *regexp.Regexp // nil: look for word
}

func newMark(text string) (mark, error) {
	if form, ok := strings.CutPrefix(text, "~"); ok {
		r, err := regexp.Compile(form)
		return mark{form: r}, err
	}
	return mark{word: normalise(text)}, nil
}

// in reports whether the text has the mark, but not as the end of another word.
func (m mark) in(flat string) bool {
	if m.form != nil {
		return m.form.MatchString(flat)
	}
	for from := 0; ; {
		at := strings.Index(flat[from:], m.word)
		if at < 0 {
			return false
		}
		at += from
		if at == 0 || !isWord(flat[at-1]) || !isWord(m.word[0]) {
			return true
		}
		from = at + 1
	}
}

// kin is the relation of a wording's client to the clients that a text names.
type kin int

const (
	rival    kin = iota // the text names another client that is built on the same library
	stranger            // the text names another client
	possible            // the text names no client, or only what this one is built on
	own                 // the text names it, or a client that is built on it
)

// named lists the clients that a text names by their marks. If one is built on
// another, only the former is listed.
func (l library) named(flat string) []string {
	var names []string
	for _, name := range l.families {
		if slices.ContainsFunc(l.clients[name].marks, func(m mark) bool { return m.in(flat) }) {
			names = append(names, name)
		}
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return slices.ContainsFunc(names, func(other string) bool { return other != name && l.builtOn(other, name) })
	})
}

// builtOn reports whether a client is the other one, or is built on it.
func (l library) builtOn(name, other string) bool {
	for ; name != ""; name = l.clients[name].Extends {
		if name == other {
			return true
		}
	}
	return false
}

// kinship returns the relation of a wording's client to the named ones, and the client
// that wrote the wording: name itself, or a named client that is built on it.
func (l library) kinship(name string, named []string) (kin, string) {
	if len(named) == 0 {
		return possible, name
	}
	for _, n := range named {
		if l.builtOn(n, name) {
			return own, n
		}
	}
	if slices.ContainsFunc(named, func(n string) bool { return l.builtOn(name, n) }) {
		return possible, name
	}
	if slices.ContainsFunc(named, func(n string) bool { return l.root(n) == l.root(name) }) {
		return rival, name
	}
	return stranger, name
}

// root returns the library at the bottom that a client is built on, or the client
// itself.
func (l library) root(name string) string {
	for l.clients[name].Extends != "" {
		name = l.clients[name].Extends
	}
	return name
}

// class is an exception's class. A text is searched for its simple name.
type class struct{ full, simple string }

func newClass(name string) class {
	simple := name
	if !strings.HasPrefix(simple, "Errno::") { // the word after it is used by every client
		simple = simple[strings.LastIndexAny(simple, ".$:")+1:]
	}
	return class{normalise(name), normalise(simple)}
}

// in reports whether a text has the class, by its simple name alone or with the same
// package: HttpClient's ConnectTimeoutException is not Netty's.
func (c class) in(flat string) (span, bool) {
	if c.simple == "" {
		return span{}, false
	}
	t := text{flat, flat}
	from := 0
	for range maxStarts {
		at := strings.Index(flat[from:], c.simple)
		if at < 0 {
			break
		}
		at += from
		s := span{from: at, to: at + len(c.simple)}
		begin := at
		for begin > 0 && at-begin < holeReach && (isWord(flat[begin-1]) || strings.IndexByte(".$:", flat[begin-1]) >= 0) {
			begin--
		}
		qualified := strings.TrimLeft(flat[begin:s.to], ".$:")
		if t.bounded(s, false) && (qualified == c.simple || strings.HasSuffix(qualified, c.full) || strings.HasSuffix(c.full, qualified)) {
			return s, true
		}
		from = at + 1
	}
	return span{}, false
}

// Generic reports whether c stands for all clients that are built on a language or
// a library.
func (c Candidate) Generic() bool { return known().clients[c.Client].Generic }

// Shared reports whether the text does not show which client wrote it. The best
// candidate is then any client, or all clients of a language, or one of several that
// are equally likely, or the text is only a word or two.
func Shared(candidates []Candidate) bool {
	if len(candidates) == 0 {
		return false
	}
	l, best := known(), candidates[0]
	return best.Client == "" || best.Vague || l.clients[best.Client].Generic || slices.ContainsFunc(candidates[1:], func(c Candidate) bool {
		return c.Score >= best.Score-1 && !l.builtOn(c.Client, best.Client) && !l.builtOn(best.Client, c.Client)
	})
}
