//go:build !linux

package transport

import "time"

// Closings are sockets still to be closed. This system has no sockets without a goroutine.
type Closings struct{}

// Tend does nothing here.
func (c *Closings) Tend(time.Duration) (waiting bool) { return false }

// Now does nothing here.
func (c *Closings) Now() {}

// End does nothing here.
func (c *Closings) End() {}
