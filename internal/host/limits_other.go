//go:build !unix

package host

import "errors"

// OpenFileLimit returns an error: here no process has such a limit.
func OpenFileLimit() (soft, hard uint64, err error) {
	return 0, 0, errors.New("no limit of open files on this system")
}
