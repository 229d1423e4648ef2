package dialers

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/kabench/kabench/dialers/pool"
)

// reply reads one HTTP/1.x response (RFC 9112), fed as it arrives, and keeps
// nothing of its body. It accepts and refuses what http.ReadResponse and the
// body it returns do, and is sooner to refuse what is not HTTP; where it differs, it says so at the place. Its zero value
// is not ready: call reset.
type reply struct {
	headRead bool          // the head of the final response (101 or 200 and above) was read and understood
	done     bool          // the response arrived whole
	close    bool          // the connection ends after it: it says so, or is HTTP/1.0 without keep-alive, a 101, or ends with the stream
	status   int           // 0 before headRead, as length and hint
	length   int64         // Content-Length; -1: none, or overridden by chunked; 0 where there can be no body, except that to HEAD it is what a GET would have had
	hint     time.Duration // Keep-Alive: timeout=N; pool.NoHint without

	toHEAD  bool
	part    replyPart
	interim int   // 1xx responses before the final one
	before  int   // their bytes
	room    int   // bytes that all heads, or the trailer, may still have
	left    int64 // bytes of the body that Content-Length announced and that have not come
	chunks  replyChunks
	head    replyHead
	lines   replyLines
}

// replyPart is where in a response the next byte belongs.
type replyPart uint8

const (
	inHead    replyPart = iota
	inLength            // a body as long as Content-Length
	inStream            // a body that ends with the stream
	inSize              // the line before a chunk
	inChunk             // its data
	inChunkCR           // the CR that ends the data
	inChunkLF           // the LF behind it
	inTrailer           // the fields behind the last chunk, and the blank line
)

// keptBuffer is the size in bytes up to which a buffer is kept for the next
// response: a pool may have tens of thousands of connections.
const keptBuffer = 16 << 10

// reset makes r ready for the response to a request with the given method. The
// response to HEAD has no body.
func (r *reply) reset(method string) {
	buf := r.lines.buf[:0]
	if cap(buf) > keptBuffer {
		buf = nil
	}
	*r = reply{toHEAD: method == "HEAD", room: maxHead, hint: pool.NoHint, lines: replyLines{buf: buf}}
}

// feed takes what has come and returns how much of it belongs to the response.
// It must not be called again, until reset, after an error or when r is done.
// The error is errHeadTooLarge, errTooManyInterim, a *notHTTPError, or says what is malformed.
func (r *reply) feed(b []byte) (used int, err error) {
	for used < len(b) && !r.done {
		n := 0
		switch rest := b[used:]; r.part {
		case inHead:
			n, err = r.feedHead(rest)
		case inLength:
			n = int(min(int64(len(rest)), r.left))
			r.left -= int64(n)
			r.done = r.left == 0
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

// end says that the stream has ended. That completes a response whose body ends
// with it; any other is cut short, and the error is io.ErrUnexpectedEOF.
func (r *reply) end() error {
	if r.part == inStream {
		r.done = true
	}
	if !r.done {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// feedHead takes bytes of the head, interim heads before it included.
func (r *reply) feedHead(b []byte) (used int, err error) {
	if r.lines.at == atStatus {
		if err := r.lines.begins(b); err != nil {
			return 0, err
		}
	}
	used, over, err := r.lines.feed(b[:min(len(b), r.room)], &r.head)
	r.room -= used
	switch {
	case err != nil:
		return used, err
	case over:
		return used, r.headOver()
	case r.room == 0:
		return used, errHeadTooLarge
	}
	return used, nil
}

// maxTrailer bounds, in bytes, the fields behind the last chunk and the blank
// line that ends them. It is what net/http allows: its reader's buffer.
const maxTrailer = 4096

// feedTrailer takes bytes of the trailer. net/http first waits until CRLF CRLF
// has come and then looks at the fields, so it is later to refuse some, and it
// accepts fields that end with a bare LF LF if CRLF CRLF happens to follow.
func (r *reply) feedTrailer(b []byte) (used int, err error) {
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
	r.done = over
	return used, nil
}

var (
	errTrailerEnd     = errors.New("the trailer does not end in CRLF CRLF")
	errTrailerTooLong = fmt.Errorf("the trailer is larger than %d bytes", maxTrailer)
	errChunkLine      = fmt.Errorf("malformed chunked body: the line with a chunk's size is longer than %d bytes", maxChunkLine)
	errChunkEnd       = errors.New("malformed chunked body: a chunk's data does not end in CRLF")
	errChunkExcess    = errors.New("malformed chunked body: far more chunk extensions than data")
)

// replyChunks is how far a chunked body (RFC 9112, section 7.1) has come.
type replyChunks struct {
	left   uint64 // bytes of data that have not come of the chunk under way
	excess int64  // bytes of chunk lines beyond what the data makes plausible
}

// maxChunkLine bounds the line with a chunk's size and extensions, its CRLF
// included, as net/http does.
const maxChunkLine = 4096

// feedChunk takes bytes of a chunked body, at most one part's.
func (r *reply) feedChunk(b []byte) (used int, err error) {
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
func (r *reply) beginChunk(line []byte) error {
	if i := bytes.IndexByte(line, '\r'); i < 0 || i != len(line)-2 {
		return fmt.Errorf("malformed chunked body: the line %.40q does not end in its only CR and LF", line)
	}
	line = line[:len(line)-2]
	c := &r.chunks
	c.excess += int64(len(line)) + 2
	size, _, _ := bytes.Cut(line, []byte(";")) // extensions are of no use here
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
	// per chunk and twice the data are plausible, 16 KiB more are borne.
	c.excess = max(c.excess-16-2*int64(n), 0)
	if c.excess > 16<<10 {
		return errChunkExcess
	}
	r.part, c.left = inChunk, n
	return nil
}

// parseHex is the number that 1 to 16 hexadecimal digits are.
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
