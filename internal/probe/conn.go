package probe

import (
	"bytes"
	"errors"
	"io"
	"syscall"
	"time"

	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/http1"
	"github.com/kabench/kabench/internal/transport"
)

// state is what a connection waits for.
type state uint8

const (
	planned state = iota // for its time to be opened
	dialing
	pausing // for its time to send the next request, or half head
	asking  // for the response
	idle    // for the server to close it, or for the time of a late request
	closing // for its reader to return
	done
)

// never is a time that does not come.
const never time.Duration = 1<<63 - 1

// conn is a connection of the probe. The loop of its site owns it.
type conn struct {
	plan  Opening
	state state
	next  time.Duration // when the loop must act on it, or never
	wire  *wire         // nil before it is opened and after it is done
	seen  evidence.Connection
	sent  int   // requests
	late  bool  // the request under way is a late one
	asked bool  // the request under way was one of ours
	err   error // why it could not be opened, or what was wrong with a response

	response http1.Response
	head     []byte // of the response, as far as it has come
	length   int64  // of the response so far
	location string // where a redirect points to

	readAt    time.Time     // when bytes of a response were read the last time
	unstamped bool          // the kernel did not say when they had come
	endedAt   time.Time     // when the close was noticed; see site.slack
	endedTick time.Duration // by how much that can be late at most, by the kernel; unknownSlack: it does not say
}

func newConn(plan Opening) *conn {
	never := evidence.NotSeen
	return &conn{plan: plan, next: plan.At, seen: evidence.Connection{
		Opened: never, Ready: never, Half: never, Until: never, Close: evidence.Close{At: never, FIN: never},
	}}
}

// last is the exchange under way, or the last one. There must be one.
func (c *conn) last() *evidence.Exchange { return &c.seen.Exchanges[len(c.seen.Exchanges)-1] }

// begin notes a request that was sent at the time at, or with NotSeen a response that
// nobody has asked for.
func (c *conn) begin(at time.Duration, asks bool, method string) {
	c.seen.Exchanges = append(c.seen.Exchanges, evidence.Exchange{Sent: at, First: evidence.NotSeen, Done: evidence.NotSeen, Asked: asks})
	c.response.Reset(method)
	c.head, c.length, c.asked = c.head[:0], 0, at != evidence.NotSeen
}

// maxBody is how much of a response is read.
const maxBody = 4 << 20

var errLong = errors.New("the response is longer than 4 MiB; name a smaller resource, or use --method HEAD")

// receive takes bytes of a response and reports whether it is complete.
func (c *conn) receive(b []byte, at time.Duration) (whole bool, err error) {
	e := c.last()
	if e.First == evidence.NotSeen {
		e.First = at
	}
	had := c.response.HeadRead
	if !had {
		c.head = append(c.head, b...)
	}
	if c.length += int64(len(b)); c.length > maxBody {
		return false, errLong
	}
	if _, err := c.response.Feed(b); err != nil {
		return false, err
	}
	if !had && c.response.HeadRead {
		c.readHead()
	}
	if c.response.Done {
		e.Done = at
	}
	return c.response.Done, nil
}

// readHead notes what the head of the final response says.
func (c *conn) readHead() {
	e := c.last()
	head := c.head[min(c.response.InterimBytes, len(c.head)):]
	if end := bytes.Index(head, []byte("\r\n\r\n")); end >= 0 {
		head = head[:end]
	}
	said := readHead(head)
	e.Status, e.Closing, e.Hint, e.Backend = c.response.Status, c.response.Close, said.hint, said.backend
	if e.Status >= 300 && e.Status < 400 {
		c.location = said.location
	}
}

// ended notes how the peer has ended the connection at the time at. It reports whether a
// response was complete by that.
func (c *conn) ended(err error, at time.Duration) (whole bool) {
	over := err == io.EOF || errors.Is(err, transport.ErrCloseNotify)
	if c.state == asking && over && c.response.End() == nil {
		c.last().Done, whole = at, true
	}
	cl := &c.seen.Close
	if cl.How == evidence.Notify {
		if err == io.EOF && cl.FIN == evidence.NotSeen {
			cl.FIN = at
		}
		return whole
	}
	if cl.How != evidence.Open {
		return whole
	}
	*cl = evidence.Close{Basis: evidence.Seen, By: evidence.ByServer, At: at, FIN: evidence.NotSeen}
	switch {
	case err == io.EOF:
		cl.How, cl.Why = evidence.FIN, "a FIN came before this end had closed"
	case errors.Is(err, transport.ErrCloseNotify):
		cl.How, cl.Why = evidence.Notify, "a close_notify came before this end had closed"
	case errors.Is(err, syscall.ETIMEDOUT):
		cl.How, cl.By, cl.Basis, cl.Why = evidence.Silent, evidence.ByMiddle, evidence.Inferred, "what was sent was never acknowledged"
	case errors.Is(err, syscall.ECONNRESET):
		cl.How, cl.Basis, cl.Why = evidence.RST, evidence.Inferred, "an RST came; a machine between the ends can have sent it as well"
	default:
		cl.How, cl.Basis, cl.Why = evidence.FIN, evidence.Inferred, err.Error()
	}
	return whole
}

// carried reports whether c has carried a whole exchange, so that it was kept or not.
func (c *conn) carried() bool {
	return len(c.seen.Exchanges) > 0 && c.seen.Exchanges[0].Done != evidence.NotSeen
}

// closed reports whether the peer has ended the connection.
func (c *conn) closed() bool { return c.seen.Close.How != evidence.Open }

// isLate reports whether the next request on c is a late one.
func (c *conn) isLate() bool { return c.state == idle && c.plan.Role == Late && c.sent == 1 }
