package lab

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"

	"github.com/kabench/kabench/internal/lab/serve"
	"github.com/kabench/kabench/internal/lab/story"
	"github.com/kabench/kabench/profiles/script"
)

// filler is what bodies are made of, and its length the size of their chunks.
var filler = bytes.Repeat([]byte("kabench "), 1<<10)

// framing is how a response says where its body ends.
type framing uint8

const (
	byLength framing = iota
	byChunks
	byClose
)

// framed is the framing that the script asks for; HTTP/1.0 knows no chunks.
func (x *exchange) framed() framing {
	switch {
	case x.s.cfg.UntilClose:
		return byClose
	case x.s.cfg.Chunked && x.req.ProtoAtLeast(1, 1):
		return byChunks
	}
	return byLength
}

// respond writes the whole response.
func (x *exchange) respond(says connectionHeader) error {
	x.w.Write(x.head(x.framing, says))
	if x.s.cfg.SplitWrites {
		if err := x.w.Flush(); err != nil {
			return err
		}
	}
	if x.req.Method != http.MethodHead && !script.Bodyless(x.s.cfg.Status) {
		for left := x.s.cfg.Body; left > 0; {
			n := min(left, int64(len(filler)))
			if err := x.part(x.framing, n); err != nil {
				return err
			}
			left -= n
		}
		if x.framing == byChunks {
			x.w.WriteString("0\r\n\r\n")
		}
	}
	return x.w.Flush()
}

// head is the status line and headers of the response.
func (x *exchange) head(f framing, says connectionHeader) []byte {
	b := x.s.statusLine(status(x.s.cfg))
	switch {
	case script.Bodyless(x.s.cfg.Status) || f == byClose:
	case f == byChunks:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	default:
		b = fmt.Appendf(b, "Content-Length: %d\r\n", x.s.cfg.Body)
	}
	switch {
	case says == saysClose:
		b = append(b, "Connection: close\r\n"...)
	case x.hints() && f != byClose:
		b = fmt.Appendf(b, "Connection: keep-alive\r\nKeep-Alive: %s\r\n", x.s.cfg.Hint)
	case says == saysKeepAlive:
		b = append(b, "Connection: keep-alive\r\n"...)
	}
	return append(b, "\r\n"...)
}

// hints reports whether the response has a Keep-Alive header.
func (x *exchange) hints() bool {
	cfg := x.s.cfg
	return cfg.Hint != "" && !(x.http10() && !x.keeps()) &&
		(!cfg.HintIfAsked || serve.HasToken(x.req.Header.Values("Connection"), "keep-alive"))
}

// status is the status of a server's responses.
func status(cfg script.Server) int {
	if cfg.Status == 0 {
		return http.StatusOK
	}
	return cfg.Status
}

func (s *Server) statusLine(status int) []byte {
	return fmt.Appendf(make([]byte, 0, 128), "%s %d %s\r\n", s.cfg.Version.Protocol(), status, http.StatusText(status))
}

// part writes n bytes of the body, at most len(filler), as one chunk if chunked.
func (x *exchange) part(f framing, n int64) error {
	if f == byChunks {
		x.w.WriteString(strconv.FormatInt(n, 16) + "\r\n")
	}
	_, err := x.w.Write(filler[:n])
	if f == byChunks {
		_, err = x.w.WriteString("\r\n")
	}
	return err
}

// refuse responds to a request that could not be read and ends the connection.
func (x *exchange) refuse(status int) *story.Ending {
	x.w.Write(x.s.statusLine(status))
	x.w.WriteString("Content-Length: 0\r\nConnection: close\r\n\r\n")
	if err := x.w.Flush(); err != nil {
		return x.lost(err)
	}
	return story.ServerEnds(story.FIN, story.WhyBadRequest)
}
