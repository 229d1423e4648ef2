//go:build !linux

package host

import "time"

// CPUTime returns ErrNeedsLinux.
func CPUTime() (time.Duration, error) { return 0, ErrNeedsLinux }

// OpenFiles returns ErrNeedsLinux.
func OpenFiles() (int, error) { return 0, ErrNeedsLinux }

// PeakRSS returns ErrNeedsLinux.
func PeakRSS() (uint64, error) { return 0, ErrNeedsLinux }

// ResetPeakRSS returns ErrNeedsLinux.
func ResetPeakRSS() error { return ErrNeedsLinux }
