package applog

import (
	"fmt"
	"time"

	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/results"
)

// unanswered makes the request that has no response a part of the connection, and says
// how it met the end as far as the log shows it.
func (s *lives) unanswered(c *life) {
	u := c.request
	u.Apart = 0
	if c.Close.At != evidence.NotSeen && u.Sent != evidence.NotSeen {
		u.Apart = max(c.Close.At-u.Sent, 0)
	}
	quick, middle, known := s.usual(c)
	c.Early = known && u.First == evidence.NotSeen && u.Sent != evidence.NotSeen && c.Close.At != evidence.NotSeen && u.Apart*10 <= quick*7 && c.Close.How == evidence.FIN && c.Close.By != evidence.ByClient
	u.Met, u.Basis, u.Why = c.meet(u, quick, middle, known)
	c.Unanswered = append(c.Unanswered, u)
	if s.failed++; s.failed > maxFailedQuotes {
		return
	}
	if c.asked.number == c.ended.number { // a log of failures has one line for all
		c.Quotes = []Quote{quote(c.ended, "a request without a whole response: "+c.Close.Why)}
		return
	}
	if c.done != nil && u.Reused {
		c.Quotes = append(c.Quotes, quote(c.done, "the response before it was complete"))
	}
	c.Quotes = append(c.Quotes, quote(c.asked, "the request was written"))
	if c.first != nil {
		c.Quotes = append(c.Quotes, quote(c.first, "the response began"))
	}
	c.Quotes = append(c.Quotes, quote(c.ended, "the end: "+c.Close.Why))
}

// meet says how a request without a whole response met the end of its connection.
func (c *life) meet(u evidence.Unanswered, quick, middle time.Duration, known bool) (evidence.Meeting, evidence.Basis, string) {
	far := ""
	if u.Sent != evidence.NotSeen && c.Close.At != evidence.NotSeen {
		far = results.FormatSeconds(u.Apart.Seconds()) + " "
	}
	if far != "" && u.Apart == 0 {
		far = "less than a step of the log's clock "
	}
	switch {
	case c.Close.By == evidence.ByClient:
		return evidence.Abandoned, c.Close.Basis, c.Close.Why
	case u.First != evidence.NotSeen:
		return evidence.Arrived, evidence.Seen, "a response had begun, so the request had arrived"
	case c.passive:
		return evidence.Arrived, evidence.Seen, "the server's own log shows that the request was read"
	case c.Close.How == evidence.RST && known && far != "" && u.Apart*10 >= quick*9:
		return evidence.Arrived, evidence.Inferred, fmt.Sprintf("the reset came %safter the request, and responses take %s: the server had time to read it", far, results.FormatSeconds(middle.Seconds()))
	case c.Close.How == evidence.RST && (u.Reused || u.Nth == 0):
		return evidence.Forgotten, evidence.Inferred, "the log says reset, and shows no close before it; who sent the RST, and whether the request had arrived, no log says"
	case u.Nth == 1 && !u.Reused:
		return evidence.Arrived, evidence.Inferred, fmt.Sprintf("it was the first request of its connection, so no idle timer had run out; the end came %safter it", far)
	case far == "":
		return evidence.Crossed, evidence.Unknown, "the log does not say when the end came"
	case !known:
		return evidence.Crossed, evidence.Unknown, "the log has no response of this server to compare the time with"
	}
	usual := results.FormatSeconds(middle.Seconds())
	switch {
	case u.Apart*10 >= middle*9:
		return evidence.Arrived, evidence.Inferred, fmt.Sprintf("the end came %safter the request, and responses take %s: the server had time to read it", far, usual)
	case u.Apart*10 > quick*7:
		return evidence.Crossed, evidence.Unknown, fmt.Sprintf("the end came %safter the request, and responses take %s: too close to decide", far, usual)
	case c.Lazy:
		return evidence.Late, evidence.Inferred, fmt.Sprintf("the end came %safter the request, and responses take %s: the close was on the way or already there. This client looks at an idle connection only when it uses it, so it was probably there", far, usual)
	}
	return evidence.Crossed, evidence.Unknown, fmt.Sprintf("the end came %safter the request, and responses take %s: the server closed for another reason than the request. Whether the two crossed, or one had arrived before the other, only a capture shows", far, usual)
}
