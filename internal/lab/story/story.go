// Package story keeps what happened on each connection of a server or proxy: who
// ended it, how and why, and which requests it carried.
package story

import (
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Side is one end of a connection.
type Side string

const (
	ByServer Side = "server"
	ByClient Side = "client"
)

// How is the way a connection ended.
type How string

const (
	FIN How = "fin"
	RST How = "rst"
)

// Why is the reason a connection ended.
type Why string

const (
	WhyClient      Why = "client"       // the client closed or reset it
	WhyIdleTimeout Why = "idle_timeout" // no request came in time
	WhyMaxRequests Why = "max_requests" // it had served as many requests as allowed
	WhySaidClose   Why = "said_close"   // the response said `Connection: close`, because of the script or the request
	WhyFault       Why = "fault"        // a fault of the script
	WhyBadRequest  Why = "bad_request"  // the request could not be read; the response was 400 or 431
	WhyUntilClose  Why = "until_close"  // the end of the connection was the end of the response
	WhyNotKept     Why = "not_kept"     // HTTP/1.0, and the server ignores keep-alive
	WhyReload      Why = "reload"       // the server was reloaded
	WhyServer      Why = "server"       // proxy to server: the server closed or reset it
	WhyLifetime    Why = "lifetime"     // proxy to server: it had reached its lifetime
	WhySurplus     Why = "surplus"      // proxy to server: too many were idle
	WhyTimeout     Why = "timeout"      // proxy to server: the server did not respond in time
	WhyBadResponse Why = "bad_answer"   // proxy to server: it received no HTTP response, or one without a request
	WhyAbandoned   Why = "abandoned"    // proxy to server: the client was gone before the response was forwarded
	WhyUpstream    Why = "upstream"     // client to proxy: the server's connection ended, and with it the response
	WhyHandshake   Why = "handshake"    // the TLS handshake failed, and not because of a fault of the script
	WhyShutdown    Why = "shutdown"     // the server or proxy was closed
)

const (
	keepStories   = 10_000 // connections
	keepExchanges = 64     // of each connection
	maxID         = 64     // bytes of a request's id
)

// Story is what happened on one connection, as the server saw it. For a proxy's
// connection to a server, it is what the proxy saw, which is the client there. While
// the connection is open, ClosedAt is zero and First, How and Why are empty.
//
// If both ends close at the same time, First is the one that the server noticed first.
// If the server closed, How is what it asked the kernel for; see script.Fault about a
// FIN while bytes are unread.
type Story struct {
	ID         uint64 // counted from 1, in the order of accept
	Remote     string // the client's address
	Local      string // the server's address
	AcceptedAt time.Time
	TLS        string     // full or resumed after a handshake; otherwise ""
	Requests   int        // requests whose head was read
	Exchanges  []Exchange // the last 64, oldest first
	First      Side       // who closed first
	How        How
	Why        Why
	ClosedAt   time.Time // when the server closed its end or saw that the client had closed
}

// Exchange is one request of a Story. On a proxy's connection to a server, Read is just
// before the request was written, and Responded is when the response had been read
// completely.
type Exchange struct {
	Use       int       // counted from 1 on its connection
	ID        string    // its X-Request-Id, at most 64 bytes of it; "": it had none
	Read      time.Time // after its head was read
	Responded time.Time // after the last byte of the whole response was written; zero: never
	Executed  bool      // it was read completely
	Struck    bool      // the fault struck it
	// Header holds its headers, with names in canonical form, if the script has
	// RecordHeaders.
	Header http.Header
}

// Writer writes one Story. Its methods may be called while the Story is read.
type Writer struct {
	log *Log
	mu  sync.Mutex
	Story
	next int // index in Exchanges of the next one, once there are keepExchanges
}

// Read adds an exchange and sets its Use.
func (s *Writer) Read(e Exchange) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Requests++
	e.Use = s.Requests
	e.ID = strings.Clone(e.ID[:min(len(e.ID), maxID)]) // it may be a part of a large head
	if s.log != nil {
		s.log.note(e.ID, s, e.Use)
	}
	if len(s.Exchanges) < keepExchanges {
		s.Exchanges = append(s.Exchanges, e)
		return
	}
	s.Exchanges[s.next] = e
	s.next = (s.next + 1) % keepExchanges
}

// Responded sets when the last exchange got its response.
func (s *Writer) Responded(now time.Time) { s.amend(func(e *Exchange) { e.Responded = now }) }

// Executed notes that the last exchange was read completely.
func (s *Writer) Executed() { s.amend(func(e *Exchange) { e.Executed = true }) }

// amend changes the last exchange.
func (s *Writer) amend(change func(*Exchange)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.next - 1
	if last < 0 {
		last = len(s.Exchanges) - 1
	}
	change(&s.Exchanges[last])
}

// Secured notes that the TLS handshake succeeded.
func (s *Writer) Secured(resumed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.TLS = "full"
	if resumed {
		s.TLS = "resumed"
	}
}

// Closed ends the story.
func (s *Writer) Closed(e *Ending, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.First, s.How, s.Why, s.ClosedAt = e.First, e.How, e.Why, now
}

// copied returns a copy of the story with the exchanges in order.
func (s *Writer) copied() Story {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.Story
	t.Exchanges = append(append([]Exchange{}, s.Exchanges[s.next:]...), s.Exchanges[:s.next]...)
	return t
}

// Log keeps the last keepStories stories, in the order of accept.
type Log struct {
	mu   sync.Mutex
	kept []*Writer
	next int    // index in kept of the next one, once it is full
	last uint64 // ID of the last one

	index index
}

// Begin opens the story of a connection.
func (s *Log) Begin(remote, local net.Addr, now time.Time) *Writer {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	st := &Writer{log: s, Story: Story{ID: s.last, Remote: remote.String(), Local: local.String(), AcceptedAt: now}}
	if len(s.kept) < keepStories {
		s.kept = append(s.kept, st)
		s.index.begin(st, nil)
		return st
	}
	s.index.begin(st, s.kept[s.next])
	s.kept[s.next] = st
	s.next = (s.next + 1) % keepStories
	return st
}

// Stories returns copies of the stories that are kept.
func (s *Log) Stories() []Story {
	s.mu.Lock()
	kept := append(append([]*Writer{}, s.kept[s.next:]...), s.kept[:s.next]...)
	s.mu.Unlock()
	all := make([]Story, len(kept))
	for i, st := range kept {
		all[i] = st.copied()
	}
	return all
}

// Count returns how many stories were begun.
func (s *Log) Count() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}
