// Package host reads figures of the machine: TCP sockets towards a target by state and
// side, the range of ephemeral ports, kernel settings and limits, CPU times, and what
// this process uses.
//
// Linux has all of them. On other systems the functions of other.go return
// [ErrNeedsLinux].
package host

import "errors"

// ErrNeedsLinux is the error for figures that only Linux has.
var ErrNeedsLinux = errors.New("not available here: needs Linux")
