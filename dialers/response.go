package dialers

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/kabench/kabench/dialers/pool"
)

// maxInterim bounds the interim (1xx) responses before a final one.
const maxInterim = 8

var errTooManyInterim = errors.New("more than 8 interim (1xx) responses before the final one")

// readResponse reads a response whose first byte is there, to its end, and
// keeps nothing of its body.
func (c *Conn) readResponse(t *turn) {
	c.in.room, c.in.each = maxHead, c.eachRead(t)
	defer func() { c.in.room, c.in.each = -1, nil }()
	resp, err := c.readHead(t)
	if err != nil {
		t.facts.Parse = err
		return
	}
	c.in.room = -1
	t.facts.HeadRead = true
	t.facts.Length = resp.ContentLength
	t.e.GotHeaders = c.now()
	t.e.Status = resp.StatusCode
	_, err = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if err != nil {
		t.facts.Parse = err
		return
	}
	t.facts.Complete = true
	t.hint = hint(resp.Header)
	untilEOF := resp.ContentLength < 0 && len(resp.TransferEncoding) == 0 && resp.Body != http.NoBody
	t.endsConn = resp.Close || untilEOF || resp.StatusCode == http.StatusSwitchingProtocols || t.req.last
	t.reusable = !t.endsConn && c.br.Buffered() == 0
}

// readHead reads the head of the final response, passing over interim ones.
func (c *Conn) readHead(t *turn) (*http.Response, error) {
	for range maxInterim + 1 {
		resp, err := http.ReadResponse(c.br, t.req.parse)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, nil
		}
	}
	return nil, errTooManyInterim
}

// hint is the timeout a response promises in `Keep-Alive: timeout=N, max=M`, in
// seconds (RFC 2068, section 19.7.1.1); pool.NoHint without one.
func hint(h http.Header) time.Duration {
	for part := range strings.SplitSeq(h.Get("Keep-Alive"), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		if n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 31); err == nil && strings.EqualFold(strings.TrimSpace(name), "timeout") {
			return time.Duration(n) * time.Second
		}
	}
	return pool.NoHint
}
