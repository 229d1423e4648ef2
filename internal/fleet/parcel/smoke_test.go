package parcel

import (
	"bytes"
	"context"
	"crypto/rand"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/fleet/broker"
	"github.com/nats-io/nats.go"
)

func startBroker(t testing.TB, listen, dir string) *broker.Broker {
	t.Helper()
	b, err := broker.Start(broker.Config{Listen: listen, Dir: dir, Log: func(line string) { t.Log("broker:", line) }})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func dial(t testing.TB, b *broker.Broker) *nats.Conn {
	t.Helper()
	nc, err := broker.Dial(t.Context(), b.URL(), nil, "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

func write(t testing.TB, dir, name string, size int) []byte {
	t.Helper()
	data := make([]byte, size)
	rand.Read(data)
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
		t.Fatal(err)
	}
	return data
}

func TestSmoke(t *testing.T) {
	b := startBroker(t, "127.0.0.1:0", t.TempDir())
	defer b.Close()
	nc := dial(t, b)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := Open(ctx, nc, "r1"); err != nil {
		t.Fatal(err)
	}
	from, to := t.TempDir(), filepath.Join(t.TempDir(), "0")
	want := write(t, from, "a", 3_000_000)
	write(t, from, "empty", 0)
	began := time.Now()
	sent, err := Send(ctx, nc, Key{"r1", 0}, from, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Log("sent", time.Since(began))
	got, err := Receive(ctx, nc, Key{"r1", 0}, to, Options{})
	if err != nil || got != sent {
		t.Fatal(got, sent, err)
	}
	t.Log("received", time.Since(began))
	have, err := os.ReadFile(filepath.Join(to, "a"))
	if err != nil || !bytes.Equal(have, want) {
		t.Fatal(err, len(have))
	}
}
