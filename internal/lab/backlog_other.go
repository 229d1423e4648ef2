//go:build !unix

package lab

import (
	"errors"
	"net"
)

func setBacklog(*net.TCPListener, int) error {
	return errors.New("the length of the queue cannot be set on this system; remove backlog")
}
