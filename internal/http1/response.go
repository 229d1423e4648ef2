// Package http1 parses HTTP/1.x responses as their bytes arrive. A [Response]
// says where the response ends, what its head promised of the connection, and
// what is malformed; it holds no socket and no clock.
package http1

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"
)

// NoKeepAlive is Response.KeepAlive of a response that announces no timeout.
const NoKeepAlive time.Duration = -1

const (
	// maxHead bounds the head of a response in bytes, interim (1xx) ones included.
	maxHead = 1 << 20
	// maxInterim bounds the interim (1xx) responses before a final one.
	maxInterim = 8
)

// ErrHeadTooLarge is the error of Feed when the head does not end within 1 MiB.
var ErrHeadTooLarge = errors.New("the response's head is larger than 1 MiB")

var errTooManyInterim = errors.New("more than 8 interim (1xx) responses before the final one")

// Response parses one HTTP/1.x response (RFC 9112). Feed it the bytes as they
// arrive; it keeps nothing of the body. It accepts and refuses what
// http.ReadResponse and the body it returns do, but refuses what is not HTTP
// sooner. Other differences are stated where they are. The zero value is not
// ready: call Reset.
type Response struct {
	StatusLine bool          // the status line of the head that is being read, or was read, is complete
	HeadRead   bool          // the head of the final response (101, or 200 and above) was read and understood
	Done       bool          // the response arrived whole
	Close      bool          // the connection ends after it: it says so, or is HTTP/1.0 without keep-alive, a 101, or ends with the stream
	Status     int           // 0 before HeadRead, as Length
	Length     int64         // Content-Length; -1: none, or overridden by chunked; 0 where there can be no body, except that to HEAD it is what a GET would have had
	HTTP10     bool          // it is of HTTP/1.0
	SaysKeep   bool          // it says Connection: keep-alive
	OldClose   bool          // Close is true for one reason only: it is HTTP/1.0 without keep-alive
	KeepAlive  time.Duration // Keep-Alive: timeout=N; NoKeepAlive before HeadRead, and when the response has none

	InterimBytes int // the length of the interim (1xx) responses before it

	toHEAD   bool
	part     part
	interims int   // 1xx responses before the final one
	room     int   // bytes that all heads, or the trailer, may still have
	left     int64 // bytes of the body that Content-Length announced and that have not come
	chunks   chunks
	head     head
	lines    lines
}

// part is where in a response the next byte belongs.
type part uint8

const (
	inHead    part = iota
	inLength       // a body as long as Content-Length
	inStream       // a body that ends with the stream
	inSize         // the line before a chunk
	inChunk        // its data
	inChunkCR      // the CR that ends the data
	inChunkLF      // the LF behind it
	inTrailer      // the fields behind the last chunk, and the blank line
)

// keptBuffer is the size in bytes up to which a buffer is kept for the next
// response: a pool may have tens of thousands of connections.
const keptBuffer = 16 << 10

// Reset makes r ready for the response to a request with the given method. The
// response to HEAD has no body.
func (r *Response) Reset(method string) {
	buf := r.lines.buf[:0]
	if cap(buf) > keptBuffer {
		buf = nil
	}
	*r = Response{toHEAD: method == "HEAD", room: maxHead, KeepAlive: NoKeepAlive, lines: lines{buf: buf}}
}

// Feed takes bytes and returns how many of them belong to the response. After an
// error, and when r is done, call Reset before the next Feed. The error is
// ErrHeadTooLarge, a *NotHTTPError, or says what is malformed.
func (r *Response) Feed(b []byte) (used int, err error) {
	for used < len(b) && !r.Done {
		n := 0
		switch rest := b[used:]; r.part {
		case inHead:
			n, err = r.feedHead(rest)
		case inLength:
			n = int(min(int64(len(rest)), r.left))
			r.left -= int64(n)
			r.Done = r.left == 0
		case inStream:
			n = len(rest)
		case inTrailer:
			n, err = r.feedTrailer(rest)
		default:
			n, err = r.feedChunk(rest)
		}
		used += n
		if err != nil {
			return used, err
		}
	}
	return used, nil
}

// End says that the stream has ended. That completes a response whose body ends with
// the stream. For any other response the error is io.ErrUnexpectedEOF.
func (r *Response) End() error {
	if r.part == inStream {
		r.Done = true
	}
	if !r.Done {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// feedHead takes bytes of the head, interim heads before it included.
func (r *Response) feedHead(b []byte) (used int, err error) {
	if r.lines.at == atStatus {
		if err := r.lines.begins(b); err != nil {
			return 0, err
		}
	}
	used, over, err := r.lines.feed(b[:min(len(b), r.room)], &r.head)
	r.room -= used
	r.StatusLine = r.lines.at != atStatus && r.head.code > 0
	switch {
	case err != nil:
		return used, err
	case over:
		return used, r.headOver()
	case r.room == 0:
		return used, ErrHeadTooLarge
	}
	return used, nil
}

// maxTrailer bounds, in bytes, the fields behind the last chunk and the blank
// line that ends them. It is what net/http allows: its reader's buffer.
const maxTrailer = 4096

// feedTrailer takes bytes of the trailer. net/http first waits until CRLF CRLF
// has come and then looks at the fields, so it is later to refuse some, and it
// accepts fields that end with a bare LF LF if CRLF CRLF happens to follow.
func (r *Response) feedTrailer(b []byte) (used int, err error) {
	used, over, err := r.lines.feed(b[:min(len(b), r.room)], nil)
	r.room -= used
	switch {
	case err != nil:
		return used, fmt.Errorf("in the trailer: %w", err)
	case over && !r.lines.endedInCRLF:
		return used, errTrailerEnd
	case !over && r.room == 0:
		return used, errTrailerTooLong
	}
	r.Done = over
	return used, nil
}

var (
	errTrailerEnd     = errors.New("the trailer does not end in CRLF CRLF")
	errTrailerTooLong = fmt.Errorf("the trailer is larger than %d bytes", maxTrailer)
	errChunkLine      = fmt.Errorf("malformed chunked body: the line with a chunk's size is longer than %d bytes", maxChunkLine)
	errChunkEnd       = errors.New("malformed chunked body: a chunk's data does not end in CRLF")
	errChunkExcess    = errors.New("malformed chunked body: far more chunk extensions than data")
)

// chunks is how far a chunked body (RFC 9112, section 7.1) has come.
type chunks struct {
	left   uint64 // bytes of the current chunk that have not arrived
	excess int64  // bytes of chunk lines beyond what the data makes plausible
}

// maxChunkLine bounds the line with a chunk's size and extensions, its CRLF
// included, as net/http does.
const maxChunkLine = 4096

// feedChunk takes bytes of a chunked body, at most one part's.
func (r *Response) feedChunk(b []byte) (used int, err error) {
	switch r.part {
	case inChunk:
		used = int(min(uint64(len(b)), r.chunks.left))
		r.chunks.left -= uint64(used)
		if r.chunks.left == 0 {
			r.part = inChunkCR
		}
		return used, nil
	case inChunkCR:
		if b[0] != '\r' {
			return 0, errChunkEnd
		}
		r.part = inChunkLF
		return 1, nil
	case inChunkLF:
		if b[0] != '\n' {
			return 0, errChunkEnd
		}
		r.part = inSize
		return 1, nil
	}
	b = b[:min(len(b), maxChunkLine-len(r.lines.buf))]
	line, used := r.lines.next(b)
	switch {
	case line != nil:
		r.lines.buf = r.lines.buf[:0]
		return used, r.beginChunk(line)
	case len(r.lines.buf) == maxChunkLine:
		return used, errChunkLine
	}
	return used, nil
}

// beginChunk reads the line before a chunk, its LF included. The last chunk has
// size 0, and the trailer follows it.
func (r *Response) beginChunk(line []byte) error {
	if i := bytes.IndexByte(line, '\r'); i < 0 || i != len(line)-2 {
		return fmt.Errorf("malformed chunked body: the line %.40q does not end in its only CR and LF", line)
	}
	line = line[:len(line)-2]
	c := &r.chunks
	c.excess += int64(len(line)) + 2
	size, _, _ := bytes.Cut(line, []byte(";")) // extensions are not used
	if len(size) == len(line) {
		size = bytes.TrimRight(size, " \t")
	}
	n, ok := parseHex(size)
	if !ok {
		return fmt.Errorf("malformed chunked body: chunk size %.40q", size)
	}
	if n == 0 {
		r.part, r.room = inTrailer, maxTrailer
		r.lines.begin(atFirst)
		return nil
	}
	// net/http's bound on extensions that carry bytes past the data: 16 bytes
	// per chunk and twice the data are plausible, 16 KiB more are accepted.
	c.excess = max(c.excess-16-2*int64(n), 0)
	if c.excess > 16<<10 {
		return errChunkExcess
	}
	r.part, c.left = inChunk, n
	return nil
}

// parseHex returns the value of 1 to 16 hexadecimal digits.
func parseHex(b []byte) (n uint64, ok bool) {
	if len(b) == 0 || len(b) > 16 {
		return 0, false
	}
	for _, c := range b {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		n = n<<4 | uint64(c)
	}
	return n, true
}

// Skip passes over n bytes that were not captured. It returns false, and changes
// nothing, if they may hold more than data of the body: then where the response ends
// cannot be known.
func (r *Response) Skip(n int64) bool {
	switch {
	case n <= 0:
	case r.part == inLength && r.HeadRead && !r.Done && n <= r.left:
		r.left -= n
		r.Done = r.left == 0
	case r.part == inStream && !r.Done:
	case r.part == inChunk && uint64(n) < r.chunks.left:
		r.chunks.left -= uint64(n)
	default:
		return false
	}
	return true
}
