package lab

import (
	"net/http"

	"github.com/kabench/kabench/internal/enum"
)

// Upload is what a server does with a request that has a body. To answer before
// the body is read the server takes the head off the socket byte by byte, so
// that the body stays in the kernel: it is what a close then finds unread.
type Upload uint8

const (
	ReadFirst   Upload = iota // reads it, then answers
	AnswerClose               // answers, saying close, and closes without having read it: RST, unless AfterFIN drains
	AnswerRead                // answers, then reads it and keeps the connection
	ShutInput                 // closes its input half, then as AnswerClose
)

var uploadNames = enum.Names[Upload]{"read", "answer_close", "answer_read", "shut_input"}

func (u Upload) String() string                   { return uploadNames.Text(u) }
func (u Upload) MarshalText() ([]byte, error)     { return uploadNames.Marshal(u) }
func (u *Upload) UnmarshalText(text []byte) error { return uploadNames.Unmarshal(text, u) }

// early is whether, and how, the request is answered before its body is read.
func (c *conn) early(req *http.Request, fault Fault) Upload {
	if req.Body == http.NoBody || fault.whileReading() {
		return ReadFirst
	}
	if upload := c.s.cfg.Upload; upload != AnswerRead || !c.expects(req) {
		return upload
	}
	return AnswerClose // whether the body still comes is not known
}

// sips reports whether the connection must leave in the kernel what follows a
// request's head.
func (c *conn) sips() bool { return c.s.cfg.Fault.whileReading() || c.s.cfg.Upload != ReadFirst }
