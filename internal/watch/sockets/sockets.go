// Package sockets looks at the TCP connections of a service in the kernel's tables, by
// sock_diag(7) and /proc/N/fd. It needs no privilege beyond being the service's user.
package sockets

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Config says which connections are watched. With neither Targets nor Listen, they are all
// connections of the processes.
type Config struct {
	PIDs    []int            // processes whose sockets count; none: all processes of the network namespace
	Targets []netip.AddrPort // connections that were opened to these addresses
	Listen  []uint16         // connections that were accepted at these ports
}

// Errors of processes, in a [*ProcessError].
var (
	ErrNoProcess = errors.New("there is no such process")
	ErrEnded     = errors.New("the process has ended")
	ErrForeign   = errors.New("the process belongs to another user, or hides its files; watch as that user or as root, or without the process by target or port")
)

// ProcessError says why the sockets of a process are not known.
type ProcessError struct {
	PID int
	Err error // one of the errors above
}

func (e *ProcessError) Error() string { return fmt.Sprintf("process %d: %v", e.PID, e.Err) }

// Unwrap returns the cause.
func (e *ProcessError) Unwrap() error { return e.Err }

// Validate returns all complaints about c.
func (c Config) Validate() error {
	var errs []error
	if len(c.PIDs)+len(c.Targets)+len(c.Listen) == 0 {
		errs = append(errs, errors.New("nothing to watch: give a process, a target or a port"))
	}
	for _, pid := range c.PIDs {
		if pid <= 0 {
			errs = append(errs, fmt.Errorf("process %d: a process has a number above 0", pid))
		}
	}
	for _, t := range c.Targets {
		if !t.IsValid() || t.Port() == 0 {
			errs = append(errs, fmt.Errorf("target %s: want an IP address and a port above 0", t))
		}
	}
	if slices.Contains(c.Listen, 0) {
		errs = append(errs, errors.New("port 0: no connection is accepted there"))
	}
	return errors.Join(errs...)
}

// share is the part of a core that looks may take.
const share = 0.02

// Pause is how long to wait after a look that took this much processor time, so that looks take
// at most 2 % of a core, and come at most once in every.
func Pause(took, every time.Duration) time.Duration {
	return max(every, time.Duration(float64(took)*(1/share-1)))
}
