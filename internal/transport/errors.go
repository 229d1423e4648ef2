package transport

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
)

// TLSError is what crypto/tls found wrong with what the peer sent: no read of
// the TCP connection below had failed.
type TLSError struct{ Err error }

func (e *TLSError) Error() string { return e.Err.Error() }
func (e *TLSError) Unwrap() error { return e.Err }

// SourceError is a socket that could not be bound to its source address. It is
// not the error of a connect: EADDRNOTAVAIL means here that this machine does
// not have the address, and there that the address has no port left.
type SourceError struct {
	Source netip.Addr
	Err    error
}

func (e *SourceError) Error() string {
	if errors.Is(e.Err, syscall.EADDRNOTAVAIL) {
		return fmt.Sprintf("%v is not an address of this machine", e.Source)
	}
	return fmt.Sprintf("binding to %v: %v", e.Source, e.Err)
}

func (e *SourceError) Unwrap() error { return e.Err }

// netError is the error that package net would make of a failed operation.
func netError(op string, local, remote net.Addr, err error) error {
	if err == nil {
		return nil
	}
	if _, isCall := err.(*os.SyscallError); !isCall {
		err = os.NewSyscallError(op, err)
	}
	return &net.OpError{Op: op, Net: "tcp", Source: local, Addr: remote, Err: err}
}
