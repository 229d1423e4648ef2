//go:build !linux

package host

// ReadCounters returns ErrNeedsLinux.
func ReadCounters() (Counters, error) { return nil, ErrNeedsLinux }
