package names

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/kabench/kabench/profiles/network"
	"github.com/miekg/dns"
)

// Server is the DNS server of a network.
type Server struct {
	cfg     network.DNS
	addr    func(name string) netip.Addr // of a host or balancer
	servers []*dns.Server
	serving sync.WaitGroup
	closed  chan struct{}
	once    sync.Once

	mu      sync.Mutex
	past    map[string]bool      // events; guarded by mu
	ignored map[dns.Question]int // queries since the last one that was answered; guarded by mu
	seen    Seen                 // guarded by mu
}

// Seen counts the queries for names that a server knows.
type Seen struct {
	Queries    uint64
	Unanswered uint64 // because of network.DNS.Unanswered
}

// Serve begins to answer the queries that arrive at udp and tcp, which it closes in the end.
// addr returns the IPv4 address of a host or balancer. The error says why it cannot answer; the
// sockets are then closed.
func Serve(cfg network.DNS, addr func(name string) netip.Addr, udp net.PacketConn, tcp net.Listener) (*Server, error) {
	s := &Server{
		cfg: cfg, addr: addr, closed: make(chan struct{}),
		past: map[string]bool{}, ignored: map[dns.Question]int{},
	}
	s.servers = []*dns.Server{{PacketConn: udp, Handler: s}, {Listener: tcp, Handler: s}}
	for _, server := range s.servers {
		begun := make(chan error, 2) // that it has begun, or why not, and the end
		server.NotifyStartedFunc = func() { begun <- nil }
		s.serving.Go(func() { begun <- server.ActivateAndServe() }) // it ends when Close closes its socket
		if err := <-begun; err != nil {
			s.Close()
			udp.Close()
			tcp.Close()
			return nil, fmt.Errorf("DNS server: %w", err)
		}
	}
	return s, nil
}

// Close ends the server.
func (s *Server) Close() {
	s.once.Do(func() {
		close(s.closed)
		for _, server := range s.servers {
			_ = server.Shutdown() // an error means that it has ended
		}
		s.serving.Wait()
	})
}

// Event makes the records that start on name exist, and those that end on it not.
func (s *Server) Event(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.past[name] = true
}

// Seen returns the queries so far.
func (s *Server) Seen() Seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen
}

// ServeDNS implements dns.Handler. It is called on a goroutine for each query.
func (s *Server) ServeDNS(w dns.ResponseWriter, query *dns.Msg) {
	if len(query.Question) != 1 {
		return // no resolver sends any other number
	}
	answer, ok := s.answer(query)
	if !ok {
		return
	}
	if s.cfg.Delay > 0 {
		late := time.NewTimer(s.cfg.Delay)
		defer late.Stop()
		select {
		case <-late.C:
		case <-s.closed:
			return
		}
	}
	_ = w.WriteMsg(answer) // a client that does not get it asks again
}

// answer returns the response to a query of one question; false: there is none.
func (s *Server) answer(query *dns.Msg) (*dns.Msg, bool) {
	q := query.Question[0]
	q.Name = strings.ToLower(q.Name)
	name := strings.TrimSuffix(q.Name, ".")
	m := new(dns.Msg)
	m.SetReply(query)
	m.Authoritative, m.RecursionAvailable = true, true
	if !s.cfg.Knows(name) {
		m.Rcode = dns.RcodeNameError
		return m, true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen.Queries++
	if s.ignored[q] < s.cfg.Unanswered {
		s.ignored[q]++
		s.seen.Unanswered++
		return nil, false
	}
	s.ignored[q] = 0
	for _, r := range s.cfg.Records {
		exists := (r.After == "" || s.past[r.After]) && (r.Until == "" || !s.past[r.Until])
		if r.Name != name || !exists {
			continue
		}
		for _, to := range r.To {
			if rr := record(query.Question[0], r, s.addr(to)); rr != nil {
				m.Answer = append(m.Answer, rr)
			}
		}
	}
	return m, true
}

// record returns the answer to q that r has with the address a; nil: it has none.
func record(q dns.Question, r network.DNSRecord, a netip.Addr) dns.RR {
	header := dns.RR_Header{Name: q.Name, Rrtype: q.Qtype, Class: dns.ClassINET, Ttl: uint32(r.TTL / time.Second)}
	switch {
	case q.Qtype == dns.TypeA:
		return &dns.A{Hdr: header, A: a.AsSlice()}
	case q.Qtype == dns.TypeAAAA && r.IPv6:
		return &dns.AAAA{Hdr: header, AAAA: network.IPv6Of(a).AsSlice()}
	}
	return nil
}
