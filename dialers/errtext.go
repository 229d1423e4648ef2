package dialers

import (
	"cmp"
	"context"
	"errors"
	"io"
	"syscall"

	"github.com/kabench/kabench/results"
)

// errorBehind is the error that the cause of an exchange was read from, and what
// else was seen if that says another thing; nil when it did not fail.
func errorBehind(cause results.Cause, f Facts) error {
	switch cause {
	case results.CauseNone:
		return nil
	case results.CauseAborted:
		return context.Canceled // what was seen is our own doing
	}
	_, _, by := classify(f)
	if by == nil {
		by = cmp.Or(f.Write, f.Read, f.Parse)
	}
	other := &seenError{err: by, what: "a write", other: f.Write}
	if by == f.Write {
		other.what, other.other = "a read", f.Read
	}
	if other.other == nil || by == nil || CauseOf(other.other) == CauseOf(by) {
		return by
	}
	return other
}

// seenError is the error behind a cause, beside one that says another thing: the
// kernel tells of a reset once, and whoever asks next hears of a broken pipe or
// of the stream's end.
type seenError struct {
	err   error
	what  string // met the other
	other error
}

func (e *seenError) Error() string {
	text := e.other.Error()
	if errno, ok := errors.AsType[syscall.Errno](e.other); ok {
		text = errno.Error() // the addresses are in the first one
	} else if errors.Is(e.other, io.EOF) {
		text = "EOF"
	}
	return e.err.Error() + "; " + e.what + " met: " + text
}

func (e *seenError) Unwrap() error { return e.err }

// hangupError is what was seen by a client that tells its caller only that the
// connection ended.
type hangupError struct{ err error }

func (e *hangupError) Error() string {
	return "this client tells no more than that the connection ended; seen: " + e.err.Error()
}

func (e *hangupError) Unwrap() error { return e.err }
