package broker

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func TestCredentialsFile(t *testing.T) {
	controller, agents, err := Generate([]string{"bench.example.com", "*.fleet.svc", "10.0.0.1", "2001:db8::1"})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]*Credentials{"controller.cred": controller, "agent.cred": agents} {
		path := filepath.Join(t.TempDir(), name)
		for range 2 { // the second time replaces it
			if err := c.Write(path); err != nil {
				t.Fatal(err)
			}
		}
		if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", name, info.Mode(), err)
		}
		again, err := Read(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c, again); diff != "" {
			t.Errorf("%s (-written +read):\n%s", name, diff)
		}
		if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".credentials-*")); len(left) != 0 {
			t.Errorf("%v was left behind", left)
		}
	}
	if !controller.Controls() || agents.Controls() {
		t.Error("the roles are wrong")
	}
	text, err := os.ReadFile(filepath.Join("credentials.go"))
	if err != nil || strings.Contains(string(text), agents.Seed) {
		t.Fatal(err)
	}
	if agents.Key != "" || agents.Certificate != "" || agents.Seed == controller.Seed {
		t.Error("the agents' credentials have a secret of the controller")
	}
}

func TestGenerateRefuses(t *testing.T) {
	for _, host := range []string{"", "nats://a", "a:4222", "a b", "user@a"} {
		if _, _, err := Generate([]string{host}); err == nil || !strings.Contains(err.Error(), "without scheme and port") {
			t.Errorf("%q: %v", host, err)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	_, agents, err := Generate(nil)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "agent.cred")
	if _, err := Read(path); err == nil || !strings.Contains(err.Error(), "there are no credentials at") {
		t.Errorf("no file: %v", err)
	}
	if _, err := Read(filepath.Dir(path)); err == nil || !strings.Contains(err.Error(), "is a directory: give a file in it") {
		t.Errorf("a directory: %v", err)
	}
	if err := agents.Write(path); err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" {
		for mode, refused := range map[os.FileMode]bool{0o644: true, 0o604: true, 0o440: false, 0o640: false, 0o400: false} {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
			if _, err := Read(path); (err != nil) != refused || refused && !strings.Contains(err.Error(), "chmod 600") {
				t.Errorf("mode %o: %v", mode, err)
			}
		}
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, damage := range []struct{ name, old, new, want string }{
		{"seed", agents.Seed[:10], "SUAAAAAAAA", "its seed is damaged"},
		{"authority", "BEGIN CERTIFICATE", "BEGIN SOMETHING", "its authority is damaged"},
		{"role", `"agent"`, `"chief"`, "its role is"},
		{"controller", `"agent"`, `"controller"`, "its key of the agents is damaged"},
		{"schema", "/v1", "/v9", "its schema is"},
		{"another field", `"role"`, `"rule"`, "not valid JSON of this kind"},
		{"the end", "}", "} {}", "something follows"},
	} {
		if _, err := parse([]byte(strings.Replace(string(good), damage.old, damage.new, 1))); err == nil || !strings.Contains(err.Error(), damage.want) {
			t.Errorf("%s: %v, want %q", damage.name, err, damage.want)
		}
	}
}

func FuzzParseCredentials(f *testing.F) {
	controller, agents, err := Generate(nil)
	if err != nil {
		f.Fatal(err)
	}
	for _, c := range []*Credentials{controller, agents} {
		path := filepath.Join(f.TempDir(), "c")
		if err := c.Write(path); err != nil {
			f.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := parse(text)
		if err != nil {
			return
		}
		if _, err := c.join(); err != nil {
			t.Errorf("parsed, and cannot be used: %v", err)
		}
	})
}

// TestAgentsMay: with the agents' key a connection can do what agents do, and cannot change
// streams or listen to what is not the fleet's.
func TestAgentsMay(t *testing.T) {
	controller, agents, err := Generate(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := start(t, Config{Credentials: controller})
	ctx := within(t)
	c, a := dial(t, b.URL(), controller), dial(t, b.URL(), agents)
	cjs, err := jetstream.New(c)
	if err != nil {
		t.Fatal(err)
	}
	ajs, err := jetstream.New(a)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cjs.CreateStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"kabench.s.>"}, AllowDirect: true}); err != nil {
		t.Fatal(err)
	}

	// An agent answers the controller, and reaches it.
	if _, err := a.Subscribe("kabench.agent", func(m *nats.Msg) { m.Respond([]byte("here")) }); err != nil {
		t.Fatal(err)
	}
	if err := a.Flush(); err != nil {
		t.Fatal(err)
	}
	if m, err := c.RequestWithContext(ctx, "kabench.agent", nil); err != nil || string(m.Data) != "here" {
		t.Errorf("%v, %v", m, err)
	}
	if _, err := ajs.Publish(ctx, "kabench.s.1", []byte("x")); err != nil {
		t.Errorf("an agent cannot publish to a stream: %v", err)
	}
	s, err := ajs.Stream(ctx, "S")
	if err != nil {
		t.Fatal(err)
	}
	if m, err := s.GetLastMsgForSubject(ctx, "kabench.s.1"); err != nil || string(m.Data) != "x" {
		t.Errorf("an agent cannot read a stream: %v, %v", m, err)
	}

	// What it may not do is refused by the server, which says so on the connection.
	refused := make(chan error, 10)
	a.SetErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err })
	other := dial(t, b.URL(), controller)
	heard, err := other.SubscribeSync("other.>")
	if err != nil {
		t.Fatal(err)
	}
	for what, do := range map[string]func() error{
		"$JS.API.STREAM.DELETE.S": func() error { return a.Publish("$JS.API.STREAM.DELETE.S", nil) },
		"$JS.API.STREAM.PURGE.S":  func() error { return a.Publish("$JS.API.STREAM.PURGE.S", nil) },
		"$JS.API.STREAM.CREATE.T": func() error { return a.Publish("$JS.API.STREAM.CREATE.T", nil) },
		"other.subject":           func() error { return a.Publish("other.subject", nil) },
		"other.>":                 func() error { _, err := a.SubscribeSync("other.>"); return err },
		"$SYS.>":                  func() error { _, err := a.SubscribeSync("$SYS.>"); return err },
	} {
		if err := do(); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-refused:
			if !strings.Contains(err.Error(), what) {
				t.Errorf("%s: %v", what, err)
			}
		case <-ctx.Done():
			t.Fatalf("%s was not refused", what)
		}
	}
	if _, err := cjs.Stream(ctx, "S"); err != nil {
		t.Errorf("the stream: %v", err)
	}
	if n, _, _ := heard.Pending(); n != 0 {
		t.Errorf("%d messages of the agent came through", n)
	}
}
