package story

import (
	"sync"
	"time"
)

// keepFound is how many requests an index holds, the newest ones.
const keepFound = 100_000

// Found is where a request was read.
type Found struct {
	Story    uint64        // the ID of the connection's story
	Idle     time.Duration // from the response before, or the accept, until its head was read; below 0: not kept
	Remote   string        // the client's address
	Local    string        // the server's address
	Accepted time.Time
	Exchange
	First    Side // who closed the connection first; "": it is open
	How      How
	ClosedAt time.Time
}

// index finds requests by their ids and connections by the client's address. It keeps the
// writers of its requests, also those that the log no longer has. Requests are in it only
// after Follow.
type index struct {
	mu      sync.Mutex
	on      bool
	byID    map[string][]place
	order   []string // the ids, in the order in which they were read
	next    int      // index in order of the next one, once it is full
	remotes map[string]*Writer
}

// place is an exchange of a story.
type place struct {
	story *Writer
	use   int
}

// Follow begins to index what is read from now on, for Find and Reads. It costs about 50 MB
// at most.
func (s *Log) Follow() {
	s.index.mu.Lock()
	defer s.index.mu.Unlock()
	if !s.index.on {
		s.index.on, s.index.byID = true, map[string][]place{}
	}
}

// Find returns where the requests with this id were read, in the order of time. The log
// must follow. Of a long connection only the newest exchanges are known.
func (s *Log) Find(id string) []Found {
	s.index.mu.Lock()
	places := append([]place(nil), s.index.byID[id]...)
	s.index.mu.Unlock()
	var all []Found
	for _, p := range places {
		if f, ok := p.story.found(p.use); ok {
			all = append(all, f)
		}
	}
	return all
}

// Reads returns how many requests were read on the newest connection of this client's
// address; ok is false if there is none.
func (s *Log) Reads(remote string) (n int, ok bool) {
	st := s.newest(remote)
	if st == nil {
		return 0, false
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.Requests, true
}

// Ending returns how the newest connection of this client's address ended, and when the
// server closed it or saw that the client had; ok is false if it is open, or not known.
func (s *Log) Ending(remote string) (e Ending, at time.Time, ok bool) {
	st := s.newest(remote)
	if st == nil {
		return e, at, false
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	return Ending{st.First, st.How, st.Why}, st.ClosedAt, st.First != ""
}

// newest is the newest connection of a client's address; nil: it is not known.
func (s *Log) newest(remote string) *Writer {
	s.index.mu.Lock()
	defer s.index.mu.Unlock()
	return s.index.remotes[remote]
}

// begin notes a connection, and forgets the one that made room for it.
func (x *index) begin(st, gone *Writer) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.remotes == nil {
		x.remotes = map[string]*Writer{}
	}
	if gone != nil && x.remotes[gone.Remote] == gone {
		delete(x.remotes, gone.Remote)
	}
	x.remotes[st.Remote] = st
}

// note notes that the request with this id was read.
func (s *Log) note(id string, st *Writer, use int) {
	x := &s.index
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.on || id == "" {
		return
	}
	if len(x.order) < keepFound {
		x.order = append(x.order, id)
	} else {
		old := x.order[x.next]
		if places := x.byID[old]; len(places) > 1 {
			x.byID[old] = places[1:]
		} else {
			delete(x.byID, old)
		}
		x.order[x.next] = id
		x.next = (x.next + 1) % keepFound
	}
	x.byID[id] = append(x.byID[id], place{st, use})
}

// found returns exchange number use; false: it is no longer kept.
func (s *Writer) found(use int) (Found, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := use - 1
	if s.Requests > keepExchanges {
		if use <= s.Requests-keepExchanges {
			return Found{}, false
		}
		i %= keepExchanges
	}
	f := Found{Story: s.ID, Idle: -1, Remote: s.Remote, Local: s.Local, Accepted: s.AcceptedAt, Exchange: s.Exchanges[i], First: s.First, How: s.How, ClosedAt: s.ClosedAt}
	f.Header = nil
	if use == 1 {
		f.Idle = f.Read.Sub(s.AcceptedAt)
	} else if use-1 > s.Requests-keepExchanges {
		before := (i + keepExchanges - 1) % keepExchanges
		if r := s.Exchanges[before].Responded; !r.IsZero() {
			f.Idle = f.Read.Sub(r)
		}
	}
	return f, true
}
