// Package parcel brings directories from agents to the controller, whole or not at all, by
// JetStream.
//
// The files of a directory travel in chunks of at most 512,000 bytes, each on a subject of its
// own:
//
//	kabench.parcel.RUN.AGENT.GENERATION.NUMBER   a chunk
//	kabench.parcel.RUN.AGENT.manifest            names, sizes and hashes of the files
//
// The generation is the beginning of the parcel's hash. So the subject of a chunk says what is
// in it, whichever process sends it: a chunk is published with the condition that its subject has no
// message yet, and if it has one, the chunk is there. Nothing depends on order, on time, or on
// what a sender remembers. The manifest comes last, when the broker has every chunk. If the
// files change, the parcel has another generation, and its manifest replaces the older one.
package parcel

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ChunkBytes is the size of a chunk without its headers. It is below the message limit of
// every NATS server (1 MiB unless it is lowered).
const ChunkBytes = 512_000

// DefaultMaxBytes is the largest parcel if Options say nothing else: 16 GiB.
const DefaultMaxBytes = 16 << 30

// keptFor is how long a broker keeps a parcel that nobody removes.
const keptFor = 14 * 24 * time.Hour

// ErrSendAgain says that the broker lost a part of a parcel that had been sent. The agent must
// send it again; only what is missing travels.
var ErrSendAgain = errors.New("the agent must send its results again")

// Key names a parcel.
type Key struct {
	Run   string // 1 to 64 letters, digits, - and _
	Agent int    // 0 and up
}

// Options of Send and Receive.
type Options struct {
	BytesPerSecond int64 // the most that Send sends; 0: no limit
	MaxBytes       int64 // the largest parcel; 0: DefaultMaxBytes
	// Turns, if set, is shared by several Receives that run at once, and bounds what they
	// have under way together. It is needed when there are more than about 30 on one
	// connection: a NATS server closes a connection that has 64 MB waiting for it.
	Turns *Turns
	// Progress, if set, is called after each chunk, by one goroutine at a time. have is
	// the number of bytes that have arrived: at the broker for Send, in the directory for
	// Receive.
	Progress func(have, of int64)
	// Waiting, if set, is called with the reason each time that Send or Receive must try
	// again, because the broker is away or has no room.
	Waiting func(reason error)
}

func (o Options) maxBytes() int64 {
	if o.MaxBytes > 0 {
		return o.MaxBytes
	}
	return DefaultMaxBytes
}

var runs = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func checkRun(run string) error {
	if !runs.MatchString(run) {
		return fmt.Errorf("%q is no name of a run: it needs 1 to 64 letters, digits, - and _", run)
	}
	return nil
}

func (k Key) check() error {
	if k.Agent < 0 {
		return fmt.Errorf("%d is no agent's index", k.Agent)
	}
	return checkRun(k.Run)
}

// stream is the name of the stream that has a run's parcels.
func stream(run string) string { return "kabench-parcels-" + run }

func (k Key) subject() string  { return fmt.Sprintf("kabench.parcel.%s.%d", k.Run, k.Agent) }
func (k Key) manifest() string { return k.subject() + ".manifest" }

// notice is the subject on which Send says that the manifest is stored. It is no stream's:
// the message may be lost.
func (k Key) notice() string { return fmt.Sprintf("kabench.sent.%s.%d", k.Run, k.Agent) }

// chunk is the subject of a chunk; "*" stands for all.
func (k Key) chunk(generation string, number any) string {
	return fmt.Sprintf("%s.%s.%v", k.subject(), generation, number)
}

// Open makes the stream of a run's parcels, if there is none: on three servers if the broker
// is a cluster that has them. Only a controller may.
func Open(ctx context.Context, nc *nats.Conn, run string) error {
	if err := checkRun(run); err != nil {
		return err
	}
	l, err := newLink(nc, Options{})
	if err != nil {
		return err
	}
	defer l.close()
	_, err = l.open(ctx, run)
	return err
}

// open returns the stream of a run, which it makes if there is none.
func (l *link) open(ctx context.Context, run string) (s jetstream.Stream, err error) {
	err = l.retry(ctx, "the stream of the results cannot be made", func(ctx context.Context) error {
		if s, err = l.js.Stream(ctx, stream(run)); !errors.Is(err, jetstream.ErrStreamNotFound) {
			return err
		}
		c := jetstream.StreamConfig{
			Name:              stream(run),
			Description:       "results of kabench's agents, until the controller has them",
			Subjects:          []string{"kabench.parcel." + run + ".>"},
			Storage:           jetstream.FileStorage,
			Replicas:          1,
			MaxMsgsPerSubject: 1,
			MaxAge:            keptFor,
			AllowDirect:       true,
		}
		if l.nc.ConnectedClusterName() != "" {
			c.Replicas = 3
		}
		s, err = l.js.CreateStream(ctx, c)
		if refused := new(jetstream.APIError); c.Replicas > 1 && errors.As(err, &refused) {
			c.Replicas = 1 // a cluster of fewer servers, or an account that may not have more
			s, err = l.js.CreateStream(ctx, c)
		}
		return err
	})
	return s, err
}

// Remove removes the stream of a run's parcels. It is no error if there is none. Only a
// controller may.
func Remove(ctx context.Context, nc *nats.Conn, run string) error {
	if err := checkRun(run); err != nil {
		return err
	}
	l, err := newLink(nc, Options{})
	if err != nil {
		return err
	}
	defer l.close()
	return l.retry(ctx, "the stream of the results cannot be removed", func(ctx context.Context) error {
		if err := l.js.DeleteStream(ctx, stream(run)); !errors.Is(err, jetstream.ErrStreamNotFound) {
			return err
		}
		return nil
	})
}

// Forget removes one parcel from the broker, with its older generations, to free its disk
// before the run ends. Only a controller may.
func Forget(ctx context.Context, nc *nats.Conn, key Key) error {
	if err := key.check(); err != nil {
		return err
	}
	l, err := newLink(nc, Options{})
	if err != nil {
		return err
	}
	defer l.close()
	return l.retry(ctx, "the parcel cannot be removed from the broker", func(ctx context.Context) error {
		s, err := l.js.Stream(ctx, stream(key.Run))
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		return s.Purge(ctx, jetstream.WithPurgeSubject(key.subject()+".>"))
	})
}
