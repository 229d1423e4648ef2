//go:build !linux

package packetring

import "net/netip"

// Ring takes nothing here.
type Ring struct{}

// Open returns ErrNotAllowed.
func Open([]netip.AddrPort, What) (*Ring, error) { return nil, ErrNotAllowed }

// Drain does nothing.
func (*Ring) Drain(func(data []byte, size int, wall int64)) {}

// Noticed returns 0.
func (*Ring) Noticed() uint64 { return 0 }

// Lost returns 0.
func (*Ring) Lost() uint64 { return 0 }

// Close does nothing.
func (*Ring) Close() {}
