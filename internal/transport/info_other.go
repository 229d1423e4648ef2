//go:build !linux

package transport

import (
	"net"

	"github.com/kabench/kabench/results"
)

// Info knows nothing: only Linux has TCP_INFO.
func Info(net.Conn) (results.TCPInfo, bool) { return results.TCPInfo{}, false }
