//go:build !linux

package poll

import "errors"

// Sockets reports whether sockets can be added.
const Sockets = false

// MaxEvents is how many events one Wait may return. Its slice must be that long.
const MaxEvents = 1

// A Poller waits for the clock. It belongs to one goroutine; only Wake may be called
// from others.
type Poller struct{ *Clock }

// New returns a Poller.
func New() (*Poller, error) { return &Poller{NewClock()}, nil }

// Add returns an error.
func (*Poller) Add(int, uint64) error { return errors.ErrUnsupported }
