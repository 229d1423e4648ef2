package dialers

import (
	"context"
	"testing"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/internal/lab"
	"github.com/kabench/kabench/results"
)

// Acquire and release of an idle connection, without an exchange on it.
func BenchmarkPoolAcquireRelease(b *testing.B) {
	server, err := lab.Start(lab.Config{}, "")
	if err != nil {
		b.Fatal(err)
	}
	defer server.Close()
	request, err := NewRequest("GET", server.URL(), nil, nil)
	if err != nil {
		b.Fatal(err)
	}
	p := NewPool(pool.Default(), &Dialer{}, time.Now())
	defer p.Close()
	e := &results.Exchange{}
	lease := func() {
		c, err := p.acquire(context.Background(), request.origin, wish{}, e, time.Time{})
		if err != nil {
			b.Fatal(err)
		}
		c.shard.release(c, pool.Keep, pool.NoHint)
	}
	lease()
	b.ReportAllocs()
	for b.Loop() {
		lease()
	}
}

// A whole exchange with a server in the same process.
func BenchmarkExchange(b *testing.B) {
	server, err := lab.Start(lab.Config{Body: 100}, "")
	if err != nil {
		b.Fatal(err)
	}
	defer server.Close()
	request, err := NewRequest("GET", server.URL(), nil, nil)
	if err != nil {
		b.Fatal(err)
	}
	p := NewPool(pool.Default(), &Dialer{}, time.Now())
	defer p.Close()
	c := &Client{Pool: p, Requests: []*Request{request}, Timeout: time.Minute}
	e := &results.Exchange{}
	b.ReportAllocs()
	for b.Loop() {
		e.Reset(0, p.now())
		e.Start = e.Due
		if c.Do(context.Background(), e); !e.OK() {
			b.Fatal(e.Err)
		}
	}
}
