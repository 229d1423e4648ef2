package story

import (
	"fmt"
	"net"
	"strings"
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

// A request is found by its id as long as it is kept, and with how it went.
func TestFind(t *testing.T) {
	var s Log
	before := s.Begin(&net.TCPAddr{Port: 1}, new(net.TCPAddr), time.Now())
	before.Read(Exchange{ID: "unseen"})
	s.Follow()
	one := s.Begin(&net.TCPAddr{Port: 2}, new(net.TCPAddr), time.Now())
	for i := range keepExchanges + 3 {
		one.Read(Exchange{ID: fmt.Sprint("a", i)})
	}
	one.Responded(time.Now())
	two := s.Begin(&net.TCPAddr{Port: 3}, new(net.TCPAddr), time.Now())
	two.Read(Exchange{ID: "a40"})
	two.Closed(ServerEnds(RST, WhyFault), time.Now())
	if f := s.Find("unseen"); f != nil {
		t.Errorf("what was read before Follow: %+v", f)
	}
	if f := s.Find("a2"); f != nil {
		t.Errorf("what is no longer kept: %+v", f)
	}
	last := fmt.Sprint("a", keepExchanges+2)
	if f := s.Find(last); len(f) != 1 || f[0].Use != keepExchanges+3 || f[0].ID != last || f[0].Responded.IsZero() || f[0].First != "" {
		t.Errorf("the last one: %+v", f)
	}
	if f := s.Find("a40"); len(f) != 2 || f[0].Use != 41 || f[1].Remote != ":3" || f[1].How != RST {
		t.Errorf("one that was sent twice: %+v", f)
	}
	if n, ok := s.Reads(":2"); n != keepExchanges+3 || !ok {
		t.Errorf("%d requests, %v", n, ok)
	}
	if e, at, ok := s.Ending(":3"); !ok || e != *ServerEnds(RST, WhyFault) || at.IsZero() {
		t.Errorf("how it ended: %v at %v, %v", e, at, ok)
	}
	for _, remote := range []string{":2", ":4"} { // open, and unknown
		if e, _, ok := s.Ending(remote); ok {
			t.Errorf("%s ended: %v", remote, e)
		}
	}
	two.Read(Exchange{ID: strings.Repeat("x", 1000)})
	if f := s.Find(strings.Repeat("x", maxID)); len(f) != 1 {
		t.Errorf("a long id: %+v", f)
	}
	for i := range keepFound {
		two.Read(Exchange{ID: fmt.Sprint("b", i)})
	}
	if f := s.Find(last); f != nil || len(s.index.byID) != keepFound || len(s.index.order) != keepFound {
		t.Errorf("%+v, %d ids", f, len(s.index.byID))
	}
}
