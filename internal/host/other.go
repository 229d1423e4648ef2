//go:build !linux

package host

import "time"

// ReadFacts returns zero facts: they can be read only on Linux.
func ReadFacts() Facts { return Facts{} }

// Ports returns ErrNeedsLinux.
func Ports() (EphemeralPorts, error) { return EphemeralPorts{}, ErrNeedsLinux }

// ReadFitness returns zero facts: they can be read only on Linux.
func ReadFitness() Fitness { return Fitness{} }

// TryNamespaces returns ErrNeedsLinux for both.
func TryNamespaces(...string) Namespaces { return Namespaces{ErrNeedsLinux, ErrNeedsLinux} }

// CPUTime returns ErrNeedsLinux.
func CPUTime() (time.Duration, error) { return 0, ErrNeedsLinux }

// OpenFiles returns ErrNeedsLinux.
func OpenFiles() (int, error) { return 0, ErrNeedsLinux }

// PeakRSS returns ErrNeedsLinux.
func PeakRSS() (uint64, error) { return 0, ErrNeedsLinux }

// ResetPeakRSS returns ErrNeedsLinux.
func ResetPeakRSS() error { return ErrNeedsLinux }

// ReadCPUTimes returns ErrNeedsLinux.
func ReadCPUTimes() (CPUTimes, error) { return CPUTimes{}, ErrNeedsLinux }

// CPUPressure returns ErrNeedsLinux.
func CPUPressure() (time.Duration, error) { return 0, ErrNeedsLinux }

// InvoluntarySwitches returns ErrNeedsLinux.
func InvoluntarySwitches() (uint64, error) { return 0, ErrNeedsLinux }

// ReadCPUQuota returns ErrNeedsLinux.
func ReadCPUQuota() (CPUQuota, error) { return CPUQuota{}, ErrNeedsLinux }

// ReadCounters returns ErrNeedsLinux.
func ReadCounters() (Counters, error) { return nil, ErrNeedsLinux }

// A SocketWatcher counts the TCP sockets of a Watch. It exists only on Linux.
type SocketWatcher struct{}

// NewSocketWatcher returns ErrNeedsLinux.
func NewSocketWatcher(Watch) (*SocketWatcher, error) { return nil, ErrNeedsLinux }

// Count returns ErrNeedsLinux.
func (*SocketWatcher) Count() (SocketCount, error) { return SocketCount{}, ErrNeedsLinux }

// Close does nothing.
func (*SocketWatcher) Close() error { return nil }
