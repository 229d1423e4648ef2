package lab

import (
	"net/http"

	"github.com/kabench/kabench/profiles/script"
)

// early is whether, and how, the request is answered before its body is read.
func (c *conn) early(req *http.Request, fault script.Fault) script.Upload {
	if req.Body == http.NoBody || fault.WhileReading() {
		return script.ReadFirst
	}
	if upload := c.s.cfg.Upload; upload != script.AnswerRead || !c.expects(req) {
		return upload
	}
	return script.AnswerClose // whether the body still comes is not known
}

// sips reports whether the connection must leave in the kernel what follows a
// request's head.
func (c *conn) sips() bool { return c.s.cfg.Fault.WhileReading() || c.s.cfg.Upload != script.ReadFirst }
