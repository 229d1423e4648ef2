//go:build !linux

package machine

import "os"

// Network is the same for processes that share their network: here, those of one host.
func Network() string {
	host, _ := os.Hostname()
	return host
}
