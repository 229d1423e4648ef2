package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// foreign starts a NATS server that is configured in another way than kabench's.
func foreign(t *testing.T, change func(*server.Options)) string {
	t.Helper()
	o := &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir()}
	change(o)
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(time.Minute) {
		t.Fatal("the server did not start")
	}
	return s.Addr().String()
}

// greets starts a server that sends a line and then waits.
func greets(t *testing.T, line string) string {
	t.Helper()
	return accepts(t, func(conn net.Conn) {
		t.Cleanup(func() { conn.Close() })
		fmt.Fprint(conn, line)
	})
}

// cuts is the address of a server that sends a line and ends the connection, as a broker does
// that is killed.
func cuts(t *testing.T, line string) string {
	t.Helper()
	return accepts(t, func(conn net.Conn) {
		fmt.Fprint(conn, line)
		conn.Close()
	})
}

// accepts is the address of a server that calls f for each connection.
func accepts(t *testing.T, f func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			f(conn)
		}
	}()
	return l.Addr().String()
}

// at is a broker whose certificate was made at another time.
func at(t *testing.T, now time.Time) (*Broker, *Credentials) {
	t.Helper()
	controller, agents, err := Generate(nil)
	if err != nil {
		t.Fatal(err)
	}
	ca, certificate, key, err := certify(nil, now)
	if err != nil {
		t.Fatal(err)
	}
	controller.CA, agents.CA, controller.Certificate, controller.Key = ca, ca, certificate, key
	return start(t, Config{Credentials: controller}), agents
}

// TestDialSaysWhatIsWrong: one sentence for each mistake, of the kind that says what to do.
func TestDialSaysWhatIsWrong(t *testing.T) {
	controller, agents, err := Generate([]string{"bench.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	_, strangers, err := Generate(nil)
	if err != nil {
		t.Fatal(err)
	}
	mixed := *strangers // the right authority, and a key that the broker does not know
	mixed.CA = agents.CA
	open, closed := start(t, Config{}), start(t, Config{Listen: "0.0.0.0:0", Credentials: controller})
	hostPort := func(b *Broker) string { return fmt.Sprintf("127.0.0.1:%d", b.Port()) }
	gone := start(t, Config{})
	gone.Close()
	web := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	expired, expiredAgent := at(t, time.Now().Add(-2*validFor))
	withToken := foreign(t, func(o *server.Options) { o.Authorization = "sesame" })
	bare := foreign(t, func(o *server.Options) { o.JetStream = false })
	small := foreign(t, func(o *server.Options) { o.MaxPayload = 1000 })

	for _, test := range []struct {
		name string
		url  string
		c    *Credentials
		kind Kind
		want string
	}{
		{"nobody", gone.URL(), nil, Unreachable, "nobody listens at " + hostPort(gone)},
		{"no such host", "nats://no-such-host.invalid:4222", agents, Unreachable, "no-such-host.invalid has no address"},
		{"HTTP", "nats://" + web.Listener.Addr().String(), nil, Unfit, "is not a NATS server"},
		{"SSH", "nats://" + greets(t, "SSH-2.0-OpenSSH_9.9\r\n"), nil, Unfit, `is not a NATS server; it begins with "SSH-2.0-OpenSSH_9.9"`},
		{"binary", "nats://" + greets(t, "\x16\x03\x01\n"), nil, Unfit, `is not a NATS server; it begins with "..."`},
		{"one that ends at once", "nats://" + cuts(t, ""), nil, Unreachable, "ended it at once"},
		{"one that ends in its first line", "nats://" + cuts(t, "INFO {"), nil, Unreachable, "ended it at once"},
		{"one that ends before TLS", "nats://" + cuts(t, `INFO {"server_id":"x","nonce":"bm9uY2U","max_payload":1048576,"tls_required":true}`+"\r\n"), agents, Unreachable, "ended the connection while it was made"},
		{"half NATS", "nats://" + greets(t, "INFO {oops\n"), nil, Unfit, "is not a NATS server"},
		{"another machine", "nats://192.0.2.1:4222", nil, NotAllowed, "is on another machine, so it needs credentials"},
		{"one of two on another machine", "nats://127.0.0.1:4222,nats://192.0.2.1:4222", nil, NotAllowed, "192.0.2.1:4222 is on another machine"},
		{"no credentials", closed.URL(), nil, Untrusted, "give --credentials FILE"},
		{"no credentials, no TLS", "nats://" + hostPort(closed), nil, Untrusted, "give --credentials FILE"},
		{"another fleet's", closed.URL(), strangers, Untrusted, "of another authority"},
		{"another key", closed.URL(), &mixed, NotAllowed, "does not accept these credentials"},
		{"credentials, no TLS", open.URL(), agents, NotAllowed, "asks for no keys of this kind"},
		{"TLS wanted", "tls://" + hostPort(open), nil, Untrusted, "has no TLS: write nats://"},
		{"another host", fmt.Sprintf("tls://127.0.0.2:%d", closed.Port()), agents, Untrusted, "is for localhost, bench.example.com, 127.0.0.1, ::1 and not for this host: use one of these names, or make credentials with --host 127.0.0.2"},
		{"expired", expired.URL(), expiredAgent, Untrusted, "check the clock, or make new credentials"},
		{"no token", "nats://" + withToken, nil, NotAllowed, "asks for credentials"},
		{"wrong token", "nats://mellon@" + withToken, nil, NotAllowed, "does not accept this user or token"},
		{"no JetStream", "nats://" + bare, nil, Unfit, "has no JetStream"},
		{"small messages", "nats://" + small, nil, Unfit, "raise max_payload"},
		{"scheme", "http://127.0.0.1:4222", nil, Unfit, "write nats://HOST:PORT"},
		{"nothing", "", nil, Unfit, "write nats://HOST:PORT"},
		{"path", "nats://127.0.0.1:4222/x", nil, Unfit, "write nats://HOST:PORT"},
		{"secret", "nats://a b:mellon@127.0.0.1:4222", nil, Unfit, "write nats://HOST:PORT"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			nc, err := Dial(within(t), test.url, test.c, "test")
			if err == nil {
				nc.Close()
				t.Fatal("it connected")
			}
			e := new(Error)
			if !errors.As(err, &e) || e.Kind != test.kind || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%#v\n%v\nwant kind %d, %q", err, err, test.kind, test.want)
			}
			for _, bad := range []string{"\n", "mellon", "sesame"} {
				if strings.Contains(err.Error(), bad) {
					t.Errorf("%q has %q", err, bad)
				}
			}
		})
	}
}

// TestDialOtherBrokers: a broker that is not kabench's is used by its URL.
func TestDialOtherBrokers(t *testing.T) {
	token := foreign(t, func(o *server.Options) { o.Authorization = "sesame" })
	user := foreign(t, func(o *server.Options) { o.Username, o.Password = "ali", "baba" })
	gone := start(t, Config{})
	gone.Close()
	for _, url := range []string{
		"nats://sesame@" + token, "sesame@" + token, "nats://ali:baba@" + user,
		gone.URL() + ",nats://ali:baba@" + user, // the second server of a cluster
	} {
		dial(t, url, nil)
	}
}

// TestDialEndsWithContext: whatever the server does.
func TestDialEndsWithContext(t *testing.T) {
	silent := greets(t, "")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := Dial(ctx, "nats://"+silent, nil, "test")
	if e := new(Error); !errors.As(err, &e) || e.Kind != Unfit || !strings.Contains(err.Error(), "accepts connections, but") {
		t.Errorf("%v", err)
	}
	if took := time.Since(began); took > greetWithin-time.Second {
		t.Errorf("it took %s", took)
	}
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	if _, err := Dial(ctx, "nats://"+silent, nil, "test"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestWaitBefore(t *testing.T) {
	for rounds := range 100 {
		if d := waitBefore(rounds); d < waitAtLeast/2 || d > waitAtMost {
			t.Errorf("%s before round %d", d, rounds)
		}
	}
	if d := waitBefore(20); d < waitAtMost/2 {
		t.Errorf("%s after many rounds", d)
	}
}

// FuzzGreet: whatever a server sends, NATS gets the same bytes.
func FuzzGreet(f *testing.F) {
	f.Add([]byte("INFO {\"tls_required\":true}\r\nPING\r\n"))
	f.Add([]byte("SSH-2.0-OpenSSH_9.9\r\n"))
	f.Add([]byte(""))
	f.Fuzz(func(t *testing.T, sent []byte) {
		ours, theirs := net.Pipe()
		go func() {
			theirs.Write(sent)
			theirs.Close()
		}()
		g, conn := greet(ours)
		defer conn.Close()
		got, rest := make([]byte, 0, len(sent)), make([]byte, 4096)
		for {
			n, err := conn.Read(rest)
			got = append(got, rest[:n]...)
			if err != nil {
				break
			}
		}
		if string(got) != string(sent) {
			t.Errorf("%d bytes were sent, %d are left", len(sent), len(got))
		}
		if len(g.Text) > 50 || strings.ContainsAny(g.Text, "\n\r\x1b") {
			t.Errorf("%q does not fit into a sentence", g.Text)
		}
	})
}

var _ nats.CustomDialer = (*dialer)(nil)
