//go:build !linux

package transport

import (
	"errors"
	"net/netip"
)

// Socket is a connection without a goroutine. This system has none.
type Socket struct{ Transport }

// Connect always fails here.
func Connect(Loop, Listener, netip.AddrPort, Options) (*Socket, error) {
	return nil, errors.ErrUnsupported
}

// Connected always fails here.
func (s *Socket) Connected() error { return errors.ErrUnsupported }

// Token means nothing here.
func (s *Socket) Token() uint64 { return 0 }

// Drop does nothing here.
func (s *Socket) Drop() {}

// Remote is not known here.
func (s *Socket) Remote() netip.AddrPort { return netip.AddrPort{} }

// end does nothing here.
func (s *Socket) end() Closer { return CloserUnknown }
