package collectors

import (
	"sync"

	"github.com/kabench/kabench/results"
)

// SocketsSeen keeps what a Sampler sees of the sockets, for those who ask while the run
// goes on.
type SocketsSeen struct {
	mu    sync.Mutex
	peaks results.Sockets       // guarded by mu
	last  *results.SocketSample // guarded by mu
}

// Add adds what was seen of the sockets, which the caller must not change afterwards; nil:
// they were not looked at.
func (s *SocketsSeen) Add(look *results.SocketSample) {
	if look == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.peaks.Add(look)
	s.last = look
}

// Last returns the latest look; nil: there was none.
func (s *SocketsSeen) Last() *results.SocketSample {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// Peaks returns the peaks so far.
func (s *SocketsSeen) Peaks() results.Sockets {
	s.mu.Lock()
	defer s.mu.Unlock()
	peaks := s.peaks
	if !peaks.Available {
		peaks.Why = "not looked at yet"
	}
	return peaks
}
