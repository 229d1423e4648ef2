//go:build !linux

package freed

import (
	"errors"
	"time"

	"github.com/kabench/kabench/internal/watch"
)

// Listener hears of no socket: the kernel says this only on Linux.
type Listener struct{}

// Open returns an error.
func Open(time.Time) (*Listener, error) {
	return nil, errors.New("the last word of sockets is heard only on Linux")
}

// Take does nothing.
func (*Listener) Take(func(*watch.Gone)) {}

// Lost is 0.
func (*Listener) Lost() uint64 { return 0 }

// Close does nothing.
func (*Listener) Close() error { return nil }
