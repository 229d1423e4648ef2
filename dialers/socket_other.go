//go:build !linux

package dialers

import (
	"errors"
	"net/netip"
)

// socket is a connection without a goroutine: there are none here.
type socket struct {
	transport
	token uint64
}

func (c *Client) connect(netip.AddrPort, listener) (*socket, error) {
	return nil, errors.ErrUnsupported
}

func (s *socket) connected() error { return errors.ErrUnsupported }

func (s *socket) drop() {}
