package fleet

import (
	"context"
	"net"
	"net/url"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/kabench/kabench/internal/fleet/broker"
	"github.com/kabench/kabench/internal/fleet/parcel"
)

// bus carries the messages of control. Tests have one in memory.
type bus interface {
	publish(subject string, data []byte) error
	// request asks a party that serves the subject, and returns the first answer.
	request(ctx context.Context, subject string, data []byte) ([]byte, error)
	// ask asks everybody who serves the subject, and returns all answers that come before
	// ctx ends.
	ask(ctx context.Context, subject string, data []byte) ([][]byte, error)
	// serve calls f for each message. What f returns is the answer; nil: there is none.
	serve(subject string, f func([]byte) []byte) error
	// connected reports whether there is a broker now.
	connected() bool
	close()
}

// carrier brings directories from agents to the controller. Tests have one in memory.
type carrier interface {
	open(ctx context.Context, run string) error
	send(ctx context.Context, key parcel.Key, dir string, progress func(have, of int64)) (hash string, err error)
	receive(ctx context.Context, key parcel.Key, dir string, progress func(have, of int64)) (hash string, err error)
	remove(ctx context.Context, run string) error
	close()
}

// natsBus is a bus over NATS.
type natsBus struct{ nc *nats.Conn }

func (b natsBus) publish(subject string, data []byte) error { return b.nc.Publish(subject, data) }

func (b natsBus) request(ctx context.Context, subject string, data []byte) ([]byte, error) {
	m, err := b.nc.RequestWithContext(ctx, subject, data)
	if err != nil {
		return nil, err
	}
	return m.Data, nil
}

func (b natsBus) ask(ctx context.Context, subject string, data []byte) ([][]byte, error) {
	inbox := b.nc.NewInbox()
	sub, err := b.nc.SubscribeSync(inbox)
	if err != nil {
		return nil, err
	}
	defer sub.Unsubscribe() //nolint:errcheck // it ends with the connection at the latest
	if err := b.nc.PublishRequest(subject, inbox, data); err != nil {
		return nil, err
	}
	var all [][]byte
	for {
		m, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return all, nil // ctx has ended, or the broker is away
		}
		if len(m.Data) > 0 { // else NATS says that nobody serves it
			all = append(all, m.Data)
		}
	}
}

func (b natsBus) serve(subject string, f func([]byte) []byte) error {
	_, err := b.nc.Subscribe(subject, func(m *nats.Msg) {
		if answer := f(m.Data); answer != nil && m.Reply != "" {
			_ = m.Respond(answer) // who asked asks again
		}
	})
	if err != nil {
		return err
	}
	// A flush fails if the broker goes away meanwhile, with "connection closed" too. The
	// subscription comes back with the connection.
	if err := b.nc.FlushTimeout(5 * time.Second); err != nil && b.nc.IsClosed() {
		return err
	}
	return nil
}

func (b natsBus) connected() bool { return b.nc.IsConnected() }
func (b natsBus) close()          { b.nc.Close() }

// natsCarrier carries parcels by JetStream on a connection of its own, so that they do not
// delay messages of control.
type natsCarrier struct {
	nc    *nats.Conn
	limit int64 // bytes per second; 0: none
	turns *parcel.Turns
	say   func(string) // gets why something must wait; nil: nobody
}

// waiting says a reason once, until there is another one.
func (c natsCarrier) waiting() func(error) {
	said := ""
	return func(reason error) {
		if line := reason.Error(); c.say != nil && line != said {
			said = line
			c.say(line)
		}
	}
}

func (c natsCarrier) open(ctx context.Context, run string) error { return parcel.Open(ctx, c.nc, run) }

func (c natsCarrier) send(ctx context.Context, key parcel.Key, dir string, progress func(have, of int64)) (string, error) {
	return parcel.Send(ctx, c.nc, key, dir, parcel.Options{BytesPerSecond: c.limit, Progress: progress, Waiting: c.waiting()})
}

func (c natsCarrier) receive(ctx context.Context, key parcel.Key, dir string, progress func(have, of int64)) (string, error) {
	return parcel.Receive(ctx, c.nc, key, dir, parcel.Options{Turns: c.turns, Progress: progress, Waiting: c.waiting()})
}

func (c natsCarrier) remove(ctx context.Context, run string) error {
	return parcel.Remove(ctx, c.nc, run)
}

func (c natsCarrier) close() { c.nc.Close() }

// turnsOfAll is how many chunks of all parcels are under way to the controller at once: 8 MB. A NATS
// server closes a connection that has 64 MB waiting for it.
const turnsOfAll = 16

// dial makes the two connections of an agent or a controller.
// say gets what parcels have to wait for; nil: nobody.
func dial(ctx context.Context, url string, credentials *broker.Credentials, name string, limit int64, say func(string)) (bus, carrier, error) {
	control, err := broker.Dial(ctx, url, credentials, name)
	if err != nil {
		return nil, nil, err
	}
	bulk, err := broker.Dial(ctx, url, credentials, name+", results")
	if err != nil {
		control.Close()
		return nil, nil, err
	}
	return natsBus{control}, natsCarrier{nc: bulk, limit: limit, turns: parcel.NewTurns(turnsOfAll), say: say}, nil
}

// listensAt is where the embedded broker listens, with its port.
func (c *Controller) listensAt() string {
	host, _, _ := net.SplitHostPort(c.listen())
	return net.JoinHostPort(host, strconv.Itoa(c.broker.Port()))
}

// reached is where agents of other machines reach the broker.
func (c *Controller) reached() string {
	host, _, _ := net.SplitHostPort(c.listen())
	u, err := url.Parse(c.url)
	if ip := net.ParseIP(host); err != nil || host != "" && (ip == nil || !ip.IsUnspecified()) {
		return c.url
	}
	if name, err := os.Hostname(); err == nil {
		u.Host = net.JoinHostPort(name, u.Port())
	}
	return u.String()
}

// mostLogged is how many different lines of the embedded broker are passed on.
const mostLogged = 20

// log passes the broker's warnings and errors on, as of a full disk: each once. What comes before
// up is called is held back until then: an error that prevents the start is returned.
func (c *Controller) log() (log func(line string), up func()) {
	var mu sync.Mutex
	said, held, isUp := map[string]bool{}, []string{}, false
	log = func(line string) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case said[line] || len(said) == mostLogged:
			return
		case !isUp:
			held = append(held, line)
		default:
			c.sayf("broker: %s", line)
		}
		said[line] = true
	}
	return log, func() {
		mu.Lock()
		defer mu.Unlock()
		isUp = true
		for _, line := range held {
			c.sayf("broker: %s", line)
		}
	}
}

// withoutUser is a broker's URL without the user or token in it.
func withoutUser(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	u.User = nil
	return u.String()
}
