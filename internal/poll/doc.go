// Package poll waits, on one goroutine, for sockets and for the clock.
//
// A [Poller] wakes within microseconds of its deadline. On Linux, Go's own timers wake
// about 0.6 ms late in the median and 1.1 ms at p99, and another thread must wake a
// goroutine that waits in Go's network poller. A load generator that started its
// requests after such a wake-up would measure these delays too. A Poller uses epoll
// with a timeout in nanoseconds. On other systems it takes no sockets and waits with
// Go's timers.
package poll

import "time"

// Event is what has happened to a socket that was added.
type Event struct {
	Token    uint64 // as given to Add
	Readable bool   // there is something to read: bytes, the end or an error
	Writable bool   // there is room to write, or a connect has ended
	Ended    bool   // the peer has ended its side, or the connection failed; a read returns which
	Failed   bool   // the connection failed, or both sides have ended it; false: an Ended came from the peer's FIN
}

// Forever, as a time to wait, means to wait until something happens.
const Forever time.Duration = -1

// Lateness measures n times how late a Poller wakes for a deadline d from now. The error
// is that of New.
func Lateness(n int, d time.Duration) ([]time.Duration, error) {
	p, err := New()
	if err != nil {
		return nil, err
	}
	defer p.Close()
	events := make([]Event, MaxEvents)
	late := make([]time.Duration, n)
	for i := range late {
		begin := time.Now()
		for time.Since(begin) < d {
			p.Wait(events, d-time.Since(begin))
		}
		late[i] = time.Since(begin) - d
	}
	return late, nil
}
