package conform

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http/httputil"
	"strconv"
	"strings"
)

// request is what the server needs to know of a request.
type request struct {
	begun  bool // a byte of it came
	method string
	id     string // its X-Request-Id
}

// mostHead bounds the head of a request.
const mostHead = 64 << 10

// readRequest reads one request with its body. It shares no code with the clients that it
// is to judge. The error says that the request did not come to its end.
func readRequest(in *bufio.Reader) (request, error) {
	var r request
	if _, err := in.Peek(1); err != nil {
		return r, err
	}
	r.begun = true
	line, size := "", 0
	next := func() error {
		text, err := in.ReadString('\n')
		if size += len(text); size > mostHead {
			return errors.New("the head of a request is too long")
		}
		line = strings.TrimRight(text, "\r\n")
		return err
	}
	if err := next(); err != nil {
		return r, err
	}
	r.method, _, _ = strings.Cut(line, " ")
	length, chunked := int64(0), false
	for {
		if err := next(); err != nil {
			return r, err
		}
		if line == "" {
			break
		}
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch strings.ToLower(name) {
		case "x-request-id":
			r.id = value
		case "content-length":
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil || n < 0 {
				return r, fmt.Errorf("Content-Length %q is not a length", value)
			}
			length = n
		case "transfer-encoding":
			chunked = strings.EqualFold(value, "chunked")
		}
	}
	if !chunked {
		_, err := io.CopyN(io.Discard, in, length)
		return r, err
	}
	if _, err := io.Copy(io.Discard, httputil.NewChunkedReader(in)); err != nil {
		return r, err
	}
	for { // the trailer
		if err := next(); err != nil || line == "" {
			return r, err
		}
	}
}
