//go:build !linux

package sandbox

import (
	"context"
	"io"
	"net"
	"net/netip"
	"os/exec"
	"time"

	"github.com/kabench/kabench/profiles/network"
)

// Stdio is what the child reads and writes.
type Stdio struct {
	In       io.Reader
	Out, Err io.Writer
}

// Inside is always false.
func Inside() bool { return false }

// Available returns ErrNeedsLinux.
func Available() error { return ErrNeedsLinux }

// Isolates returns ErrNeedsLinux.
func Isolates() error { return ErrNeedsLinux }

// LoopbackUp returns ErrNeedsLinux.
func LoopbackUp() error { return ErrNeedsLinux }

// Reexec returns ErrNeedsLinux.
func Reexec(context.Context, []string, Stdio) (code int, err error) { return 0, ErrNeedsLinux }

// Start returns ErrNeedsLinux, or what is wrong with cfg.
func Start(cfg network.Config) (*Network, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return nil, ErrNeedsLinux
}

// Network is never made.
type Network struct{}

// Began is the zero time.
func (*Network) Began() time.Time { return time.Time{} }

// Host returns nil.
func (*Network) Host(string) *Host { return nil }

// Addr returns no address.
func (*Network) Addr(string) netip.Addr { return netip.Addr{} }

// Event returns ErrNeedsLinux.
func (*Network) Event(string) error { return ErrNeedsLinux }

// Forget returns ErrNeedsLinux.
func (*Network) Forget(string) (flows int, err error) { return 0, ErrNeedsLinux }

// Connection returns nothing.
func (*Network) Connection(a, b netip.AddrPort, last int) []Packet { return nil }

// Packets does nothing.
func (*Network) Packets(func([2]netip.AddrPort, Packet)) {}

// Stats returns nothing.
func (*Network) Stats() Stats { return Stats{} }

// Blank does nothing.
func (*Network) Blank(func([]byte) [][2]int) {}

// WritePcapng returns ErrNeedsLinux.
func (*Network) WritePcapng(io.Writer) error { return ErrNeedsLinux }

// WriteFile returns ErrNeedsLinux.
func (*Network) WriteFile(string) error { return ErrNeedsLinux }

// Close returns nil.
func (*Network) Close() error { return nil }

// Host is never made.
type Host struct{}

// Name returns "".
func (*Host) Name() string { return "" }

// Do returns ErrNeedsLinux.
func (*Host) Do(func() error) error { return ErrNeedsLinux }

// Listen returns ErrNeedsLinux.
func (*Host) Listen(ctx context.Context, network, addr string) (net.Listener, error) {
	return nil, ErrNeedsLinux
}

// ListenPacket returns ErrNeedsLinux.
func (*Host) ListenPacket(ctx context.Context, network, addr string) (net.PacketConn, error) {
	return nil, ErrNeedsLinux
}

// Dial returns ErrNeedsLinux.
func (*Host) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return nil, ErrNeedsLinux
}

// DialWith returns ErrNeedsLinux.
func (*Host) DialWith(ctx context.Context, d *net.Dialer, network, addr string) (net.Conn, error) {
	return nil, ErrNeedsLinux
}

// Start returns ErrNeedsLinux.
func (*Host) Start(*exec.Cmd) error { return ErrNeedsLinux }

// Sysctl returns ErrNeedsLinux.
func (*Host) Sysctl(key, value string) error { return ErrNeedsLinux }

// ReadSysctl returns ErrNeedsLinux.
func (*Host) ReadSysctl(key string) (string, error) { return "", ErrNeedsLinux }
