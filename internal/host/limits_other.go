//go:build !unix

package host

import "errors"

// OpenFileLimit returns an error: processes have no such limit here.
func OpenFileLimit() (soft, hard uint64, err error) {
	return 0, 0, errors.New("no limit of open files on this system")
}
