// Package story keeps what happened on each connection of a server or proxy: who
// ended it, how and why, and which requests it carried.
package story

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// Side is an end of a connection.
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
	WhyMaxRequests Why = "max_requests" // it had served as many as it may
	WhySaidClose   Why = "said_close"   // the answer said `Connection: close`, by script or because the client asked
	WhyFault       Why = "fault"        // the script's fault
	WhyBadRequest  Why = "bad_request"  // the request could not be read; it was answered 400 or 431
	WhyUntilClose  Why = "until_close"  // only its end told the client where the answer ended
	WhyNotKept     Why = "not_kept"     // HTTP/1.0, and the server does not know keep-alive
	WhyReload      Why = "reload"       // the server was reloaded
	WhyServer      Why = "server"       // of a proxy's connection to a server: the server closed or reset it
	WhyLifetime    Why = "lifetime"     // of the same: it was as old as it may get
	WhySurplus     Why = "surplus"      // of the same: too many were idle
	WhyTimeout     Why = "timeout"      // of the same: the server did not answer in time
	WhyBadAnswer   Why = "bad_answer"   // of the same: what came was no answer, or came unasked
	WhyAbandoned   Why = "abandoned"    // of the same: the client was gone before its answer was sent on
	WhyUpstream    Why = "upstream"     // of a client's connection to a proxy: the server's end was the answer's
	WhyHandshake   Why = "handshake"    // no TLS handshake, and not by the script's fault
	WhyShutdown    Why = "shutdown"     // Server.Close
)

const (
	keepStories   = 10_000 // connections
	keepExchanges = 64     // of each connection
)

// Story is what happened on one connection, as the server saw it; or, of a
// proxy's connection to a server, as the proxy did, which is the client there. While it is
// open, ClosedAt is zero and First, How and Why are empty.
//
// Of two ends that close in the same instant First names the one the server
// noticed first. How, when the server closed, is what it asked for; see Fault
// on what the kernel makes of a FIN with bytes unread.
type Story struct {
	ID         uint64 // from 1, in the order of accept
	Remote     string // the client's address
	Local      string // the server's
	AcceptedAt time.Time
	TLS        string     // "", or when the handshake succeeded: full, resumed
	Requests   int        // whose head was read
	Exchanges  []Exchange // the last 64, oldest first
	First      Side       // who closed first
	How        How
	Why        Why
	ClosedAt   time.Time // when the server closed its end or saw that the client had closed
}

// Exchange is one request of a Story. On a proxy's connection to a server Read
// is when the request was about to be written and Answered when its answer had
// been read whole.
type Exchange struct {
	Use      int       // from 1 within its connection
	Read     time.Time // when its head had been read
	Answered time.Time // when the last byte of a whole answer was written; zero: never
	Executed bool      // it was read whole
	Struck   bool      // by the fault
	// Header is what came, if the script has RecordHeaders; names are in canonical form.
	Header http.Header
}

// Writer writes one Story. Its methods may be called while the Story is read.
type Writer struct {
	mu sync.Mutex
	Story
	next int // place in Exchanges of the next one, once there are keepExchanges
}

// Read adds an exchange and sets its Use.
func (s *Writer) Read(e Exchange) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Requests++
	e.Use = s.Requests
	if len(s.Exchanges) < keepExchanges {
		s.Exchanges = append(s.Exchanges, e)
		return
	}
	s.Exchanges[s.next] = e
	s.next = (s.next + 1) % keepExchanges
}

// Answered sets the time at which the last exchange was answered.
func (s *Writer) Answered(now time.Time) { s.amend(func(e *Exchange) { e.Answered = now }) }

// Executed notes that the last exchange was read whole.
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

// copied is a copy of the story with the exchanges in order.
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
	next int    // place in kept of the next one, once it is full
	last uint64 // ID of the last one
}

// Begin opens the story of a connection.
func (s *Log) Begin(remote, local net.Addr, now time.Time) *Writer {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	st := &Writer{Story: Story{ID: s.last, Remote: remote.String(), Local: local.String(), AcceptedAt: now}}
	if len(s.kept) < keepStories {
		s.kept = append(s.kept, st)
		return st
	}
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
