package broker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	connectWithin = 5 * time.Second        // each attempt to connect
	answerWithin  = 10 * time.Second       // JetStream's first response
	waitAtLeast   = 100 * time.Millisecond // before the first attempt to come back
	waitAtMost    = 2 * time.Second        // before later ones
	askAlive      = 10 * time.Second       // between pings
	silentPings   = 4                      // after this many without response the connection is dead: a slow line may hold that much data
)

// Dial connects to a broker, and says in one sentence why it cannot: see the errors of this
// package. It makes one attempt for each server of the URL, and ends with ctx. The URL is
// nats://HOST:PORT or tls://HOST:PORT, with USER:PASSWORD@ or TOKEN@ before the host if the
// broker asks for it, and a comma between several servers of a cluster. c may be nil; then the
// broker must be on the loopback, or the URL must have a user or token.
//
// After that the connection comes back by itself, for ever: the first attempt about 100 ms
// after it was lost, later ones every 1 to 2 s, at random, so that many agents do not come at
// once. While it is away nothing is buffered, and a publish fails at once with
// nats.ErrReconnectBufExceeded: what was said before the outage would come late and out of
// its time, and the caller knows better what is still worth saying. Subscriptions come back
// with the connection. name is shown in the broker's lists.
func Dial(ctx context.Context, address string, c *Credentials, name string) (*nats.Conn, error) {
	to, err := addresses(address)
	if err != nil {
		return nil, err
	}
	if err := to.allowed(c); err != nil {
		return nil, err
	}
	d := &dialer{ctx: ctx, first: true}
	options := []nats.Option{
		nats.Name(name),
		nats.SetCustomDialer(d),
		nats.Timeout(connectWithin + greetWithin),
		nats.DontRandomize(),
		nats.MaxReconnects(-1),
		nats.CustomReconnectDelay(waitBefore),
		nats.ReconnectBufSize(-1),
		nats.IgnoreAuthErrorAbort(), // the broker may come back with the right keys
		nats.PingInterval(askAlive),
		nats.MaxPingsOutstanding(silentPings),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}), // NATS would print them; nc.LastError has them
	}
	if c != nil {
		present, err := c.join()
		if err != nil {
			return nil, err
		}
		options = append(options, present...)
	}
	nc, err := connect(ctx, to, options)
	if err != nil {
		met, cause := d.seen()
		return nil, to.explain(err, cause, met, c)
	}
	d.seen()
	if err := usable(ctx, nc, to); err != nil {
		nc.Close()
		return nil, err
	}
	return nc, nil
}

// connect is nats.Connect that ends with ctx.
func connect(ctx context.Context, to targets, options []nats.Option) (*nats.Conn, error) {
	type result struct {
		nc  *nats.Conn
		err error
	}
	done := make(chan result, 1)
	go func() {
		nc, err := nats.Connect(to.url, options...)
		done <- result{nc, err}
	}()
	select {
	case r := <-done:
		return r.nc, r.err
	case <-ctx.Done():
		go func() {
			if r := <-done; r.err == nil {
				r.nc.Close()
			}
		}()
		return nil, ctx.Err()
	}
}

// usable checks that the broker keeps messages, and takes large ones.
func usable(ctx context.Context, nc *nats.Conn, to targets) error {
	if n := nc.MaxPayload(); n < MinPayload {
		return &Error{Kind: Unfit, Text: fmt.Sprintf("the broker at %s takes messages of at most %d bytes, and kabench needs %d: raise max_payload in its configuration", to, n, MinPayload)}
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	_, err = js.AccountInfo(ctx)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount),
		errors.Is(err, nats.ErrNoResponders):
		return &Error{Kind: Unfit, Text: fmt.Sprintf("the broker at %s has no JetStream, which keeps the results: start nats-server with --jetstream, or allow it for this account", to), cause: err}
	}
	// A broker that ended meanwhile comes back, and a cluster gets its leader.
	return &Error{Kind: Unreachable, Text: fmt.Sprintf("JetStream of the broker at %s did not respond: see whether its cluster has a leader, and whether this user may publish to $JS.API.>", to), cause: err}
}

// waitBefore is the wait before the next attempt to come back, after the given number of
// rounds over all servers.
func waitBefore(rounds int) time.Duration {
	d := min(waitAtLeast<<min(max(rounds-1, 0), 10), waitAtMost)
	return d/2 + rand.N(d/2)
}

// targets are the servers of a URL.
type targets struct {
	url  string
	list []*url.URL
}

// addresses reads a URL of Dial.
func addresses(text string) (targets, error) {
	to := targets{}
	var urls []string
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part != "" && !strings.Contains(part, "://") {
			part = "nats://" + part
		}
		u, err := url.Parse(part)
		if err != nil || u.Hostname() == "" || u.Scheme != "nats" && u.Scheme != "tls" || strings.Trim(u.Path, "/") != "" {
			return to, &Error{Kind: Unfit, Text: "the broker's URL cannot be used: write nats://HOST:PORT or tls://HOST:PORT, with USER:PASSWORD@ or TOKEN@ before the host if it needs them"}
		}
		if u.Port() == "" {
			u.Host = net.JoinHostPort(u.Hostname(), "4222")
		}
		urls, to.list = append(urls, u.String()), append(to.list, u)
	}
	to.url = strings.Join(urls, ",")
	return to, nil
}

// String names the servers without users and tokens.
func (t targets) String() string {
	var hosts []string
	for _, u := range t.list {
		hosts = append(hosts, u.Host)
	}
	return strings.Join(hosts, ", ")
}

// allowed refuses a broker that anyone could use.
func (t targets) allowed(c *Credentials) error {
	for _, u := range t.list {
		if c == nil && u.User == nil && !loopback(u.Hostname()) {
			return &Error{Kind: NotAllowed, Text: fmt.Sprintf("the broker at %s is on another machine, so it needs credentials: give --credentials FILE, or a URL with a user or token", u.Host)}
		}
	}
	return nil
}
