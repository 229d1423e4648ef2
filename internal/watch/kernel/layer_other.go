//go:build !linux

package kernel

import (
	"time"

	"github.com/kabench/kabench/internal/watch"
)

// Layer watches the sockets.
type Layer struct{ sees watch.Sees }

// Open returns a layer that is off: there are no such tracepoints here.
func Open(Want, time.Time) *Layer { return off("Linux 5.8 or newer") }

// Add does nothing.
func (*Layer) Add(watch.Ends) error { return nil }

// Take does nothing.
func (*Layer) Take(func(watch.Event)) {}

// Sees says that the layer is off.
func (l *Layer) Sees() watch.Sees { return l.sees }

// Close does nothing.
func (*Layer) Close() error { return nil }
