//go:build !linux

package transport

import (
	"errors"
	"net/netip"
)

var errSourcesNeedLinux = errors.New("source addresses are used on Linux only; elsewhere a port taken from one is taken for every destination")

// Bind always fails: see bind_linux.go.
func Bind(_ int, source netip.Addr) error { return &SourceError{source, errSourcesNeedLinux} }
