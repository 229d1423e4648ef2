package imports

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// shortened passes JSON on, with every text that is longer than max bytes cut off: a mark
// stands at its end then. A decoder holds one text at a time, and that of a picture may be as
// long as the file.
type shortened struct {
	in      *bufio.Reader
	max     int
	text    bool   // within a text
	escaped bool   // after a backslash
	cut     bool   // the rest of the text is left out
	n       int    // bytes of the text so far
	pending string // to pass on before anything else
}

// newShortened leaves out a byte-order mark, which the specification of HAR tells readers to ignore.
func newShortened(from io.Reader, longest int) *shortened {
	in := bufio.NewReaderSize(from, 64<<10)
	if begin, _ := in.Peek(len(byteOrderMark)); string(begin) == byteOrderMark { // an error is met again
		_, _ = in.Discard(len(byteOrderMark))
	}
	return &shortened{in: in, max: longest}
}

const byteOrderMark = "\xef\xbb\xbf"

// cutMark ends a text that was cut off, and cutText is what a decoder makes of it.
const (
	cutMark = `\u0000`
	cutText = "\x00"
)

func (s *shortened) Read(b []byte) (n int, err error) {
	for n < len(b) {
		if s.pending != "" {
			m := copy(b[n:], s.pending)
			s.pending, n = s.pending[m:], n+m
			continue
		}
		if s.in.Buffered() == 0 {
			if n > 0 {
				return n, nil
			}
			if _, err := s.in.Peek(1); err != nil {
				return 0, err
			}
		}
		waiting, _ := s.in.Peek(s.in.Buffered())
		if run := s.run(waiting); run > 0 {
			m := run
			if !s.cut {
				m = copy(b[n:], waiting[:run])
				n += m
			}
			if s.text {
				s.n += m
			}
			_, _ = s.in.Discard(m) // it waits already
			continue
		}
		c, err := s.in.ReadByte()
		if err != nil {
			return n, err
		}
		if s.passes(c) {
			b[n] = c
			n++
		}
	}
	return n, nil
}

// run returns how many of the next bytes change nothing: outside of texts those before a quote,
// within a text those before a quote or a backslash, and none beyond the bound.
func (s *shortened) run(next []byte) int {
	if s.escaped {
		return 0
	}
	if i := bytes.IndexByte(next, '"'); i >= 0 {
		next = next[:i]
	}
	if !s.text {
		return len(next)
	}
	if i := bytes.IndexByte(next, '\\'); i >= 0 {
		next = next[:i]
	}
	if s.cut {
		return len(next)
	}
	return max(min(len(next), s.max-s.n), 0)
}

// passes takes the next byte, and reports whether it is passed on.
func (s *shortened) passes(c byte) bool {
	if !s.text {
		s.text, s.escaped, s.cut, s.n = c == '"', false, false, 0
		return true
	}
	s.n++
	begins := c == '\\' && !s.escaped
	switch {
	case c == '"' && !s.escaped:
		s.text, s.cut = false, false
		return true
	case s.cut:
	case s.n > s.max && !s.escaped || begins && s.n+len(cutMark) > s.max: // an escape is passed on whole or not at all
		s.cut, s.pending = true, cutMark
	}
	s.escaped = begins
	return !s.cut
}

// object reads an object, and calls member for each key, which must read the value.
func (h *har) object(member func(key string) error) error {
	if err := h.open('{', "an object"); err != nil {
		return err
	}
	for h.d.More() {
		key, err := h.text()
		if err != nil {
			return err
		}
		if err := member(key); err != nil {
			return err
		}
	}
	_, err := h.d.Token()
	return err
}

// array reads a list, and calls element for each, which must read it.
func (h *har) array(element func() error) error {
	if err := h.open('[', "a list"); err != nil {
		return err
	}
	for h.d.More() {
		if err := element(); err != nil {
			return err
		}
	}
	_, err := h.d.Token()
	return err
}

func (h *har) open(delim json.Delim, what string) error {
	t, err := h.d.Token()
	if err != nil {
		return err
	}
	if t != delim {
		return fmt.Errorf("byte %d: %v stands where %s must be", h.d.InputOffset(), t, what)
	}
	return nil
}

// text reads a text; "" for null and numbers.
func (h *har) text() (string, error) {
	t, err := h.d.Token()
	if err != nil {
		return "", err
	}
	switch t := t.(type) {
	case string:
		return t, nil
	case json.Delim:
		return "", fmt.Errorf("byte %d: %v stands where a text must be", h.d.InputOffset(), t)
	}
	return "", nil
}

// skip reads a value of any kind.
func (h *har) skip() error {
	for depth := 0; ; {
		t, err := h.d.Token()
		if err != nil {
			return err
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			if depth++; depth > maxDepth {
				return errors.New("values are nested too deeply for a HAR file")
			}
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}
