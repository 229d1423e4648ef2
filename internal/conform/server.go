package conform

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Server plays a Script on a port of loopback, and remembers what came.
type Server struct {
	script   Script
	listener net.Listener
	epoch    time.Time
	running  sync.WaitGroup
	quit     context.Context
	stop     context.CancelFunc

	mu       sync.Mutex // guards all below
	conns    []*serverConn
	arrivals []Arrival
	quiet    bool          // no request came for as long as a rule says
	late     time.Duration // the most that a timer of the script was late
	news     chan struct{} // closed and made again when a request arrives
}

// Arrival is a request as the server saw it. Times are offsets from the server's epoch, in
// nanoseconds.
type Arrival struct {
	Conn      int           `json:"connection"` // in the order in which the connections were accepted, from 1
	Use       int           `json:"use"`        // which request of the connection it is, from 1
	ID        string        `json:"id"`
	Method    string        `json:"method"`
	At        time.Duration `json:"at"`        // when it was there, as far as it came
	Responded time.Duration `json:"responded"` // when the server began to respond; 0: never
	Whole     bool          `json:"whole"`     // it came to its end
}

// Conn is a connection as the server saw it.
type Conn struct {
	Opened time.Duration `json:"opened"`
	Uses   int           `json:"uses"`   // whole requests
	Last   time.Duration `json:"last"`   // when the last response was written; 0: there was none
	Closed time.Duration `json:"closed"` // 0: it was open when the story was over
	By     Closer        `json:"by"`
	Reset  bool          `json:"reset"` // it was closed by a RST
}

// Closer is who ended a connection.
type Closer string

// The closers.
const (
	ByNobody Closer = ""
	ByServer Closer = "server"
	ByClient Closer = "client"
)

type serverConn struct {
	*Conn
	number int
	net    *net.TCPConn
}

// Serve starts a server. Its times count from now.
func Serve(script Script) (*Server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Server{script: script, listener: listener, epoch: time.Now(), news: make(chan struct{})}
	s.quit, s.stop = context.WithCancel(context.Background())
	s.running.Go(s.accept)
	return s, nil
}

// URL is where the server is.
func (s *Server) URL() string { return "http://" + s.listener.Addr().String() + "/" }

// Close ends all connections, and returns when nothing of the server runs any more.
func (s *Server) Close() {
	s.stop()
	s.listener.Close()
	s.mu.Lock()
	for _, c := range s.conns {
		c.net.Close()
	}
	s.mu.Unlock()
	s.running.Wait()
}

// Saw returns the connections and the requests so far, and how late the server was with
// what its script says.
func (s *Server) Saw() (conns []Conn, arrivals []Arrival, late time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		conns = append(conns, *c.Conn)
	}
	return conns, slices.Clone(s.arrivals), s.late
}

func (s *Server) now() time.Duration { return time.Since(s.epoch) }

func (s *Server) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			if s.quit.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			time.Sleep(time.Millisecond) // no descriptor is left; the client waits in the backlog
			continue
		}
		s.mu.Lock()
		c := &serverConn{Conn: &Conn{Opened: s.now()}, number: len(s.conns) + 1, net: conn.(*net.TCPConn)}
		s.conns = append(s.conns, c)
		if s.quit.Err() != nil { // Close has seen to the others already
			conn.Close()
		}
		s.mu.Unlock()
		requests := make(chan int, 64)
		s.running.Go(func() { s.read(c, requests) })
		s.running.Go(func() { s.serve(c, requests) })
	}
}

// read reads requests from c, passes their places in arrivals on, and notes the end.
func (s *Server) read(c *serverConn, requests chan<- int) {
	defer close(requests)
	in := bufio.NewReader(c.net)
	for {
		r, err := readRequest(in)
		if r.begun {
			n := s.arrived(c, r, err == nil)
			if err == nil {
				select {
				case requests <- n:
				case <-s.quit.Done():
				}
			}
		}
		if err != nil {
			s.ended(c, err)
			return
		}
	}
}

// arrived notes a request, and returns its place in arrivals.
func (s *Server) arrived(c *serverConn, r request, whole bool) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if whole {
		c.Uses++
	}
	use := c.Uses
	if !whole {
		use++
	}
	s.arrivals = append(s.arrivals, Arrival{Conn: c.number, Use: use, ID: r.id, Method: r.method, At: s.now(), Whole: whole})
	close(s.news)
	s.news = make(chan struct{})
	return len(s.arrivals) - 1
}

// ended notes that c's peer closed it, unless the server did so first.
func (s *Server) ended(c *serverConn, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.By != ByNobody || s.quit.Err() != nil {
		return
	}
	c.By, c.Closed, c.Reset = ByClient, s.now(), errors.Is(err, syscall.ECONNRESET)
	c.net.Close()
}

// serve does with c's requests what the script says, one after another.
func (s *Server) serve(c *serverConn, requests <-chan int) {
	idle := time.NewTimer(time.Hour)
	idle.Stop()
	defer idle.Stop()
	var due time.Duration
	for {
		select {
		case n, ok := <-requests:
			idle.Stop()
			if !ok || !s.act(c, n) {
				return
			}
			if rule := s.script.Idle; rule.applies(c.number, s.uses(c)) {
				due = s.now() + rule.After
				idle.Reset(rule.After)
			}
		case <-idle.C:
			s.lateBy(s.now() - due)
			io.WriteString(c.net, s.script.Idle.Say)
			if s.end(c, s.script.Idle.End); s.script.Idle.End != Keep {
				return
			}
		case <-s.quit.Done():
			return
		}
	}
}

func (s *Server) uses(c *serverConn) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return c.Uses
}

func (s *Server) lateBy(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.late = max(s.late, d)
}

// act does what the script says with arrival number n, and reports whether c is still
// open.
func (s *Server) act(c *serverConn, n int) bool {
	s.mu.Lock()
	a := s.arrivals[n]
	var act Act
	for _, rule := range s.script.Rules {
		if rule.fits(a.Use, n+1) {
			act = rule.Act
			break
		}
	}
	s.mu.Unlock()
	if !s.hold(act) {
		return false
	}
	s.mu.Lock() // before the client can act on the response
	s.arrivals[n].Responded = s.now()
	c.Last = s.now()
	s.mu.Unlock()
	if out := act.Response.bytes(act.Cut, a.Method == "HEAD"); len(out) > 0 {
		c.net.Write(out) // an error is one of reading, too
	}
	end := act.End
	if end == Keep && (act.Cut != Whole || act.Response.Framing == UntilClose) {
		end = FIN
	}
	if end == Keep {
		return true
	}
	if act.Cut != Whole {
		s.pause(between)
	}
	s.end(c, end)
	return false
}

// hold waits as act says; false: the server is being closed.
func (s *Server) hold(act Act) bool {
	if act.Until > 0 {
		s.mu.Lock()
		act.Delay = s.arrivals[0].At + act.Until - s.now()
		s.mu.Unlock()
	}
	if act.Delay > 0 && !s.pause(act.Delay) {
		return false
	}
	return act.Quiet == 0 || s.holdUntilQuiet(act)
}

// holdUntilQuiet waits until no request has come for a time; false: the server is being
// closed.
func (s *Server) holdUntilQuiet(act Act) bool {
	for {
		s.mu.Lock()
		news := s.news
		wait := act.Quiet - (s.now() - s.arrivals[len(s.arrivals)-1].At)
		if s.quiet = s.quiet || wait <= 0; s.quiet && act.Once {
			wait = 0
		}
		s.mu.Unlock()
		if wait <= 0 {
			return true
		}
		select {
		case <-news:
		case <-time.After(wait):
		case <-s.quit.Done():
			return false
		}
	}
}

// pause waits, and notes how late it was; false: the server is being closed.
func (s *Server) pause(d time.Duration) bool {
	due := s.now() + d
	select {
	case <-time.After(d):
		s.lateBy(s.now() - due)
		return true
	case <-s.quit.Done():
		return false
	}
}

// end ends c, unless the client has.
func (s *Server) end(c *serverConn, how End) {
	if how == Keep {
		return
	}
	s.mu.Lock()
	if c.By != ByNobody {
		s.mu.Unlock()
		return
	}
	c.By, c.Closed, c.Reset = ByServer, s.now(), how == RST
	s.mu.Unlock()
	if how == FINThenRST {
		c.net.CloseWrite()
		s.pause(between)
	}
	if how != FIN {
		c.net.SetLinger(0)
	}
	c.net.Close()
}
