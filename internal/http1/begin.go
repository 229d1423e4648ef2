package http1

import (
	"bytes"
	"fmt"
)

// protocol is the text that a response begins with.
const protocol = "HTTP/"

// NotHTTPError is the error of a stream that does not begin as a response.
type NotHTTPError struct{ begin []byte }

// The types of TLS records that a server sends first (RFC 8446, section 5.1), and
// the first byte of the version behind them.
const (
	tlsAlert     = 0x15
	tlsHandshake = 0x16
	tlsVersion   = 3
)

func (e *NotHTTPError) Error() string {
	b := e.begin
	if (b[0] == tlsAlert || b[0] == tlsHandshake) && (len(b) == 1 || b[1] == tlsVersion) {
		kind := "an alert"
		if b[0] == tlsHandshake {
			kind = "of its handshake"
		}
		return fmt.Sprintf("the response is a record of TLS (%s, % x), not HTTP: the server expects TLS on this port; use https://", kind, b[:min(len(b), 7)])
	}
	line, _, _ := bytes.Cut(b, []byte("\n"))
	return fmt.Sprintf("malformed response: it begins with %.80q and not with %q", bytes.TrimSuffix(line, []byte("\r")), protocol)
}

// begins returns an error as soon as what has come, with b, cannot be the beginning
// of a response: a peer that speaks another protocol may wait for us, and never end
// the line.
func (l *lines) begins(b []byte) error {
	if len(l.buf) >= len(protocol) {
		return nil
	}
	rest := protocol[len(l.buf):]
	n := min(len(b), len(rest))
	if string(b[:n]) == rest[:n] {
		return nil
	}
	return &NotHTTPError{append(bytes.Clone(l.buf), b[:min(len(b), maxChunkLine)]...)}
}
