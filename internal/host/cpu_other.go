//go:build !linux

package host

import "time"

// ReadCPUTimes returns ErrNeedsLinux.
func ReadCPUTimes() (CPUTimes, error) { return CPUTimes{}, ErrNeedsLinux }

// CPUPressure returns ErrNeedsLinux.
func CPUPressure() (time.Duration, error) { return 0, ErrNeedsLinux }

// InvoluntarySwitches returns ErrNeedsLinux.
func InvoluntarySwitches() (uint64, error) { return 0, ErrNeedsLinux }

// ReadCPUQuota returns ErrNeedsLinux.
func ReadCPUQuota() (CPUQuota, error) { return CPUQuota{}, ErrNeedsLinux }
