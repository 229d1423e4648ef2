package conform

import "time"

// Script says what the server of a story does. The zero Script responds to each request
// at once and keeps connections open.
type Script struct {
	// Rules are tried in order for each request that has come whole; the first that fits
	// is followed. If none fits, the server responds at once.
	Rules []Rule
	// Idle is what happens to a connection that is idle after a response; nil: nothing.
	Idle *Idle
}

// Rule is what the server does with the requests that fit it.
type Rule struct {
	From, To         int // the place of the request on its connection, from 1; 0: no limit
	Arrival, Through int // the place among all requests of the story, from 1; 0: no limit
	Act
}

// fits reports whether r is for request number use of a connection, which is arrival
// number n of the story.
func (r Rule) fits(use, n int) bool {
	within := func(i, from, to int) bool { return i >= from && (to == 0 || i <= to) }
	return within(use, r.From, r.To) && within(n, r.Arrival, r.Through)
}

// Act is what the server does with a request.
type Act struct {
	Delay time.Duration // before the response
	// Quiet holds the response back until no request has arrived for so long. So all
	// requests that a client's pool lets through are at the server at once.
	Quiet time.Duration
	Once  bool // what has been quiet once does not hold responses back any more
	// Until holds it back until so long after the first request of the story.
	Until    time.Duration
	Response Response
	Cut      Cut // where the response ends too early
	End      End // what happens to the connection afterwards
}

// Response is a response of the server.
type Response struct {
	HTTP10  bool
	Status  int      // 0: 200
	Headers []string // whole lines, as "Connection: close"
	Body    int      // bytes
	Framing Framing  // how the body ends
}

// Framing is how a client knows the end of a body.
type Framing uint8

// The framings.
const (
	Length     Framing = iota // by Content-Length
	Chunked                   // by the last chunk
	UntilClose                // by the end of the connection
)

// Cut is a place in a response after which nothing more comes.
type Cut uint8

// The cuts, in the order of the bytes of a response.
const (
	Whole         Cut = iota // the response is not cut
	Nothing                  // no byte comes
	InStatus                 // within the status line
	AfterStatus              // after the status line
	InHeaders                // within a header
	AfterHeaders             // after the head, before the body
	InBody                   // within the body; within a chunk if there are chunks
	BetweenChunks            // after a whole chunk
)

// End is what the server does to a connection.
type End uint8

// The ends.
const (
	Keep       End = iota // nothing
	FIN                   // it closes: a FIN, and a RST for what comes then
	RST                   // it resets
	FINThenRST            // a FIN, and a RST a moment later: what a client sees whose request crossed the FIN
)

// Idle is what happens to an idle connection.
type Idle struct {
	After time.Duration // since the last response was written
	Uses  int           // only after this number of responses; 0: after each
	Conns int           // only to the first connections, this number of them; 0: to all
	Say   string        // sent first, unasked
	End   End
}

// applies reports whether something happens to a connection after a response.
func (i *Idle) applies(conn, uses int) bool {
	return i != nil && (i.Uses == 0 || i.Uses == uses) && (i.Conns == 0 || conn <= i.Conns)
}

// between is the time between the two halves of FINThenRST, and between a cut response
// and the end of its connection: long enough for a client to have read what came before.
const between = 120 * time.Millisecond

// bytes returns the response as it is sent, and without what Cut leaves out.
func (r Response) bytes(cut Cut, head bool) []byte {
	if cut == Nothing {
		return nil
	}
	version := "HTTP/1.1"
	if r.HTTP10 {
		version = "HTTP/1.0"
	}
	status := version + " " + statusText(r.Status)
	switch cut {
	case InStatus:
		return []byte(status[:len("HTTP/1.1 2")])
	case AfterStatus:
		return []byte(status + "\r\n")
	}
	out := status + "\r\n"
	for _, line := range r.Headers {
		out += line + "\r\n"
	}
	if cut == InHeaders {
		return []byte(out + "Content-Le")
	}
	switch r.Framing {
	case Length:
		out += "Content-Length: " + itoa(r.Body) + "\r\n"
	case Chunked:
		out += "Transfer-Encoding: chunked\r\n"
	}
	out += "\r\n"
	if cut == AfterHeaders || head {
		return []byte(out)
	}
	return append([]byte(out), r.body(cut)...)
}

// partOfBody is how many bytes of a body come before it is cut.
const partOfBody = 10

func (r Response) body(cut Cut) string {
	body := func(n int) string { return fill('y', n) }
	if r.Framing != Chunked {
		if cut == InBody {
			return body(min(partOfBody, r.Body/2))
		}
		return body(r.Body)
	}
	chunk := hex(r.Body) + "\r\n" + body(r.Body) + "\r\n"
	switch cut {
	case InBody:
		return hex(r.Body) + "\r\n" + body(min(partOfBody, r.Body/2))
	case BetweenChunks:
		return chunk
	}
	return chunk + "0\r\n\r\n"
}
