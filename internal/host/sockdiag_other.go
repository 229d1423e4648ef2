//go:build !linux

package host

// A SocketWatcher counts the TCP sockets of a Watch. Only Linux has one.
type SocketWatcher struct{}

// NewSocketWatcher returns ErrNeedsLinux.
func NewSocketWatcher(Watch) (*SocketWatcher, error) { return nil, ErrNeedsLinux }

// Count returns ErrNeedsLinux.
func (*SocketWatcher) Count() (SocketCount, error) { return SocketCount{}, ErrNeedsLinux }

// Close does nothing.
func (*SocketWatcher) Close() error { return nil }
