package dialers

import (
	"context"
	"testing"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/internal/lab"
	"github.com/kabench/kabench/profiles/script"
	"github.com/kabench/kabench/results"
)

// A whole exchange with a server in the same process.
func BenchmarkExchange(b *testing.B) { benchmarkExchange(b, pool.Default(), nil) }

// A whole exchange on a connection of its own, which the server ends. Only the client's
// memory counts little here: the server allocates for each connection too.
func BenchmarkFreshExchange(b *testing.B) {
	policy := pool.Default()
	policy.MaxRequests = 1
	benchmarkExchange(b, policy, nil)
}

// The same, with somebody who wants to know how connections end.
func BenchmarkFreshExchangeEnds(b *testing.B) {
	policy := pool.Default()
	policy.MaxRequests = 1
	ends := 0
	benchmarkExchange(b, policy, func(e *results.ConnectionEnd) { ends += e.Uses })
	if ends == 0 {
		b.Error("no connection ended")
	}
}

func benchmarkExchange(b *testing.B, policy pool.Policy, ended func(*results.ConnectionEnd)) {
	server, err := lab.Start(script.Server{Body: 100}, "")
	if err != nil {
		b.Fatal(err)
	}
	defer server.Close()
	request, err := NewRequest("GET", server.URL(), nil, nil)
	if err != nil {
		b.Fatal(err)
	}
	c, err := NewClient(Config{Policy: policy, Requests: []*Request{request}, Timeout: time.Minute})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	c.Ended = ended
	over := false
	c.Begin(context.Background(), c.epoch, func(*results.Exchange) { over = true })
	e := &results.Exchange{}
	b.ReportAllocs()
	for b.Loop() {
		e.Reset(0, c.now())
		e.Start = e.Due
		over = false
		for c.Start(e); !over; {
			c.Wait(-1)
		}
		if !e.OK() {
			b.Fatal(e.Err)
		}
	}
}
