package parcel

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/kabench/kabench/internal/fleet/broker"
)

// TestParcel: every byte arrives, once; the second time nothing travels.
func TestParcel(t *testing.T) {
	f := newFixture(t)
	from, to := results(t, 3_000_000), filepath.Join(t.TempDir(), "agents", "3")
	sent := f.send(from)
	if got := f.receive(to); got != sent {
		t.Errorf("hash %s arrived, %s was sent", got, sent)
	}
	equal(t, from, to)
	n, _ := chunksOf(t, from)
	if _, s := f.stream(); s.Msgs != uint64(n+1) || s.LastSeq != s.Msgs {
		t.Errorf("the broker has %d messages, the last is number %d; the parcel has %d chunks and a manifest", s.Msgs, s.LastSeq, n)
	}
	before := f.nc.Stats()
	if again := f.send(from); again != sent {
		t.Errorf("hash %s, then %s", sent, again)
	}
	if again := f.receive(to); again != sent {
		t.Errorf("hash %s, then %s", sent, again)
	}
	after := f.nc.Stats()
	if out, in := after.OutBytes-before.OutBytes, after.InBytes-before.InBytes; out > 50_000 || in > 50_000 {
		t.Errorf("%d bytes were sent and %d received for a parcel that was there", out, in)
	}
}

// TestReceiveWaits: Receive may be called first, and makes the stream; agents' credentials are
// enough for Send.
func TestReceiveWaits(t *testing.T) {
	controller, agents, err := broker.Generate(nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := broker.Start(broker.Config{Listen: "127.0.0.1:0", Dir: t.TempDir(), Credentials: controller})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	ctx := within(t)
	connect := func(c *broker.Credentials) *nats.Conn {
		nc, err := broker.Dial(ctx, b.URL(), c, "test")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		return nc
	}
	key := Key{Run: "r", Agent: 0}
	from, to := results(t, 2_000_000), filepath.Join(t.TempDir(), "0")
	waited := make(chan error, 100)
	sent := make(chan error, 1)
	go func() {
		_, err := Send(ctx, connect(agents), key, from, Options{Waiting: func(reason error) {
			select {
			case waited <- reason:
			default:
			}
		}})
		sent <- err
	}()
	if reason := <-waited; !errors.Is(reason, jetstream.ErrStreamNotFound) {
		t.Errorf("Send waits because %v", reason)
	}
	if _, err := Receive(ctx, connect(controller), key, to, Options{}); err != nil {
		t.Fatal(err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	equal(t, from, to)
}

// TestSenderIsReplaced: a sender that ended in the middle is continued by another one, which
// sends only the rest.
func TestSenderIsReplaced(t *testing.T) {
	f := newFixture(t)
	from, to := results(t, 10_000_000), filepath.Join(t.TempDir(), "3")
	ctx, cancel := context.WithCancelCause(f.ctx)
	killed := errors.New("killed")
	if _, err := Send(ctx, f.nc, f.key, from, Options{Progress: once(0.5, func() { cancel(killed) })}); !errors.Is(err, killed) {
		t.Fatalf("%v, want %v", err, killed)
	}
	n, p := chunksOf(t, from)
	_, state := f.stream()
	if state.Msgs < uint64(n)/3 || state.Msgs > uint64(n) {
		t.Fatalf("the first sender sent %d of %d chunks", state.Msgs, n)
	}
	nc := dial(t, f.b.URL())
	if _, err := Send(f.ctx, nc, f.key, from, Options{}); err != nil {
		t.Fatal(err)
	}
	if out, most := nc.Stats().OutBytes, uint64(p.Bytes)-(state.Msgs-2)*ChunkBytes+50_000; out > most {
		t.Errorf("the second sender sent %d bytes; %d chunks were there, so %d would do", out, state.Msgs, most)
	}
	if _, s := f.stream(); s.Msgs != uint64(n+1) || s.LastSeq != s.Msgs {
		t.Errorf("the broker has %d messages, the last is number %d; want %d", s.Msgs, s.LastSeq, n+1)
	}
	f.receive(to)
	equal(t, from, to)
}

// TestReceiverIsReplaced: the same for a receiver; what is in dir.part is not fetched again,
// unless it is damaged.
func TestReceiverIsReplaced(t *testing.T) {
	f := newFixture(t)
	from := results(t, 10_000_000)
	_, p := chunksOf(t, from)
	f.send(from)
	for _, damage := range []bool{false, true} {
		to := filepath.Join(t.TempDir(), "3")
		ctx, cancel := context.WithCancel(f.ctx)
		if _, err := Receive(ctx, f.nc, f.key, to, Options{Progress: once(0.5, cancel)}); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if _, err := os.Stat(to); err == nil {
			t.Fatal("half a parcel has the name of a whole one")
		}
		if damage {
			out, err := os.OpenFile(filepath.Join(to+".part", "exchanges.ndjson.zst"), os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := out.WriteAt(make([]byte, 5000), 1000); err != nil {
				t.Fatal(err)
			}
			out.Close()
		}
		nc := dial(t, f.b.URL())
		if _, err := Receive(f.ctx, nc, f.key, to, Options{}); err != nil {
			t.Fatal(err)
		}
		if in, most := nc.Stats().InBytes, uint64(p.Bytes)*2/3; (in > most) != damage {
			t.Errorf("the second receiver received %d bytes of %d; damaged: %v", in, p.Bytes, damage)
		}
		equal(t, from, to)
	}
}

// TestTwoSenders: two processes may send the same directory at once.
func TestTwoSenders(t *testing.T) {
	f := newFixture(t)
	from, to := results(t, 5_000_000), filepath.Join(t.TempDir(), "3")
	done := make(chan error, 2)
	for range 2 {
		nc := dial(t, f.b.URL())
		go func() {
			_, err := Send(f.ctx, nc, f.key, from, Options{})
			done <- err
		}()
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	f.receive(to)
	equal(t, from, to)
	n, _ := chunksOf(t, from)
	if _, s := f.stream(); s.Msgs != uint64(n+1) || s.LastSeq != s.Msgs {
		t.Errorf("the broker has %d messages, the last is number %d; want %d", s.Msgs, s.LastSeq, n+1)
	}
}

// TestFilesChange: an agent that was started again has a longer record. The new parcel
// replaces the older one, at the broker and in the directory.
func TestFilesChange(t *testing.T) {
	f := newFixture(t)
	from, to := results(t, 1_000_000), filepath.Join(t.TempDir(), "3")
	first := f.send(from)
	f.receive(to)
	write(t, from, "exchanges.ndjson.zst", random(2_000_000))
	if err := os.Remove(filepath.Join(from, "profile.yaml")); err != nil {
		t.Fatal(err)
	}
	second := f.send(from)
	if got := f.receive(to); got != second || got == first {
		t.Errorf("hash %s arrived; first %s, second %s", got, first, second)
	}
	equal(t, from, to)

	// The same while the receiver is in the middle of the older one.
	write(t, from, "run.json", random(700_000))
	f.send(from)
	_, err := Receive(f.ctx, f.nc, f.key, to, Options{Progress: once(0.5, func() {
		write(t, from, "run.json", random(800_000))
		f.send(from)
	})})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, from, to)
}

// TestFilesChangeWhileSent: Send begins again with what is there then, and gives up if that
// does not end.
func TestFilesChangeWhileSent(t *testing.T) {
	f := newFixture(t)
	from, to := results(t, 10_000_000), filepath.Join(t.TempDir(), "3")
	change := func() { write(t, from, "exchanges.ndjson.zst", random(10_000_001)) }
	if _, err := Send(f.ctx, f.nc, f.key, from, Options{Progress: once(0.3, change)}); err != nil {
		t.Fatal(err)
	}
	f.receive(to)
	equal(t, from, to)
	change()
	_, err := Send(f.ctx, f.nc, f.key, from, Options{Progress: func(have, of int64) {
		if have < of/2 {
			change()
		}
	}})
	if err == nil || !strings.Contains(err.Error(), "change while they are sent") {
		t.Errorf("%v", err)
	}
}

// TestBytesPerSecond: a limit holds, apart from the first chunk.
func TestBytesPerSecond(t *testing.T) {
	f := newFixture(t)
	from := t.TempDir()
	write(t, from, "x", random(3*ChunkBytes))
	began := time.Now()
	if _, err := Send(f.ctx, f.nc, f.key, from, Options{BytesPerSecond: 2 * ChunkBytes}); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 950*time.Millisecond {
		t.Errorf("3 chunks at 2 chunks a second took %s", took)
	}
}

func TestRemove(t *testing.T) {
	f := newFixture(t)
	from := results(t, 1_000_000)
	f.send(from)
	other := f.key
	other.Agent = 30 // its subject begins with the same characters
	if _, err := Send(f.ctx, f.nc, other, from, Options{}); err != nil {
		t.Fatal(err)
	}
	n, _ := chunksOf(t, from)
	if err := Forget(f.ctx, f.nc, f.key); err != nil {
		t.Fatal(err)
	}
	if _, s := f.stream(); s.Msgs != uint64(n+1) {
		t.Errorf("the broker has %d messages after one of two parcels was removed, want %d", s.Msgs, n+1)
	}
	for range 2 { // the second time there is nothing to remove
		if err := Remove(f.ctx, f.nc, f.key.Run); err != nil {
			t.Fatal(err)
		}
		if err := Forget(f.ctx, f.nc, f.key); err != nil {
			t.Fatal(err)
		}
	}
	js, err := jetstream.New(f.nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.Stream(f.ctx, stream(f.key.Run)); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("the stream: %v", err)
	}
}

func TestRefused(t *testing.T) {
	f := newFixture(t)
	dir := results(t, 100)
	for _, key := range []Key{{"", 0}, {"a.b", 0}, {"a b", 0}, {"*", 0}, {"a/../b", 0}, {strings.Repeat("a", 65), 0}, {"a", -1}} {
		if _, err := Send(f.ctx, f.nc, key, dir, Options{}); err == nil {
			t.Errorf("%v was sent", key)
		}
		if _, err := Receive(f.ctx, f.nc, key, filepath.Join(t.TempDir(), "x"), Options{}); err == nil {
			t.Errorf("%v was received", key)
		}
	}
	for name, make := range map[string]func(dir string) error{
		"is not a file":  func(dir string) error { return os.Mkdir(filepath.Join(dir, "packets"), 0o755) },
		"is no name":     func(dir string) error { return os.WriteFile(filepath.Join(dir, "a b"), nil, 0o644) },
		"is not a file,": func(dir string) error { return os.Symlink("/etc/passwd", filepath.Join(dir, "link")) },
		"cannot be read": func(dir string) error { return os.RemoveAll(dir) },
		"has no files": func(dir string) error {
			if err := os.RemoveAll(dir); err != nil {
				return err
			}
			return os.Mkdir(dir, 0o755)
		},
	} {
		dir := results(t, 100)
		if err := make(dir); err != nil {
			t.Fatal(err)
		}
		if _, err := Send(f.ctx, f.nc, f.key, dir, Options{}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v, want %q", err, name)
		}
	}
	if _, err := Send(f.ctx, f.nc, f.key, dir, Options{MaxBytes: 1000}); err == nil || !strings.Contains(err.Error(), "the most that is allowed") {
		t.Errorf("%v", err)
	}
	f.send(dir)
	if _, err := Receive(f.ctx, f.nc, f.key, filepath.Join(t.TempDir(), "x"), Options{MaxBytes: 1000}); err == nil || !strings.Contains(err.Error(), "the most that is allowed") {
		t.Errorf("%v", err)
	}
	f.nc.Close()
	if _, err := Send(f.ctx, f.nc, f.key, dir, Options{}); err == nil || !strings.Contains(err.Error(), "the connection to the broker was closed") {
		t.Errorf("%v", err)
	}
}
