//go:build !linux

package sockets

import (
	"fmt"
	"time"

	"github.com/kabench/kabench/internal/host"
	"github.com/kabench/kabench/internal/watch"
)

// A Watcher looks at sockets. It exists only on Linux.
type Watcher struct{}

// New returns an error that names what is missing; it is [host.ErrNeedsLinux].
func New(Config, time.Time) (*Watcher, error) {
	return nil, fmt.Errorf("sockets are seen by sock_diag(7) and /proc: %w", host.ErrNeedsLinux)
}

// Close does nothing.
func (*Watcher) Close() error { return nil }

// Look returns ErrNeedsLinux.
func (*Watcher) Look() (watch.Look, error) { return watch.Look{}, host.ErrNeedsLinux }

// SetPIDs does nothing.
func (*Watcher) SetPIDs([]int) {}

// Sees says that nothing is seen.
func (*Watcher) Sees() watch.Sees {
	return watch.Sees{Layer: watch.Sockets, Lacks: host.ErrNeedsLinux.Error()}
}
