package lab

import (
	"fmt"
	"io"
	"net/http"

	"github.com/kabench/kabench/internal/lab/story"
	"github.com/kabench/kabench/profiles/script"
)

// misbehave does what the fault does instead of a response; nil if the fault leaves
// the response alone.
func (x *exchange) misbehave() *story.Ending {
	switch x.fault {
	case script.CloseBeforeResponse, script.ResetBeforeResponse:
	case script.CloseInHeaders, script.ResetInHeaders:
		head := x.head(x.framing, x.unfinished())
		x.w.Write(head[:len(head)/2])
	case script.CloseDuringResponse, script.ResetDuringResponse:
		// Small, so that all of it has left when a reset throws away what has not.
		x.w.Write(x.head(x.framing, x.unfinished()))
		if x.req.Method != http.MethodHead {
			x.part(x.framing, min(x.s.cfg.Body/2, int64(len(filler))))
		}
	case script.Garbage:
		x.w.WriteString("this is not HTTP\r\n\r\n")
	case script.EndlessHeaders:
		return x.endlessHeaders()
	case script.EndlessBody:
		return x.endlessBody()
	case script.Silent:
		_, err := io.Copy(io.Discard, x.r)
		if err == nil {
			err = io.EOF
		}
		return x.lost(err)
	default:
		return nil
	}
	if err := x.w.Flush(); err != nil {
		return x.lost(err)
	}
	return story.ServerEnds(howOf(x.fault), story.WhyFault)
}

// unfinished returns the Connection header of a response that the fault breaks off: the
// server has not decided to end the connection.
func (x *exchange) unfinished() connectionHeader {
	if x.http10() && x.keeps() {
		return saysKeepAlive
	}
	return saysNothing
}

func (x *exchange) endlessHeaders() *story.Ending {
	x.w.Write(x.s.statusLine(status(x.s.cfg)))
	return x.endless(func(i uint64) error {
		_, err := fmt.Fprintf(x.w, "X-Endless-%d: %s\r\n", i, filler[:1000])
		return err
	})
}

func (x *exchange) endlessBody() *story.Ending {
	f, says := x.framing, x.unfinished()
	if f != byChunks { // no length is that of a body without end
		f, says = byClose, saysClose
	}
	x.w.Write(x.head(f, says))
	return x.endless(func(uint64) error { return x.part(f, int64(len(filler))) })
}

// endless writes until writing fails: because the client is gone, or the
// server is being closed.
func (x *exchange) endless(write func(i uint64) error) *story.Ending {
	for i := uint64(0); ; i++ {
		if err := write(i); err != nil {
			return x.lost(err)
		}
	}
}
