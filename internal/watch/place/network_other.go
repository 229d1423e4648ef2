//go:build !linux

package place

import (
	"context"
	"net"
)

// Network is a network namespace. It exists only on Linux.
type Network struct{}

// NetworkOf returns ErrNotLinux.
func NetworkOf(int) (*Network, error) { return nil, ErrNotLinux }

// Number returns 0.
func (*Network) Number() uint32 { return 0 }

// Own returns true: there is one.
func (*Network) Own() bool { return true }

// Close does nothing.
func (*Network) Close() error { return nil }

// Do runs f.
func (*Network) Do(f func() error) error { return f() }

// DialContext connects.
func (*Network) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, network, address)
}
