//go:build !linux

package host

// ReadFacts leaves all facts zero: they are read as Linux tells them.
func ReadFacts() Facts { return Facts{} }

// Ports returns ErrNeedsLinux.
func Ports() (EphemeralPorts, error) { return EphemeralPorts{}, ErrNeedsLinux }
