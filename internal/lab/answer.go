package lab

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/kabench/kabench/internal/lab/serve"
	"github.com/kabench/kabench/internal/lab/story"
	"github.com/kabench/kabench/profiles/script"
)

// filler is what bodies are made of, and its length the size of their chunks.
var filler = bytes.Repeat([]byte("kabench "), 1<<10)

// framing is how an answer says where its body ends.
type framing uint8

const (
	byLength framing = iota
	byChunks
	byClose
)

// status is the status of a server's responses.
func status(cfg script.Server) int {
	if cfg.Status == 0 {
		return http.StatusOK
	}
	return cfg.Status
}

// framing is the script's, but HTTP/1.0 knows no chunks.
func (c *conn) framing(req *http.Request) framing {
	switch {
	case c.s.cfg.UntilClose:
		return byClose
	case c.s.cfg.Chunked && req.ProtoAtLeast(1, 1):
		return byChunks
	}
	return byLength
}

// answer writes the whole answer.
func (c *conn) answer(req *http.Request, f framing, say said) error {
	c.w.Write(c.head(req, f, say))
	if c.s.cfg.SplitWrites {
		if err := c.w.Flush(); err != nil {
			return err
		}
	}
	if req.Method != http.MethodHead && !script.Bodyless(c.s.cfg.Status) {
		for left := c.s.cfg.Body; left > 0; {
			n := min(left, int64(len(filler)))
			if err := c.part(f, n); err != nil {
				return err
			}
			left -= n
		}
		if f == byChunks {
			c.w.WriteString("0\r\n\r\n")
		}
	}
	return c.w.Flush()
}

// head is the status line and headers of the answer.
func (c *conn) head(req *http.Request, f framing, say said) []byte {
	b := c.statusLine(status(c.s.cfg))
	switch {
	case script.Bodyless(c.s.cfg.Status) || f == byClose:
	case f == byChunks:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	default:
		b = fmt.Appendf(b, "Content-Length: %d\r\n", c.s.cfg.Body)
	}
	switch {
	case say == closing:
		b = append(b, "Connection: close\r\n"...)
	case c.hints(req) && f != byClose:
		b = fmt.Appendf(b, "Connection: keep-alive\r\nKeep-Alive: %s\r\n", c.s.cfg.Hint)
	case say == keeping:
		b = append(b, "Connection: keep-alive\r\n"...)
	}
	return append(b, "\r\n"...)
}

// hints reports whether the answer to req has a Keep-Alive header.
func (c *conn) hints(req *http.Request) bool {
	cfg := c.s.cfg
	return cfg.Hint != "" && !(c.old(req) && !c.keeps(req)) && (!cfg.HintIfAsked || serve.HasToken(req.Header.Values("Connection"), "keep-alive"))
}

func (c *conn) statusLine(status int) []byte {
	return fmt.Appendf(make([]byte, 0, 128), "%s %d %s\r\n", c.s.cfg.Version.Protocol(), status, http.StatusText(status))
}

// part writes n bytes of the body, at most len(filler), as one chunk if chunked.
func (c *conn) part(f framing, n int64) error {
	if f == byChunks {
		c.w.WriteString(strconv.FormatInt(n, 16) + "\r\n")
	}
	_, err := c.w.Write(filler[:n])
	if f == byChunks {
		_, err = c.w.WriteString("\r\n")
	}
	return err
}

// refuse answers a request that could not be read and ends the connection.
func (c *conn) refuse(status int) *story.Ending {
	c.w.Write(c.statusLine(status))
	c.w.WriteString("Content-Length: 0\r\nConnection: close\r\n\r\n")
	if err := c.w.Flush(); err != nil {
		return c.lost(err)
	}
	return story.ServerEnds(story.FIN, story.WhyBadRequest)
}

// unsaid is what an answer says that is broken off before the connection's end
// was thought of.
func (c *conn) unsaid(req *http.Request) said {
	if c.old(req) && c.keeps(req) {
		return keeping
	}
	return nothing
}

// misbehave does what the fault puts in the place of an answer; nil when it
// leaves the answer alone.
func (c *conn) misbehave(req *http.Request, fault script.Fault) *story.Ending {
	switch fault {
	case script.CloseBeforeResponse, script.ResetBeforeResponse:
	case script.CloseInHeaders, script.ResetInHeaders:
		head := c.head(req, c.framing(req), c.unsaid(req))
		c.w.Write(head[:len(head)/2])
	case script.CloseDuringResponse, script.ResetDuringResponse:
		// Small, so that all of it has left when a reset throws away what has not.
		f := c.framing(req)
		c.w.Write(c.head(req, f, c.unsaid(req)))
		if req.Method != http.MethodHead {
			c.part(f, min(c.s.cfg.Body/2, int64(len(filler))))
		}
	case script.Garbage:
		c.w.WriteString("this is not HTTP\r\n\r\n")
	case script.EndlessHeaders:
		c.w.Write(c.statusLine(status(c.s.cfg)))
		return c.lost(c.endless(func(i uint64) error {
			_, err := fmt.Fprintf(c.w, "X-Endless-%d: %s\r\n", i, filler[:1000])
			return err
		}))
	case script.EndlessBody:
		f := c.framing(req)
		if f == byLength {
			f = byClose
		}
		say := c.unsaid(req)
		if f == byClose {
			say = closing
		}
		c.w.Write(c.head(req, f, say))
		return c.lost(c.endless(func(uint64) error { return c.part(f, int64(len(filler))) }))
	case script.Silent:
		_, err := io.Copy(io.Discard, c.r)
		if err == nil {
			err = io.EOF
		}
		return c.lost(err)
	default:
		return nil
	}
	if err := c.w.Flush(); err != nil {
		return c.lost(err)
	}
	return story.ServerEnds(howOf(fault), story.WhyFault)
}

// endless writes until writing fails: because the client is gone, or the
// server is being closed.
func (c *conn) endless(write func(i uint64) error) error {
	for i := uint64(0); ; i++ {
		if err := write(i); err != nil {
			return err
		}
	}
}
