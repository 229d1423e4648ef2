package lab

import (
	"errors"
	"io"
	"net"
)

// drip is a TCP connection that, when single, is read byte by byte. So a body
// that came along with the head, or with the end of the TLS handshake, stays in
// the kernel: without it there would be nothing unread to close on.
type drip struct {
	*net.TCPConn
	single bool
}

func (d *drip) Read(p []byte) (int, error) {
	if d.single && len(p) > 1 {
		p = p[:1]
	}
	return d.TCPConn.Read(p)
}

var errHeadTooLong = errors.New("the head of the request is too long")

// intake bounds how much is read and remembers why reading ended.
type intake struct {
	from io.Reader
	left int64
	err  error
}

func (in *intake) Read(p []byte) (n int, err error) {
	if in.left <= 0 {
		in.err = errHeadTooLong
		return 0, in.err
	}
	n, err = in.from.Read(p[:min(int64(len(p)), in.left)])
	in.left -= int64(n)
	if err != nil {
		in.err = err
	}
	return n, err
}
