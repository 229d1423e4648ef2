package redact

import "bytes"

// protocol is what a connection carries.
type protocol uint8

const (
	unrecognised protocol = iota
	overHTTP
	overTLS
)

// half is the bytes of one direction. Every byte is blanked, except those by which
// messages of HTTP/1 and records of TLS are told apart.
type half struct {
	protocol *protocol // of the connection
	response bool      // the messages are responses, if the protocol is HTTP
	role     bool      // response is known
	state    state
	message  message
	word     word
	record   record
	rest     []byte // of the piece, from the current byte on
}

// state is where in a message the next byte belongs.
type state uint8

const (
	lost    state = iota // unknown: bytes are blanked until a segment begins with a message
	between              // two messages
	inMethod
	inTarget
	inVersion
	inStatus // the version of a status line
	inCode
	inReason
	atField // at the beginning of a line
	inName
	inValue
	atBlank // behind the CR of the blank line
	inBody
	inStream // a body that ends with the connection
	inSize   // the line before a chunk
	inExtension
	inChunk
	atChunkCR
	atChunkLF
)

// message has the facts about the current message.
type message struct {
	left    uint64 // bytes of the body or chunk
	length  uint64
	digits  int // of length, of the code, or of the size of a chunk
	over    bool
	hasLen  bool
	chunked bool
	old     bool // HTTP/1.0
	trailer bool
	fresh   bool // nothing followed the head so far
	code    int
	field   string
}

const (
	blankByte   = 'x'
	blankLetter = 'X' // of a method
)

// blank blanks the next bytes in order. begin says that a segment begins with them.
func (h *half) blank(b []byte, begin bool) {
	if begin {
		h.meet(b)
	}
	if *h.protocol == overTLS {
		h.blankRecords(b)
		return
	}
	for i, c := range b {
		if h.state == between && !h.begins(b[i:], c) {
			b[i] = c
			continue
		}
		h.rest = b[i:]
		b[i] = h.next(c)
	}
	h.rest = nil
}

// meet looks for the beginning of a message at the beginning of a segment, where none
// is expected.
func (h *half) meet(b []byte) {
	request := beginsRequest(b) && !(h.role && h.response)
	response := beginsResponse(b) && (!h.role || h.response)
	if *h.protocol == unrecognised {
		switch {
		case request || response:
			*h.protocol = overHTTP
		case beginsRecord(b):
			*h.protocol = overTLS
		}
	}
	switch {
	case *h.protocol == overTLS:
		if h.record.lost && beginsRecord(b) {
			h.record = record{}
		}
	case *h.protocol != overHTTP || !request && !response:
	case !h.role:
		h.role, h.response, h.state = true, response, between
	case h.state == lost, response && h.message.fresh && (h.state == inBody || h.state == inStream):
		h.state = between // the latter was the response to a HEAD
	}
}

// begins begins a message with its first byte. It returns false for blank lines before
// a request.
func (h *half) begins(b []byte, c byte) bool {
	h.message, h.word = message{}, word{}
	switch {
	case h.response:
		h.state = inStatus
	case c == '\r' || c == '\n':
		return false
	case beginsRequest(b):
		h.state = inMethod
	default:
		h.state = lost
	}
	return true
}

// miss takes note of n bytes that were not captured.
func (h *half) miss(n int) {
	m := &h.message
	switch {
	case *h.protocol == overTLS:
		h.record.miss(n)
	case h.state == inStream:
	case h.state == inBody && uint64(n) <= m.left:
		if m.left -= uint64(n); m.left == 0 {
			h.state = between
		}
	case h.state == inChunk && uint64(n) < m.left:
		m.left -= uint64(n)
	default:
		h.state = lost
	}
	m.fresh = false
}

// beginsRequest reports whether b is the beginning of a request line of HTTP/1: a
// method in capitals and a target.
func beginsRequest(b []byte) bool {
	n := 0
	for n < len(b) && n < 17 && ('A' <= b[n] && b[n] <= 'Z' || b[n] == '-') {
		n++
	}
	method, rest := b[:n], b[n:]
	switch {
	case n < 3 || n > 16 || string(method) == "PRI" || bytes.HasPrefix([]byte("HTTP"), b): // of HTTP/2, of a response
		return false
	case len(rest) < 2:
		return len(rest) == 0 || rest[0] == ' '
	}
	return rest[0] == ' ' && (bytes.IndexByte([]byte("/h*"), rest[1]) >= 0 || string(method) == "CONNECT")
}

func beginsResponse(b []byte) bool {
	const begin = "HTTP/1."
	n := min(len(b), len(begin))
	return n >= 4 && string(b[:n]) == begin[:n]
}

// word keeps the letters of a text as long as they are the beginning of a known word.
type word struct {
	text [20]byte // in lower case
	n    int
	bad  bool
}

// keep returns the next letter of the known word, or other if it is none.
func (h *half) keep(known []string, c, other byte) byte {
	w := &h.word
	if w.n == 0 && !w.bad {
		w.bad = !begins(h.rest, known, h.ends())
	}
	if 'A' <= c && c <= 'Z' {
		c |= 0x20
	}
	if !w.bad && w.n < len(w.text) {
		w.text[w.n] = c
		for _, k := range known {
			if len(k) > w.n && bytes.EqualFold([]byte(k[:w.n+1]), w.text[:w.n+1]) {
				w.n++
				return k[w.n-1]
			}
		}
	}
	w.bad = true
	return other
}

// ends has the bytes that end a word in the current state.
func (h *half) ends() string {
	switch h.state {
	case inMethod, inStatus:
		return " \r\n"
	case inVersion:
		return "\r\n"
	case inName:
		return ":\r\n"
	}
	if h.message.field == keepAlive {
		return " \t,=\r\n"
	}
	return " \t,\r\n"
}

// begins reports whether the first word of b, up to one of ends, is a known one, or may
// become one in the next piece.
func begins(b []byte, known []string, ends string) bool {
	end := bytes.IndexAny(b, ends)
	for _, k := range known {
		if end >= 0 && len(k) == end && bytes.EqualFold(b[:end], []byte(k)) ||
			end < 0 && len(k) >= len(b) && bytes.EqualFold(b, []byte(k[:len(b)])) {
			return true
		}
	}
	return false
}

// is reports whether the word is the whole of a known one.
func (w *word) is(known string) bool {
	return !w.bad && w.n == len(known) && bytes.EqualFold(w.text[:w.n], []byte(known))
}
