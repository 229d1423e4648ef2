package parcel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
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

// TestHostileManifest: a manifest that wants to write elsewhere, or too much, is refused, and
// nothing is written.
func TestHostileManifest(t *testing.T) {
	f := newFixture(t)
	from := results(t, 100)
	for name, change := range map[string]func(m *manifest){
		"a path":   func(m *manifest) { m.Files[0].Name = "../../escaped" },
		"absolute": func(m *manifest) { m.Files[0].Name = "/tmp/escaped" },
		"windows":  func(m *manifest) { m.Files[0].Name = `C:\escaped` },
		"parent":   func(m *manifest) { m.Files[0].Name = ".." },
		"hidden":   func(m *manifest) { m.Files[0].Name = listName },
		"a device": func(m *manifest) { m.Files[0].Name = "COM1.txt" },
		"a line":   func(m *manifest) { m.Files[0].Name = "a\nb" },
		"the same name": func(m *manifest) {
			m.Files[1].Name = "EXCHANGES.NDJSON.ZST"
			m.Files[0], m.Files[1] = m.Files[1], m.Files[0]
		},
		"negative":    func(m *manifest) { m.Files[0].Bytes = -1 },
		"too large":   func(m *manifest) { m.Files[0].Bytes = 1 << 60; m.Bytes += 1 << 60 },
		"overflow":    func(m *manifest) { m.Files[0].Bytes, m.Files[1].Bytes = 1<<62, 1<<62+1<<61 },
		"no chunks":   func(m *manifest) { m.Chunk = 0 },
		"many chunks": func(m *manifest) { m.Chunk = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			_, p := chunksOf(t, from)
			change(&p.manifest)
			p.Hash = p.sum()
			text, err := json.Marshal(p.manifest)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.nc.RequestWithContext(f.ctx, f.key.manifest(), text); err != nil {
				t.Fatal(err)
			}
			above := t.TempDir()
			to := filepath.Join(above, "3")
			if _, err := Receive(f.ctx, f.nc, f.key, to, Options{}); err == nil || !strings.Contains(err.Error(), "their list is not valid") {
				t.Errorf("%v", err)
			}
			if left, _ := os.ReadDir(above); len(left) != 0 {
				t.Errorf("%v was written", left)
			}
		})
	}
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

// TestCluster: on a cluster the stream is on three servers, and one of them may end.
func TestCluster(t *testing.T) {
	ctx := within(t)
	servers := cluster(t)
	var urls []string
	for _, s := range servers {
		urls = append(urls, s.ClientURL())
	}
	nc := dialRetry(t, ctx, strings.Join(urls, ","))
	key := Key{Run: "r", Agent: 1}
	if err := Open(ctx, nc, key.Run); err != nil {
		t.Fatal(err)
	}
	s, _ := streamOf(t, ctx, nc, key.Run)
	if n := s.CachedInfo().Config.Replicas; n != 3 {
		t.Fatalf("%d replicas, want 3", n)
	}
	from, to := results(t, 10_000_000), filepath.Join(t.TempDir(), "1")
	leader := s.CachedInfo().Cluster.Leader
	stop := func() {
		for _, server := range servers {
			if server.Name() == leader {
				server.Shutdown()
			}
		}
	}
	if _, err := Send(ctx, nc, key, from, Options{Progress: once(0.4, stop)}); err != nil {
		t.Fatal(err)
	}
	if _, err := Receive(ctx, nc, key, to, Options{}); err != nil {
		t.Fatal(err)
	}
	equal(t, from, to)
}

// dialRetry dials until a new cluster has elected its leader.
func dialRetry(t *testing.T, ctx context.Context, url string) *nats.Conn {
	t.Helper()
	for {
		nc, err := broker.Dial(ctx, url, nil, "test")
		if err == nil {
			t.Cleanup(nc.Close)
			return nc
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}

// cluster starts three servers that know each other.
func cluster(t *testing.T) (list []*server.Server) {
	t.Helper()
	var routes string
	for i := range 3 {
		o := &server.Options{
			ServerName: fmt.Sprintf("s%d", i), Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
			JetStream: true, StoreDir: t.TempDir(),
			Cluster: server.ClusterOpts{Name: "c", Host: "127.0.0.1", Port: server.RANDOM_PORT},
			Routes:  server.RoutesFromStr(routes),
		}
		s, err := server.NewServer(o)
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
		for s.ClusterAddr() == nil {
			time.Sleep(10 * time.Millisecond)
		}
		routes = "nats://" + s.ClusterAddr().String()
		list = append(list, s)
	}
	for _, s := range list {
		if !s.ReadyForConnections(time.Minute) {
			t.Fatal("a server of the cluster is not ready")
		}
	}
	return list
}

func FuzzManifest(f *testing.F) {
	dir := f.TempDir()
	write(f, dir, "a.json", []byte("{}"))
	write(f, dir, "b", nil)
	_, p := chunksOf(f, dir)
	text, err := json.Marshal(p.manifest)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"schema":"kabench.parcel/v1","files":[{"name":"../x"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := parse(text, 1<<30)
		if err != nil {
			return
		}
		bytes, next := int64(0), 0
		for c := range m.chunks() {
			if c.number != next || c.bytes <= 0 || c.bytes > ChunkBytes || c.offset+c.bytes > m.Files[c.file].Bytes {
				t.Fatalf("chunk %+v of %+v", c, m)
			}
			next++
			bytes += c.bytes
			if next > 10_000 {
				return
			}
		}
		if bytes != m.Bytes {
			t.Errorf("the chunks have %d bytes, the parcel %d", bytes, m.Bytes)
		}
		for _, file := range m.Files {
			if filepath.Base(file.Name) != file.Name || file.Name == "." || file.Name == ".." || file.Name == listName {
				t.Errorf("the name %q", file.Name)
			}
		}
		if m.generation() == "" || strings.ContainsAny(m.generation(), ".*> ") {
			t.Errorf("the generation %q", m.generation())
		}
	})
}

func FuzzCheck(f *testing.F) {
	m := &manifest{Files: []file{{Name: "a", Bytes: 3}}}
	data := []byte("abc")
	f.Add("a", "0", hashOf(data), data)
	f.Add("b", "-1", "", []byte{})
	f.Fuzz(func(t *testing.T, name, offset, hash string, got []byte) {
		err := m.check(chunk{0, 0, 0, 3}, nats.Header{fileHeader: {name}, offsetHeader: {offset}, hashHeader: {hash}}, got)
		if err == nil && (name != "a" || len(got) != 3 || hash != hashOf(got)) {
			t.Errorf("%q, %q, %q, %q was accepted", name, offset, hash, got)
		}
	})
}
