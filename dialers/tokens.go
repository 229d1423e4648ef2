package dialers

import (
	"github.com/kabench/kabench/internal/poll"
	"github.com/kabench/kabench/internal/transport"
)

// tokens gives out the numbers by which the poller's events find their listener.
// A token is a place, and how many times the place was given out: an event for a
// socket that was closed a moment ago finds no listener.
type tokens struct {
	places []place
	free   []uint32 // indexes of places
}

type place struct {
	listener transport.Listener
	count    uint32
}

func (s *tokens) take(l transport.Listener) (token uint64) {
	if len(s.free) == 0 {
		s.free = append(s.free, uint32(len(s.places)))
		s.places = append(s.places, place{})
	}
	i := s.free[len(s.free)-1]
	s.free = s.free[:len(s.free)-1]
	s.places[i].listener = l
	return uint64(i) | uint64(s.places[i].count)<<32
}

// pass makes l the listener of token.
func (s *tokens) pass(token uint64, l transport.Listener) { s.places[uint32(token)].listener = l }

func (s *tokens) release(token uint64) {
	i := uint32(token)
	s.places[i].listener = nil
	s.places[i].count = (s.places[i].count + 1) & 0x7fffffff // so that no token is the poller's own
	s.free = append(s.free, i)
}

// deliver gives e to its listener, if that is still there.
func (s *tokens) deliver(e poll.Event) {
	i := uint32(e.Token)
	if int(i) < len(s.places) && s.places[i].count == uint32(e.Token>>32) && s.places[i].listener != nil {
		s.places[i].listener.Event(e)
	}
}
