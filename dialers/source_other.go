//go:build !linux

package dialers

import (
	"errors"
	"net/netip"
)

var errSourcesNeedLinux = errors.New("source addresses are used on Linux only; elsewhere a port taken from one is taken for every destination")

// bindSource always fails: see source_linux.go.
func bindSource(_ int, source netip.Addr) error { return &sourceError{source, errSourcesNeedLinux} }
