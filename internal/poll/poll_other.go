//go:build !linux

package poll

import "errors"

// Sockets says that sockets can be added.
const Sockets = false

// MaxEvents is how many events one Wait may return; the slice it is given must
// have room for them.
const MaxEvents = 1

// A Poller waits for the clock. It belongs to one goroutine, but for Wake.
type Poller struct{ *Clock }

// New returns a Poller.
func New() (*Poller, error) { return &Poller{NewClock()}, nil }

// Add refuses.
func (*Poller) Add(int, uint64) error { return errors.ErrUnsupported }
