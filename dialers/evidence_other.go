//go:build !linux

package dialers

import (
	"net"

	"github.com/kabench/kabench/results"
)

// connInfo knows nothing: TCP_INFO is Linux's.
func connInfo(net.Conn) (results.TCPInfo, bool) { return results.TCPInfo{}, false }
