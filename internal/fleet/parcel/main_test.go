package parcel

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/kabench/kabench/internal/fleet/broker"
)

// asBroker, if set, makes this test program a broker with the store in that directory. It ends
// with its standard input.
const asBroker = "KABENCH_TEST_BROKER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(asBroker); dir != "" {
		b, err := broker.Start(broker.Config{Listen: os.Getenv(asBroker + "_LISTEN"), Dir: dir, Log: func(line string) { fmt.Fprintln(os.Stderr, line) }})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(b.URL())
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// process is a broker in a process of its own, which can be killed.
type process struct {
	url string
	dir string
	cmd *exec.Cmd
	in  io.Closer
}

func startProcess(t testing.TB, listen, dir string) *process {
	t.Helper()
	p := &process{dir: dir, cmd: exec.Command(os.Args[0])}
	p.cmd.Env = append(os.Environ(), asBroker+"="+dir, asBroker+"_LISTEN="+listen)
	p.cmd.Stderr = os.Stderr
	in, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.in = in
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal("the broker did not start: ", err)
	}
	p.url = strings.TrimSpace(line)
	return p
}

// kill ends it without notice, and waits for its end.
func (p *process) kill() {
	p.cmd.Process.Kill()
	p.in.Close()
	p.cmd.Wait()
}

// restart kills it and starts it again on the same port and directory.
func (p *process) restart(t testing.TB) *process {
	p.kill()
	return startProcess(t, strings.TrimPrefix(p.url, "nats://"), p.dir)
}

// fixture is a broker in this process, with the stream of a run.
type fixture struct {
	testing.TB
	ctx context.Context
	b   *broker.Broker
	nc  *nats.Conn
	key Key
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	b, err := broker.Start(broker.Config{Listen: "127.0.0.1:0", Dir: t.TempDir(), Log: func(line string) { t.Log("broker:", line) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	f := &fixture{TB: t, ctx: within(t), b: b, key: Key{Run: "run-1", Agent: 3}}
	f.nc = dial(t, b.URL())
	if err := Open(f.ctx, f.nc, f.key.Run); err != nil {
		t.Fatal(err)
	}
	return f
}

// within returns a context with the time that a busy machine may need.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func dial(t testing.TB, url string) *nats.Conn {
	t.Helper()
	nc, err := broker.Dial(t.Context(), url, nil, t.Name())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

func (f *fixture) send(dir string) string {
	f.Helper()
	hash, err := Send(f.ctx, f.nc, f.key, dir, Options{})
	if err != nil {
		f.Fatal(err)
	}
	return hash
}

func (f *fixture) receive(dir string) string {
	f.Helper()
	hash, err := Receive(f.ctx, f.nc, f.key, dir, Options{})
	if err != nil {
		f.Fatal(err)
	}
	return hash
}

// stream returns the stream as it is now.
func (f *fixture) stream() (jetstream.Stream, jetstream.StreamState) {
	f.Helper()
	return streamOf(f, f.ctx, f.nc, f.key.Run)
}

func streamOf(t testing.TB, ctx context.Context, nc *nats.Conn, run string) (jetstream.Stream, jetstream.StreamState) {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(ctx, stream(run))
	if err != nil {
		t.Fatal(err)
	}
	info, err := s.Info(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return s, info.State
}

// results makes a directory like an agent's, with n bytes in its largest file.
func results(t testing.TB, n int) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "exchanges.ndjson.zst", random(n))
	write(t, dir, "profile.yaml", []byte("name: x\n"))
	write(t, dir, "run.json", random(ChunkBytes)) // one chunk exactly
	write(t, dir, "samples.ndjson", nil)
	write(t, dir, ".hidden", []byte("stays"))
	return dir
}

func random(n int) []byte {
	data := make([]byte, n)
	rand.Read(data)
	return data
}

func write(t testing.TB, dir, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// chunksOf is the number of chunks of a directory's parcel.
func chunksOf(t testing.TB, dir string) (n int, p *plan) {
	t.Helper()
	p, err := scan(t.Context(), dir, DefaultMaxBytes)
	if err != nil {
		t.Fatal(err)
	}
	for range p.chunks() {
		n++
	}
	return n, p
}

// equal compares directories byte for byte; what begins with a dot is left out of from.
func equal(t testing.TB, from, to string) {
	t.Helper()
	read := func(dir string) map[string][]byte {
		files := map[string][]byte{}
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if files[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
				t.Fatal(err)
			}
		}
		return files
	}
	want, got := read(from), read(to)
	for name := range want {
		if strings.HasPrefix(name, ".") {
			delete(want, name)
		}
	}
	for name, data := range want {
		if have, there := got[name]; !there || !bytes.Equal(data, have) {
			t.Errorf("%s: %d bytes were sent, %d arrived (%v), and they differ", name, len(data), len(have), there)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d files arrived, %d were sent", len(got), len(want))
	}
	for _, suffix := range []string{".part", ".old"} {
		if _, err := os.Stat(to + suffix); err == nil {
			t.Errorf("%s was left behind", to+suffix)
		}
	}
}

// once makes a Progress that calls do when a share of the bytes has arrived.
func once(share float64, do func()) func(have, of int64) {
	var first sync.Once
	return func(have, of int64) {
		if float64(have) >= share*float64(of) {
			first.Do(do)
		}
	}
}
