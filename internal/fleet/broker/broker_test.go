package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func start(t *testing.T, c Config) *Broker {
	t.Helper()
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	if c.Dir == "" {
		c.Dir = t.TempDir()
	}
	b, err := Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func dial(t *testing.T, url string, c *Credentials) *nats.Conn {
	t.Helper()
	nc, err := Dial(t.Context(), url, c, "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// within returns a context for requests that a busy machine may take long for.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// TestSyncAlways: the running JetStream syncs each message before it acknowledges it.
func TestSyncAlways(t *testing.T) {
	b := start(t, Config{})
	if c := b.server.JetStreamConfig(); c == nil || !c.SyncAlways {
		t.Errorf("JetStream runs with %+v: SyncAlways must be set", c)
	}
}

// TestRestart: a broker that starts again on the same directory and port has what was
// acknowledged, and connections and subscriptions come back by themselves. While it is away, a
// publish fails at once.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	b := start(t, Config{Dir: dir})
	ctx := within(t)
	nc := dial(t, b.URL(), nil)
	back := nc.StatusChanged(nats.CONNECTED)
	heard := make(chan *nats.Msg, 1)
	if _, err := nc.ChanSubscribe("kabench.order", heard); err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(ctx, "s.1", []byte("kept")); err != nil {
		t.Fatal(err)
	}

	away := nc.StatusChanged(nats.RECONNECTING)
	b.Close()
	select {
	case <-away:
	case <-ctx.Done():
		t.Fatal("the connection did not notice that the broker ended")
	}
	if err := nc.Publish("kabench.order", []byte("too early")); !errors.Is(err, nats.ErrReconnectBufExceeded) {
		t.Errorf("publishing without a broker: %v, want %v", err, nats.ErrReconnectBufExceeded)
	}

	again := start(t, Config{Dir: dir, Listen: strings.TrimPrefix(b.URL(), "nats://")})
	if again.URL() != b.URL() {
		t.Errorf("the second broker is at %s, want %s", again.URL(), b.URL())
	}
	select {
	case <-back:
	case <-ctx.Done():
		t.Fatal("the connection did not come back")
	}
	s, err := js.Stream(ctx, "S")
	if err != nil {
		t.Fatal(err)
	}
	if m, err := s.GetLastMsgForSubject(ctx, "s.1"); err != nil || string(m.Data) != "kept" {
		t.Errorf("the acknowledged message is %v, %v", m, err)
	}
	if err := dial(t, again.URL(), nil).Publish("kabench.order", []byte("go")); err != nil {
		t.Fatal(err)
	}
	select {
	case m := <-heard:
		if string(m.Data) != "go" {
			t.Errorf("heard %q: something was buffered", m.Data)
		}
	case <-ctx.Done():
		t.Error("the subscription did not come back")
	}
}

// TestStartSaysWhatIsWrong: one sentence for each mistake, and nothing is left running.
func TestStartSaysWhatIsWrong(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	controller, agents, err := Generate(nil)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var logged []string
	log := func(line string) {
		mu.Lock()
		defer mu.Unlock()
		logged = append(logged, line)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := agents.Write(file); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		c    Config
		want string
		is   error
	}{
		{"taken", Config{Listen: taken.Addr().String(), Log: log}, "another program listens on " + taken.Addr().String(), syscall.EADDRINUSE},
		{"every address", Config{Listen: ":0"}, "could be used by anyone", nil},
		{"another address", Config{Listen: "192.0.2.1:0"}, "could be used by anyone", nil},
		{"not mine", Config{Listen: "192.0.2.1:0", Credentials: controller}, "is no address of this machine", syscall.EADDRNOTAVAIL},
		{"no port", Config{Listen: "127.0.0.1"}, "write HOST:PORT", nil},
		{"a word", Config{Listen: "127.0.0.1:nats"}, "write a number", nil},
		{"too large", Config{Listen: "127.0.0.1:65536"}, "write a number", nil},
		{"a file", Config{Dir: filepath.Join(file, "store")}, "cannot keep its store", syscall.ENOTDIR},
		{"an agent's", Config{Credentials: agents}, "give the controller controller.cred", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.c.Listen == "" {
				test.c.Listen = "127.0.0.1:0"
			}
			if test.c.Dir == "" {
				test.c.Dir = t.TempDir()
			}
			b, err := Start(test.c)
			if err == nil {
				b.Close()
				t.Fatal("it started")
			}
			if !strings.Contains(err.Error(), test.want) || test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("%v\nwant %q, %v", err, test.want, test.is)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("%q has several lines", err)
			}
		})
	}
	used := t.TempDir()
	start(t, Config{Dir: used})
	if _, err := Start(Config{Listen: "127.0.0.1:0", Dir: used}); err == nil || !strings.Contains(err.Error(), "another broker keeps its store in "+used) {
		t.Errorf("a directory that is used: %v", err)
	}
	if _, err := Start(Config{Listen: "127.0.0.1:0"}); err == nil || !strings.Contains(err.Error(), "set Dir") {
		t.Errorf("without a directory: %v", err)
	}
	mu.Lock()
	defer mu.Unlock()
	if !strings.Contains(fmt.Sprint(logged), "Error listening on port") {
		t.Errorf("the log has %q", logged)
	}
}

// TestURL: a broker on every address is reached over the loopback from here.
func TestURL(t *testing.T) {
	controller, _, err := Generate(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := start(t, Config{Listen: ":0", Credentials: controller})
	if want := fmt.Sprintf("tls://127.0.0.1:%d", b.Port()); b.URL() != want {
		t.Errorf("%s, want %s", b.URL(), want)
	}
	dial(t, b.URL(), controller)
	b.Close()
	b.Close() // a second time does no harm
}
