package http1

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// head is what a head says, as far as it matters here.
type head struct {
	code         int
	major, minor int8
	saysClose    bool // Connection: close
	saysKeep     bool // Connection: keep-alive
	sawKeep      bool // a Keep-Alive field; only the first counts
	encodings    int  // Transfer-Encoding fields
	lengthText   int  // digits of Content-Length; 0: no such field
	length       int64
	hint         time.Duration // when sawKeep

	// What is wrong with a field is an error when the head is whole, and only
	// where the field has a meaning.
	badLength, badEncoding, badTrailer error
}

// headOver takes the facts of a whole head: of the final response, or of an
// interim one, which another head follows.
func (r *Response) headOver() error {
	h := &r.head
	// HTTP/1.0 has no transfer codings. net/http takes 0.0 for 1.1 here.
	chunked := h.encodings > 0 && (h.major > 1 || h.major == 1 && h.minor > 0 || h.major == 0 && h.minor == 0)
	if err := h.malformed(chunked); err != nil {
		return err
	}
	switching := h.code == 101
	if h.code < 200 && !switching {
		if r.interims++; r.interims > maxInterim {
			return errTooManyInterim
		}
		r.head, r.InterimBytes = head{}, maxHead-r.room
		r.lines.begin(atStatus)
		return nil
	}

	r.HeadRead, r.Status, r.KeepAlive = true, h.code, NoKeepAlive
	if h.sawKeep {
		r.KeepAlive = h.hint
	}
	announced := int64(-1)
	if h.lengthText > 0 {
		announced = h.length
	}
	r.HTTP10, r.SaysKeep = h.major == 1 && h.minor == 0, h.saysKeep
	r.Close = h.major < 1 || h.saysClose || switching
	r.OldClose = r.HTTP10 && !h.saysKeep && !r.Close
	r.Close = r.Close || r.OldClose
	switch {
	case r.toHEAD:
		r.Length, r.Done = announced, true
	case switching, h.code == 204, h.code == 304:
		r.Length, r.Done = 0, true
	case chunked: // it overrides Content-Length (RFC 9112, section 6.3)
		r.Length, r.part = -1, inSize
	case announced < 0:
		r.Length, r.part, r.Close, r.OldClose = -1, inStream, true, false
	default:
		r.Length, r.left, r.part, r.Done = announced, announced, inLength, announced == 0
	}
	return nil
}

// malformed is the error of a field that has a meaning in this head.
func (h *head) malformed(chunked bool) error {
	switch {
	case chunked && h.encodings > 1:
		return errors.New("malformed header: more than one Transfer-Encoding")
	case chunked && h.badEncoding != nil:
		return h.badEncoding
	case h.badLength != nil:
		return h.badLength
	case chunked && h.badTrailer != nil:
		return h.badTrailer
	}
	return nil
}

// status reads the status line. It accepts what net/http does: any one-digit
// version, blanks before the code, no reason phrase, a sign in the code. But a
// code below 100, which net/http accepts too, is in no class (RFC 9110, section 15).
func (h *head) status(line []byte) error {
	version, rest, ok := bytes.Cut(line, []byte(" "))
	if !ok {
		return fmt.Errorf("malformed status line %.80q", line)
	}
	text, _, _ := bytes.Cut(bytes.TrimLeft(rest, " "), []byte(" "))
	code, err := strconv.Atoi(string(text))
	if len(text) != 3 || err != nil || code < 100 {
		return fmt.Errorf("malformed status line: status code %.80q", text)
	}
	if len(version) != len("HTTP/1.1") || string(version[:5]) != "HTTP/" || !isDigit(version[5]) || version[6] != '.' || !isDigit(version[7]) {
		return fmt.Errorf("malformed status line: HTTP version %.80q", version)
	}
	h.code, h.major, h.minor = code, int8(version[5]-'0'), int8(version[7]-'0')
	return nil
}

// field reads a field line, unfolded and trimmed, which has a colon. A nil head
// is a trailer's: the line is only checked.
func (h *head) field(line []byte) error {
	colon := bytes.IndexByte(line, ':')
	name, value := line[:colon], line[colon+1:]
	if len(name) == 0 || !allBytes(name, inName) || !allBytes(value, inValue) {
		return fmt.Errorf("malformed header line %.80q", line)
	}
	for len(value) > 0 && isBlank(value[0]) {
		value = value[1:]
	}
	if h == nil {
		return nil
	}
	switch len(name) { // it excludes most fields
	case len("trailer"):
		if isFold(name, "trailer") {
			h.trailer(value)
		}
	case len("connection"): // and keep-alive
		switch {
		case isFold(name, "connection"):
			h.saysClose = h.saysClose || hasToken(value, "close")
			h.saysKeep = h.saysKeep || hasToken(value, "keep-alive")
		case isFold(name, "keep-alive") && !h.sawKeep:
			h.sawKeep, h.hint = true, keepAliveTimeout(value)
		}
	case len("content-length"):
		if isFold(name, "content-length") {
			h.contentLength(value)
		}
	case len("transfer-encoding"):
		if isFold(name, "transfer-encoding") {
			h.encodings++
			if !isFold(value, "chunked") {
				h.badEncoding = fmt.Errorf("malformed header: Transfer-Encoding %.80q, want only chunked", value)
			}
		}
	}
	return nil
}

// contentLength takes a Content-Length. A second one must be the same, to the
// letter (RFC 9110, section 8.6, would accept a list).
func (h *head) contentLength(value []byte) {
	value = trimBlanks(value)
	n, ok := parseUint(value, 1<<63-1)
	switch {
	case !ok:
		h.badLength = fmt.Errorf("malformed header: Content-Length %.80q", value)
	case h.lengthText > 0 && (n != h.length || len(value) != h.lengthText):
		h.badLength = fmt.Errorf("malformed header: conflicting Content-Length %d and %.80q", h.length, value)
	default:
		h.length, h.lengthText = n, len(value)
	}
}

// trailer takes the names a Trailer field announces.
func (h *head) trailer(value []byte) {
	for _, name := range [...]string{"transfer-encoding", "trailer", "content-length"} {
		if hasToken(value, name) {
			h.badTrailer = fmt.Errorf("malformed header: Trailer announces %s, which cannot be one", name)
		}
	}
}

// keepAliveTimeout is the timeout that the value of a Keep-Alive field promises,
// `timeout=N, max=M` in seconds (RFC 2068, section 19.7.1.1); NoKeepAlive
// without one.
func keepAliveTimeout(value []byte) time.Duration {
	for more := true; more; {
		var parameter []byte
		parameter, value, more = bytes.Cut(value, []byte(","))
		name, seconds, _ := bytes.Cut(parameter, []byte("="))
		if n, ok := parseUint(bytes.TrimSpace(seconds), 1<<31-1); ok && isFold(bytes.TrimSpace(name), "timeout") {
			return time.Duration(n) * time.Second
		}
	}
	return NoKeepAlive
}

// hasToken reports whether a comma-separated list contains token, which is in
// lower case; the list may be in any.
func hasToken(list []byte, token string) bool {
	for more := true; more; {
		var element []byte
		element, list, more = bytes.Cut(list, []byte(","))
		if isFold(trimBlanks(element), token) {
			return true
		}
	}
	return false
}

// isFold reports whether b equals lower, whatever the case of b's ASCII letters;
// lower must be in lower case. Unlike bytes.EqualFold it folds nothing else: the
// Kelvin sign is no k.
func isFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// parseUint is the decimal number b is, digits only, if it is not above limit.
func parseUint(b []byte, limit int64) (n int64, ok bool) {
	for _, c := range b {
		d := int64(c) - '0'
		if !isDigit(c) || n > (limit-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, len(b) > 0
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

func trimBlanks(b []byte) []byte {
	for len(b) > 0 && isBlank(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isBlank(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

// What a byte may be part of.
const (
	inName  = 1 << iota // a field's name: a token (RFC 9110, section 5.6.2), or a space, which net/http accepts and which makes it an unknown name
	inValue             // a field's value: visible ASCII, blanks, and anything above 0x7f
)

var byteUse = func() (use [256]uint8) {
	for c := range use {
		if c == '\t' || c >= ' ' && c != 0x7f {
			use[c] |= inValue
		}
	}
	for _, c := range []byte(" !#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
		use[c] |= inName
	}
	return use
}()

func allBytes(b []byte, use uint8) bool {
	for _, c := range b {
		if byteUse[c]&use == 0 {
			return false
		}
	}
	return true
}
