// Package host reads what the machine says of itself: TCP sockets towards a
// target by state and side, the ephemeral ports there are, kernel settings and
// limits, and what this process uses.
//
// Linux answers all of it. On other systems the functions of the Linux files
// return [ErrNeedsLinux].
package host

import "errors"

// ErrNeedsLinux is returned for what only Linux answers.
var ErrNeedsLinux = errors.New("not available here: needs Linux")
