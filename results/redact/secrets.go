package redact

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Secrets knows the credentials that a run sends. It keeps them out of the results
// when a server returns them. It finds a secret in plain form, with letters in any
// case, in base64, percent-encoded, quoted, or cut: any 8 consecutive bytes of a long
// secret are enough. It does not look for a secret shorter than 4 bytes, because it
// would find such a secret everywhere.
//
// A nil *Secrets knows none. A Secrets does not change after NewSecrets, so several
// goroutines may use it.
type Secrets struct {
	windows []uint64        // each is 8 consecutive bytes of a form with at least 8 bytes; sorted
	short   map[string]bool // the forms with fewer than 8 bytes
	heads   map[string]bool // the first 4 to 7 bytes of the long forms: a cut may leave only these
}

const (
	minSecret = 4       // bytes
	window    = 8       // bytes
	many      = 1 << 20 // bytes of all secrets; with more, only every fourth window is kept, and a piece of a secret must have 11 bytes to be found
)

// NewSecrets returns a Secrets that knows the values, such as values of headers, and
// their parts: the token after "Bearer", the user and the password in "Basic", each
// value of a cookie.
func NewSecrets(values ...string) *Secrets {
	s := &Secrets{short: map[string]bool{}, heads: map[string]bool{}}
	seen, step, total := map[string]bool{}, 1, 0
	for _, value := range values {
		if total += len(value); total > many {
			step = 4
		}
	}
	for _, value := range values {
		for _, part := range partsOf(value) {
			if seen[part] {
				continue
			}
			seen[part] = true
			for _, form := range formsOf(part) {
				s.add(lower([]byte(form)), step)
			}
		}
	}
	slices.Sort(s.windows)
	s.windows = slices.Compact(s.windows)
	return s
}

// add adds a form, which must be in lower case. Of a long form it adds every step-th
// window and the last one.
func (s *Secrets) add(form []byte, step int) {
	switch n := len(form); {
	case n < minSecret:
	case n < window:
		s.short[string(form)] = true
	default:
		for i := minSecret; i < window && step == 1; i++ {
			s.heads[string(form[:i])] = true
		}
		for i := 0; i < n-window; i += step {
			s.windows = append(s.windows, binary.BigEndian.Uint64(form[i:]))
		}
		s.windows = append(s.windows, binary.BigEndian.Uint64(form[n-window:]))
	}
}

// schemes are the words before the secret in the value of an Authorization header.
var schemes = []string{"apikey", "aws4-hmac-sha256", "basic", "bearer", "digest", "dpop", "key", "negotiate", "ntlm", "token"}

// partsOf returns a value without its scheme, and the parts of it that are secrets by
// themselves.
func partsOf(value string) []string {
	value = strings.TrimSpace(value)
	scheme, rest, _ := strings.Cut(value, " ")
	scheme = strings.ToLower(scheme)
	if rest = strings.TrimSpace(rest); rest != "" && slices.Contains(schemes, scheme) {
		value = rest
	}
	parts := []string{value}
	if plain, err := base64.StdEncoding.DecodeString(value); err == nil && scheme == "basic" {
		user, password, _ := strings.Cut(string(plain), ":")
		parts = append(parts, string(plain), user, password)
	}
	for _, part := range strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune(" \t\r\n,;&", r) }) {
		if _, v, named := strings.Cut(part, "="); named && v != "" {
			part = v
		}
		part = strings.Trim(part, `"'`)
		if _, err := strconv.Atoi(part); !ownWords[strings.ToLower(part)] && (err != nil || len(part) > len("65535")) {
			parts = append(parts, part)
		}
	}
	return parts
}

// formsOf returns the forms in which a text may contain a secret. The secret itself
// may be percent-encoded.
func formsOf(secret string) (forms []string) {
	if len(secret) < minSecret {
		return nil
	}
	plain := []string{secret}
	for _, decode := range []func(string) (string, error){url.PathUnescape, url.QueryUnescape} {
		if text, err := decode(secret); err == nil && !slices.Contains(plain, text) {
			plain = append(plain, text)
		}
	}
	for _, text := range plain {
		quoted := strconv.Quote(text)
		forms = append(forms, text, quoted[1:len(quoted)-1], url.QueryEscape(text), url.PathEscape(text),
			base64.RawStdEncoding.EncodeToString([]byte(text)), base64.RawURLEncoding.EncodeToString([]byte(text)))
	}
	slices.Sort(forms)
	return slices.Compact(forms)
}

// lower returns b with its ASCII letters in lower case. The length stays the same,
// even if b is not valid UTF-8.
func lower(b []byte) []byte {
	low := slices.Clone(b)
	for i, c := range low {
		if 'A' <= c && c <= 'Z' {
			low[i] = c | 0x20
		}
	}
	return low
}

// Find returns the places of secrets in text, in order. A place is the index of its
// first byte and the index after its last byte.
func (s *Secrets) Find(text []byte) (places [][2]int) {
	if s.none() {
		return nil
	}
	low := lower(text)
	mark := func(from, to int) {
		if n := len(places); n > 0 && from <= places[n-1][1] {
			places[n-1][1] = max(places[n-1][1], to)
			return
		}
		places = append(places, [2]int{from, to})
	}
	for i := range low {
		if i+window <= len(low) {
			if _, found := slices.BinarySearch(s.windows, binary.BigEndian.Uint64(low[i:])); found {
				mark(i, i+window)
				continue
			}
		}
		if n := s.shortAt(low, i); n > 0 {
			mark(i, i+n)
		}
	}
	return places
}

func (s *Secrets) none() bool { return s == nil || len(s.windows) == 0 && len(s.short) == 0 }

// shortAt returns the length of the short secret that begins at i. A long secret that
// was cut counts too, because error texts quote only the beginning of a response.
func (s *Secrets) shortAt(low []byte, i int) int {
	begins := i == 0 || !inWord(low[i-1])
	if !begins && len(s.short) == 0 {
		return 0
	}
	for n := min(window-1, len(low)-i); n >= minSecret; n-- {
		word, end := low[i:i+n], i+n == len(low)
		alone := begins && (end || !inWord(low[i+n]))
		cut := begins && (end || low[i+n] == '"')
		if s.short[string(word)] && (alone || !plainWord(word)) || cut && s.heads[string(word)] {
			return n
		}
	}
	return 0
}

// plainWord reports whether a secret could easily be part of another word: it consists
// only of letters, or only of digits as in a number or an address.
func plainWord(word []byte) bool {
	letter := func(c byte) bool { return 'a' <= c && c <= 'z' || c >= 0x80 }
	digit := func(c byte) bool { return '0' <= c && c <= '9' || c == '.' || c == ':' }
	return !slices.ContainsFunc(word, func(c byte) bool { return !letter(c) }) ||
		!slices.ContainsFunc(word, func(c byte) bool { return !digit(c) })
}

// inWord reports whether c is part of a word.
func inWord(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || c >= 0x80 }

// Blank returns text with each secret replaced by "(blanked)".
func (s *Secrets) Blank(text string) string {
	places := s.Find([]byte(text))
	if places == nil {
		return text
	}
	var b strings.Builder
	at := 0
	for _, place := range places {
		b.WriteString(text[at:place[0]])
		b.WriteString(blanked)
		at = place[1]
	}
	return b.String() + text[at:]
}

// Error returns err if its text has no secret. Otherwise it returns a new error with
// the blanked text. The new error does not wrap err, whose text has the secret.
func (s *Secrets) Error(err error) error {
	if err == nil || s.none() {
		return err
	}
	text := err.Error()
	if shown := s.Blank(text); shown != text {
		return errors.New(shown)
	}
	return err
}
