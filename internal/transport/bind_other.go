//go:build !linux

package transport

import (
	"errors"
	"net/netip"
)

var errSourcesNeedLinux = errors.New("source addresses are used on Linux only; on other systems each port of one would serve a single destination")

// Bind always fails: see bind_linux.go.
func Bind(_ int, source netip.Addr) error { return &SourceError{source, errSourcesNeedLinux} }
