package story

import (
	"net"
	"testing"
	"time"
)

func TestStoriesAreBounded(t *testing.T) {
	var s Log
	for range keepStories + 3 {
		s.Begin(new(net.TCPAddr), new(net.TCPAddr), time.Now())
	}
	all := s.Stories()
	if len(all) != keepStories || all[0].ID != 4 || all[keepStories-1].ID != keepStories+3 {
		t.Errorf("%d stories, from %d to %d", len(all), all[0].ID, all[len(all)-1].ID)
	}
	if n := s.Count(); n != keepStories+3 {
		t.Errorf("%d counted", n)
	}
}
