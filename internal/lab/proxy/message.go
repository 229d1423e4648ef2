package proxy

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httputil"
	"net/textproto"
	"slices"
	"strconv"
	"strings"

	"github.com/kabench/kabench/internal/lab/serve"
	"github.com/kabench/kabench/profiles/script"
)

// message is the head of a request or a response as received, with its hop-by-hop
// headers; names are in canonical form.
type message struct {
	words  [3]string // of its first line
	header http.Header
}

var errMalformed = errors.New("not HTTP/1")

// readMessage reads a head. The error is that of reading, or errMalformed.
func readMessage(in *serve.Reader, r *bufio.Reader) (*message, error) {
	in.Err = nil
	text := textproto.NewReader(r)
	line, err := text.ReadLine()
	if err != nil {
		return nil, malformedOr(in, err)
	}
	m := &message{}
	words := strings.SplitN(line, " ", 3)
	copy(m.words[:], words)
	if len(words) < 2 {
		return nil, errMalformed
	}
	header, err := text.ReadMIMEHeader()
	if err != nil {
		return nil, malformedOr(in, err)
	}
	m.header = http.Header(header)
	return m, nil
}

// malformedOr returns the error of reading if there was one, because a head that was cut
// short may look malformed; otherwise errMalformed.
func malformedOr(in *serve.Reader, err error) error {
	switch {
	case errors.Is(in.Err, serve.ErrTooLong):
		return errMalformed
	case in.Err != nil:
		return in.Err
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return err
	}
	return errMalformed
}

// version returns the version of HTTP/1 that word names; false: it names none.
func version(word string) (script.Version, bool) {
	for _, v := range []script.Version{script.HTTP11, script.HTTP10} {
		if word == v.Protocol() {
			return v, true
		}
	}
	return 0, false
}

// hasToken reports whether the header, a list of words, has the word.
func (m *message) hasToken(header, word string) bool {
	return serve.HasToken(m.header.Values(header), word)
}

// framing is how a message says where its body ends.
type framing uint8

const (
	byLength framing = iota
	byChunks
	byClose
)

// extent is how long a body is.
type extent struct {
	framing
	length int64 // byLength
}

// extent returns the extent of the body according to the headers: RFC 9112, section 6.3;
// otherwise if they do not state any.
func (m *message) extent(otherwise extent) (extent, error) {
	if m.header.Get("Transfer-Encoding") != "" {
		if !m.hasToken("Transfer-Encoding", "chunked") {
			return extent{}, errMalformed
		}
		return extent{framing: byChunks}, nil
	}
	lengths := m.header.Values("Content-Length")
	if len(lengths) == 0 {
		return otherwise, nil
	}
	n, err := strconv.ParseUint(lengths[0], 10, 62)
	differs := func(other string) bool { return other != lengths[0] }
	if err != nil || slices.ContainsFunc(lengths, differs) {
		return extent{}, errMalformed
	}
	return extent{byLength, int64(n)}, nil
}

// writeHead appends the head with its headers in the order of their names.
func (m *message) writeHead(b []byte) []byte {
	b = append(b, strings.TrimRight(strings.Join(m.words[:], " "), " ")...)
	b = append(b, "\r\n"...)
	for _, name := range slices.Sorted(maps.Keys(m.header)) {
		for _, value := range m.header[name] {
			b = fmt.Appendf(b, "%s: %s\r\n", name, value)
		}
	}
	return append(b, "\r\n"...)
}

// open returns a reader of the body. If the body is cut short, its error is
// io.ErrUnexpectedEOF.
func (e extent) open(r *bufio.Reader) io.Reader {
	switch e.framing {
	case byChunks:
		return &chunked{Reader: httputil.NewChunkedReader(r), from: r}
	case byClose:
		return r
	}
	return &counted{r, e.length}
}

type counted struct {
	r    io.Reader
	left int64
}

func (c *counted) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	n, err := c.r.Read(p[:min(int64(len(p)), c.left)])
	if c.left -= int64(n); err == io.EOF && c.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// chunked reads a chunked body and drops its trailer.
type chunked struct {
	io.Reader
	from *bufio.Reader
	over bool
}

func (c *chunked) Read(p []byte) (int, error) {
	if c.over {
		return 0, io.EOF
	}
	n, err := c.Reader.Read(p)
	if err != io.EOF {
		return n, err
	}
	c.over = true
	if _, err := textproto.NewReader(c.from).ReadMIMEHeader(); err != nil {
		return n, io.ErrUnexpectedEOF
	}
	return n, io.EOF
}

// hopByHop are the headers that are for one connection only, even if Connection does
// not name them.
var hopByHop = []string{"Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

// endToEnd returns the headers without those for one connection: RFC 9110, section
// 7.6.1.
func (m *message) endToEnd() http.Header {
	h := m.header.Clone()
	for _, list := range m.header.Values("Connection") {
		for word := range strings.SplitSeq(list, ",") {
			h.Del(strings.TrimSpace(word))
		}
	}
	for _, name := range hopByHop {
		h.Del(name)
	}
	return h
}
