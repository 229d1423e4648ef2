package serve

import (
	"errors"
	"io"
)

// MaxHead is about how many bytes a request's head may have.
const MaxHead = 64 << 10

// ErrTooLong is the error of a Reader after Left bytes.
var ErrTooLong = errors.New("the head of the request is too long")

// Reader bounds how many bytes are read, and remembers why reading ended.
type Reader struct {
	From io.Reader
	Left int64 // bytes that may still be read
	Err  error // why reading ended
}

func (r *Reader) Read(p []byte) (n int, err error) {
	if r.Left <= 0 {
		r.Err = ErrTooLong
		return 0, r.Err
	}
	n, err = r.From.Read(p[:min(int64(len(p)), r.Left)])
	r.Left -= int64(n)
	if err != nil {
		r.Err = err
	}
	return n, err
}
