//go:build !linux

package transport

import (
	"errors"
	"net/netip"
	"time"
)

var errSourcesNeedLinux = errors.New("source addresses are used on Linux only; on other systems each port of one would serve a single destination")

// Bind always fails: see bind_linux.go.
func Bind(_ int, source netip.Addr) error { return &SourceError{source, errSourcesNeedLinux} }

// SetUserTimeout always fails: see bind_linux.go.
func SetUserTimeout(int, time.Duration) error {
	return errors.New("TCP_USER_TIMEOUT is an option of Linux; this system has none")
}
