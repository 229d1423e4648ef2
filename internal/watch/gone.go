package watch

import "time"

// Gone is the last that the kernel says about a socket, as it frees it. Its State says
// nothing: only closed sockets are freed.
type Gone struct {
	At time.Duration
	Socket
	Written uint64 // bytes of data sent, those sent again left out; 0: not known
}
