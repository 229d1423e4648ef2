package lab

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
	// Header is what came, if Config.RecordHeaders; names are in canonical form.
	Header http.Header
}

// Seen counts what a Server saw since its start. Connections are counted as
// closed when they are.
type Seen struct {
	Connections  uint64 // accepted
	Requests     uint64 // whose head was read
	ClosedIdle   uint64 // connections closed by the idle timeout
	ClosedFirst  uint64 // connections the server closed before the client did, those and Server.Close's included
	ClientClosed uint64 // connections the client closed or reset first
	Executed     uint64 // requests that were read whole, and so had their effect, answered or not
	Duplicates   uint64 // of them, those whose X-Request-Id had been executed before; see Server.Executions
	Reloads      uint64 // of the server
}

// story is a Story being written.
type story struct {
	mu sync.Mutex
	Story
	next int // place in Exchanges of the next one, once there are keepExchanges
}

// read adds an exchange, whose use it sets.
func (s *story) read(e Exchange) {
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

func (s *story) answered(now time.Time) { s.amend(func(e *Exchange) { e.Answered = now }) }

func (s *story) executed() { s.amend(func(e *Exchange) { e.Executed = true }) }

// amend changes the last exchange.
func (s *story) amend(change func(*Exchange)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.next - 1
	if last < 0 {
		last = len(s.Exchanges) - 1
	}
	change(&s.Exchanges[last])
}

func (s *story) secured(resumed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.TLS = "full"
	if resumed {
		s.TLS = "resumed"
	}
}

func (s *story) closed(e ending, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.First, s.How, s.Why, s.ClosedAt = e.first, e.how, e.why, now
}

// told is a copy with the exchanges in order.
func (s *story) told() Story {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.Story
	t.Exchanges = append(append([]Exchange{}, s.Exchanges[s.next:]...), s.Exchanges[:s.next]...)
	return t
}

// stories keeps the last keepStories of them, in the order of accept.
type stories struct {
	mu   sync.Mutex
	kept []*story
	next int    // place in kept of the next one, once it is full
	last uint64 // ID of the last one
}

// begin opens the story of a connection.
func (s *stories) begin(remote, local net.Addr, now time.Time) *story {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	st := &story{Story: Story{ID: s.last, Remote: remote.String(), Local: local.String(), AcceptedAt: now}}
	if len(s.kept) < keepStories {
		s.kept = append(s.kept, st)
		return st
	}
	s.kept[s.next] = st
	s.next = (s.next + 1) % keepStories
	return st
}

// told are copies of all that are kept.
func (s *stories) told() []Story {
	s.mu.Lock()
	kept := append(append([]*story{}, s.kept[s.next:]...), s.kept[:s.next]...)
	s.mu.Unlock()
	told := make([]Story, len(kept))
	for i, st := range kept {
		told[i] = st.told()
	}
	return told
}

// count is how many were begun.
func (s *stories) count() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}
