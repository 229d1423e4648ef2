package transport

import (
	"net"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/poll"
)

// posts is a Loop that runs what was posted when asked.
type posts chan func()

func (p posts) Go(f func())                         { go f() }
func (p posts) Post(f func())                       { p <- f }
func (p posts) Watch(int, Listener) (uint64, error) { return 0, nil }
func (p posts) Forget(uint64)                       {}

// idler is an Owner that nothing is to come to.
type idler struct{}

func (idler) Event(poll.Event)           {}
func (idler) Readable(bool)              {}
func (idler) Writable()                  {}
func (idler) Closed(Closer, CloseNotify) {}

// sink is a connection that takes what is written.
type sink struct{ net.Conn }

func (sink) Write(b []byte) (int, error)      { return len(b), nil }
func (sink) SetWriteDeadline(time.Time) error { return nil }

// The loop writes to a stream itself only what an idle socket has room for: the
// rest may wait, and all other exchanges with it.
func TestStreamWritesLittleOnTheLoop(t *testing.T) {
	loop := make(posts, 1)
	s := NewStream(loop, sink{}, nil)
	s.owner = idler{}
	for _, size := range []int{1000, OneWrite - 1000} {
		if n, err := s.Write(make([]byte, size)); n != size || err != nil {
			t.Errorf("%d of %d bytes, %v", n, size, err)
		}
	}
	if n, err := s.Write(make([]byte, 1)); n != 0 || err != ErrAgain {
		t.Errorf("behind that %d bytes, %v", n, err)
	}
	(<-loop)()
	if n, err := s.Write(make([]byte, 1)); n != 1 || err != nil {
		t.Errorf("when it is done %d bytes, %v", n, err)
	}
	s.got = []byte("an answer")
	s.Read(make([]byte, 100))
	if n, err := s.Write(make([]byte, 1)); n != 1 || err != nil {
		t.Errorf("after an answer %d bytes, %v", n, err)
	}
}
