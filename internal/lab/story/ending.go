package story

import (
	"errors"
	"io"
	"os"
	"syscall"
)

// Ending is how a connection ends.
type Ending struct {
	First Side
	How   How
	Why   Why
}

// ServerEnds is the ending of a connection that the server closes first.
func ServerEnds(how How, why Why) *Ending { return &Ending{ByServer, how, why} }

// ClientEnds is the ending of a connection that the client closes first.
func ClientEnds(how How, why Why) *Ending { return &Ending{ByClient, how, why} }

// Lost returns how a client's connection ends when reading or writing failed with err.
func Lost(err error) *Ending {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded): // only closing a server or proxy sets one
		return ServerEnds(FIN, WhyShutdown)
	case errors.Is(err, syscall.ECONNRESET):
		return ClientEnds(RST, WhyClient)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.EPIPE):
		// EPIPE, not ECONNRESET: the FIN came before the RST.
		return ClientEnds(FIN, WhyClient)
	}
	return ServerEnds(FIN, WhyBadRequest)
}
