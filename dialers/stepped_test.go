//go:build unix

package dialers

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/results"
)

// slowNames is a Resolver that says 127.0.0.1, or the addresses given, to every
// question about IPv4, once answer is closed.
func slowNames(t *testing.T, answer <-chan struct{}, addrs ...[4]byte) *net.Resolver {
	t.Helper()
	if len(addrs) == 0 {
		addrs = [][4]byte{{127, 0, 0, 1}}
	}
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		b := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(b[:n]) != nil || len(m.Questions) == 0 {
				continue
			}
			m.Header.Response, m.Additionals = true, nil
			if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
				for _, addr := range addrs {
					m.Answers = append(m.Answers, dnsmessage.Resource{
						Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1},
						Body:   &dnsmessage.AResource{A: addr},
					})
				}
			}
			if packed, err := m.Pack(); err == nil {
				<-answer
				conn.WriteTo(packed, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: long}).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// named is url with a name in place of its address.
func named(url string) string { return strings.Replace(url, "127.0.0.1", "shop.test", 1) }

func (b *inbox) len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.left)
}

// stepped is a Client that goes on only when told.
type stepped struct {
	*Client
	over []*results.Exchange
}

func newStepped(t *testing.T, policy pool.Policy, dialer *Dialer, timeout time.Duration, requests ...*Request) *stepped {
	t.Helper()
	s := &stepped{Client: newClient(t, policy, dialer, timeout, requests...)}
	s.Begin(t.Context(), s.epoch, func(e *results.Exchange) { s.over = append(s.over, e) })
	return s
}

func (s *stepped) start(seq uint64) *results.Exchange {
	e := &results.Exchange{}
	e.Reset(seq, s.now())
	e.Start = e.Due
	s.Start(e)
	return e
}

// until lets exchanges go on until cond.
func (s *stepped) until(t *testing.T, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(long); !cond(); s.Wait(s.now() + time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not happen")
		}
	}
}

// first ends the first exchange under way as f does, between two steps.
func (s *stepped) first(f func(*exchange)) {
	s.mu.Lock()
	f(s.exchanges.underWay[0])
	s.settle()
	s.mu.Unlock()
	s.deliver()
}
