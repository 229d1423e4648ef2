//go:build !linux

package dialers

import "net"

// inReset is not known.
func inReset(net.Conn) bool { return false }
