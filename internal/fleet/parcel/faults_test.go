package parcel

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/kabench/kabench/internal/fleet/broker"
)

// TestBrokerIsKilled: a broker that is killed in the middle of Send and of Receive, and comes
// back on the same port and directory, has everything that it acknowledged, and both go on.
func TestBrokerIsKilled(t *testing.T) {
	ctx := within(t)
	p := startProcess(t, "127.0.0.1:0", t.TempDir())
	nc := dial(t, p.url)
	key := Key{Run: "r", Agent: 1}
	if err := Open(ctx, nc, key.Run); err != nil {
		t.Fatal(err)
	}
	from, to := results(t, 20_000_000), filepath.Join(t.TempDir(), "1")
	n, _ := chunksOf(t, from)

	// The broker is killed here, while Send waits in Progress.
	sent, at := make(chan error, 1), make(chan struct{})
	hold := func() { at <- struct{}{}; <-at }
	go func() {
		_, err := Send(ctx, nc, key, from, Options{Progress: once(0.4, hold)})
		sent <- err
	}()
	<-at
	p = p.restart(t)
	at <- struct{}{}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	_, s := streamOf(t, ctx, nc, key.Run)
	if s.Msgs != uint64(n+1) || s.LastSeq != s.Msgs {
		t.Errorf("the broker has %d messages, the last is number %d; want %d", s.Msgs, s.LastSeq, n+1)
	}

	received := make(chan error, 1)
	go func() {
		_, err := Receive(ctx, nc, key, to, Options{Progress: once(0.3, hold)})
		received <- err
	}()
	<-at
	p.restart(t)
	at <- struct{}{}
	if err := <-received; err != nil {
		t.Fatal(err)
	}
	equal(t, from, to)
}

// TestStoreIsLost: a broker that comes back with an empty store gets everything again, without
// anybody asking, as long as the agent is sending; after that Receive says so.
func TestStoreIsLost(t *testing.T) {
	ctx := within(t)
	b, err := broker.Start(broker.Config{Listen: "127.0.0.1:0", Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	nc := dial(t, b.URL())
	key := Key{Run: "r", Agent: 1}
	if err := Open(ctx, nc, key.Run); err != nil {
		t.Fatal(err)
	}
	from, to := results(t, 10_000_000), filepath.Join(t.TempDir(), "1")
	lose := func() {
		b.Close()
		if b, err = broker.Start(broker.Config{Listen: strings.TrimPrefix(b.URL(), "nats://"), Dir: t.TempDir()}); err != nil {
			t.Error(err)
		}
	}
	opened := make(chan error, 1)
	_, err = Send(ctx, nc, key, from, Options{Progress: once(0.5, func() {
		lose()
		go func() { opened <- Open(ctx, nc, key.Run) }() // the controller makes the stream again
	})})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-opened; err != nil {
		t.Fatal(err)
	}
	_, err = Receive(ctx, nc, key, to, Options{Progress: once(0.5, lose)})
	if !errors.Is(err, ErrSendAgain) {
		t.Fatalf("%v, want %v", err, ErrSendAgain)
	}
	received := make(chan error, 1)
	go func() {
		_, err := Receive(ctx, nc, key, to, Options{})
		received <- err
	}()
	if _, err := Send(ctx, nc, key, from, Options{}); err != nil {
		t.Fatal(err)
	}
	if err := <-received; err != nil {
		t.Fatal(err)
	}
	equal(t, from, to)
}

// TestDamageAtTheBroker: a chunk that was lost, damaged, moved or stored twice never gets into
// a directory, and another Send mends it.
func TestDamageAtTheBroker(t *testing.T) {
	for name, damage := range map[string]func(f *fixture, p *plan){
		"lost": func(f *fixture, p *plan) {
			s, _ := f.stream()
			m, err := s.GetLastMsgForSubject(f.ctx, f.key.chunk(p.generation(), 2))
			if err != nil {
				f.Fatal(err)
			}
			if err := s.DeleteMsg(f.ctx, m.Sequence); err != nil {
				f.Fatal(err)
			}
		},
		"other bytes with their hash": func(f *fixture, p *plan) { f.replace(p, 2, random(ChunkBytes), nil) },
		"other bytes": func(f *fixture, p *plan) {
			h := p.headers(chunk{1, 0, ChunkBytes, ChunkBytes}, hashOf(nil))
			f.replace(p, 1, random(ChunkBytes), h)
		},
		"shorter":    func(f *fixture, p *plan) { f.replace(p, 1, random(100), nil) },
		"no headers": func(f *fixture, p *plan) { f.replace(p, 0, nil, nats.Header{}) },
		"moved": func(f *fixture, p *plan) {
			s, _ := f.stream()
			m, err := s.GetLastMsgForSubject(f.ctx, f.key.chunk(p.generation(), 0))
			if err != nil {
				f.Fatal(err)
			}
			h := nats.Header{}
			for _, name := range []string{fileHeader, offsetHeader, hashHeader} {
				h.Set(name, m.Header.Get(name))
			}
			f.replace(p, 1, m.Data, h)
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			from, to := results(t, 2_000_000), filepath.Join(t.TempDir(), "3")
			f.send(from)
			_, p := chunksOf(t, from)
			damage(f, p)
			_, err := Receive(f.ctx, f.nc, f.key, to, Options{})
			if !errors.Is(err, ErrSendAgain) {
				t.Fatalf("%v, want %v", err, ErrSendAgain)
			}
			if _, err := os.Stat(to); err == nil {
				t.Fatal("a damaged parcel has the name of a whole one")
			}
			f.send(from)
			f.receive(to)
			equal(t, from, to)
		})
	}
}

// replace stores another message as a chunk, as a faulty sender would: without a condition.
func (f *fixture) replace(p *plan, number int, data []byte, h nats.Header) {
	f.Helper()
	if h == nil {
		for c := range p.chunks() {
			if c.number == number {
				h = p.headers(c, hashOf(data))
			}
		}
	}
	response, err := f.nc.RequestMsgWithContext(f.ctx, &nats.Msg{Subject: f.key.chunk(p.generation(), number), Header: h, Data: data})
	if err != nil || strings.Contains(string(response.Data), "error") {
		f.Fatal(response, err)
	}
}

// TestRepeated: a chunk that is stored a second time does no harm.
func TestRepeated(t *testing.T) {
	f := newFixture(t)
	from, to := results(t, 2_000_000), filepath.Join(t.TempDir(), "3")
	f.send(from)
	_, p := chunksOf(t, from)
	for c := range p.chunks() {
		data, _, err := p.read(c, make([]byte, ChunkBytes))
		if err != nil {
			t.Fatal(err)
		}
		f.replace(p, c.number, data, nil)
	}
	f.receive(to)
	equal(t, from, to)
}

// TestMemory: a large parcel is not held in memory, neither by Send nor by Receive.
func TestMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 256 MB")
	}
	ctx := within(t)
	p := startProcess(t, "127.0.0.1:0", t.TempDir()) // so that only the parcel's memory is measured
	nc := dial(t, p.url)
	key := Key{Run: "r", Agent: 1}
	if err := Open(ctx, nc, key.Run); err != nil {
		t.Fatal(err)
	}
	from, to := t.TempDir(), filepath.Join(t.TempDir(), "1")
	write(t, from, "exchanges.ndjson.zst", nil)
	if err := os.Truncate(filepath.Join(from, "exchanges.ndjson.zst"), 128<<20); err != nil {
		t.Fatal(err)
	}
	var most uint64
	o := Options{Progress: func(int64, int64) {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		most = max(most, m.HeapInuse)
	}}
	if _, err := Send(ctx, nc, key, from, o); err != nil {
		t.Fatal(err)
	}
	if _, err := Receive(ctx, nc, key, to, o); err != nil {
		t.Fatal(err)
	}
	t.Logf("at most %d MB", most>>20)
	if most > 64<<20 {
		t.Errorf("the heap had %d MB for a parcel of 128 MB", most>>20)
	}
}

// TestManyReceivers: receivers that share few turns neither wait for one another for ever nor
// keep a turn when they end early.
func TestManyReceivers(t *testing.T) {
	f := newFixture(t)
	const agents = 6
	turns := NewTurns(2)
	var all sync.WaitGroup
	for i := range agents {
		from, to := results(t, 2_000_000), filepath.Join(t.TempDir(), "x")
		key := Key{Run: f.key.Run, Agent: i}
		all.Go(func() {
			if _, err := Send(f.ctx, f.nc, key, from, Options{}); err != nil {
				t.Error(err)
				return
			}
			ctx, cancel := context.WithCancel(f.ctx)
			if _, err := Receive(ctx, f.nc, key, to, Options{Turns: turns, Progress: once(0.3, cancel)}); !errors.Is(err, context.Canceled) {
				t.Errorf("%v, want %v", err, context.Canceled)
			}
			if _, err := Receive(f.ctx, f.nc, key, to, Options{Turns: turns}); err != nil {
				t.Error(err)
				return
			}
			equal(t, from, to)
		})
	}
	all.Wait()
	if n := len(turns.free); n != 0 {
		t.Errorf("%d turns were kept", n)
	}
}
