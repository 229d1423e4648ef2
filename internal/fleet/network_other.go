//go:build !linux

package fleet

import "os"

// network is the same for processes that share their network: here, those of one host.
func network() string {
	host, _ := os.Hostname()
	return host
}
