package parcel

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	lookEvery   = 5 * time.Second // for a manifest; the sender wakes Receive before that
	fetchWindow = 4               // chunks under way in one Receive: 2 MB
)

// Turns bounds how many chunks of 512,000 bytes several Receives hold at once.
type Turns struct{ free chan struct{} }

// NewTurns makes n turns; 16 are enough for a fast line.
func NewTurns(n int) *Turns { return &Turns{make(chan struct{}, max(n, 1))} }

// take waits for a turn, and reports whether there was one before ctx ended.
func (t *Turns) take(ctx context.Context) bool {
	select {
	case t.free <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (t *Turns) giveBack() { <-t.free }

// Receive waits for a parcel and makes dir from it, whole or not at all. It returns its hash,
// and leaves the broker's copy there until Remove or Forget. It makes the run's stream, if
// there is none.
//
// What has arrived is in dir.part until it is complete, so another call, by another process
// too, fetches only the rest. If dir is there already and has the parcel, nothing is fetched;
// if it has another one, that is replaced. An error that is ErrSendAgain says that the broker
// has lost something: then the agent must call Send again, and Receive must be called again.
// After any other error, Receive can be called again when its cause is gone.
func Receive(ctx context.Context, nc *nats.Conn, key Key, dir string, o Options) (hash string, err error) {
	if err := key.check(); err != nil {
		return "", err
	}
	l, err := newLink(nc, o)
	if err != nil {
		return "", err
	}
	defer l.close()
	r := &receiver{link: l, key: key, turns: o.Turns}
	if r.turns == nil {
		r.turns = NewTurns(fetchWindow)
	}
	if r.stream, err = l.open(ctx, key.Run); err != nil {
		return "", err
	}
	m, err := r.await(ctx)
	for err == nil {
		if same(ctx, dir, m) {
			r.progress(m.Bytes, m.Bytes)
			return m.Hash, nil
		}
		s := &shelf{dir: dir, manifest: m}
		if err := r.fill(ctx, s); err != nil {
			return "", err
		}
		newest, err := r.await(ctx) // the agent may have sent another parcel meanwhile
		if err != nil {
			return "", err
		}
		if newest.Hash == m.Hash {
			return m.Hash, s.finish()
		}
		m = newest
	}
	return "", err
}

// receiver fetches one parcel.
type receiver struct {
	*link
	key    Key
	stream jetstream.Stream
	turns  *Turns
}

// await waits for a manifest.
func (r *receiver) await(ctx context.Context) (*manifest, error) {
	news := make(chan *nats.Msg, 1)
	sub, err := r.nc.ChanSubscribe(r.key.notice(), news)
	if err != nil {
		return nil, fmt.Errorf("the results cannot be fetched: %w", err)
	}
	defer sub.Unsubscribe()
	for {
		text, err := r.last(ctx, r.key.manifest())
		if err == nil {
			m, err := parse(text.Data, r.options.maxBytes())
			if err != nil {
				return nil, fmt.Errorf("the results of agent %d cannot be taken, because their list is not valid: %w", r.key.Agent, err)
			}
			return m, nil
		}
		if !errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("agent %d has not sent its results: %w", r.key.Agent, context.Cause(ctx))
		case <-news:
		case <-time.After(lookEvery):
		}
	}
}

// last returns the last message of a subject, or jetstream.ErrMsgNotFound.
func (r *receiver) last(ctx context.Context, subject string) (m *jetstream.RawStreamMsg, err error) {
	missing := false
	err = r.retry(ctx, "the results cannot be fetched", func(ctx context.Context) (err error) {
		m, err = r.stream.GetLastMsgForSubject(ctx, subject)
		if missing = errors.Is(err, jetstream.ErrMsgNotFound); missing {
			return nil
		}
		if errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, nats.ErrNoResponders) {
			// The broker may have come back without the stream.
			if _, e := r.js.Stream(ctx, stream(r.key.Run)); errors.Is(e, jetstream.ErrStreamNotFound) {
				return finalError{fmt.Errorf("the broker has lost what it had of the run: %w", ErrSendAgain)}
			}
		}
		return err
	})
	if err == nil && missing {
		return nil, jetstream.ErrMsgNotFound
	}
	return m, err
}

// fill fetches what the shelf lacks, in order, several chunks at a time.
func (r *receiver) fill(ctx context.Context, s *shelf) error {
	for tries := 1; ; tries++ {
		err := r.fillOnce(ctx, s)
		if e := s.close(); err == nil {
			err = e
		}
		if damaged := new(damagedError); errors.As(err, damaged) {
			if err := s.drop(damaged.name); err != nil {
				return err
			}
			if tries == 1 {
				continue // what was here before was damaged, as after a power failure
			}
			if err := r.retract(ctx, s.manifest); err != nil {
				return err
			}
			return fmt.Errorf("%w: %w", err, ErrSendAgain)
		}
		return err
	}
}

// damagedError says that a file does not have the hash that its manifest says.
type damagedError struct{ name string }

func (e damagedError) Error() string { return fmt.Sprintf("the hash of %s is wrong", e.name) }

// fetched is a chunk and its contents, or why it could not be fetched.
type fetched struct {
	chunk
	data []byte
	err  error
}

func (r *receiver) fillOnce(ctx context.Context, s *shelf) error {
	if err := s.open(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r.progress(s.have, s.manifest.Bytes)
	var failed error
	for one := range r.fetchAll(ctx, s) {
		f := <-one
		if failed == nil {
			failed = f.err
		}
		if failed == nil {
			failed = s.write(f.chunk, f.data)
		}
		r.turns.giveBack()
		if failed != nil {
			cancel() // and wait for those under way
			continue
		}
		r.progress(s.have, s.manifest.Bytes)
	}
	if failed == nil {
		failed = context.Cause(ctx)
	}
	if failed != nil {
		return failed
	}
	return s.check()
}

// fetchAll fetches what the shelf lacks, and yields it in order. Each chunk has a turn, which
// the caller gives back. Turns are taken in order too: a chunk that others wait for has one.
func (r *receiver) fetchAll(ctx context.Context, s *shelf) <-chan chan fetched {
	under := make(chan chan fetched, fetchWindow-1)
	go func() {
		defer close(under)
		for c := range s.manifest.chunks() {
			if s.has(c) {
				continue
			}
			if !r.turns.take(ctx) {
				return
			}
			one := make(chan fetched, 1)
			under <- one
			go func() {
				data, err := r.fetch(ctx, s.manifest, c)
				one <- fetched{c, data, err}
			}()
		}
	}()
	return under
}

// fetch gets one chunk from the broker.
func (r *receiver) fetch(ctx context.Context, m *manifest, c chunk) ([]byte, error) {
	for {
		message, err := r.last(ctx, r.key.chunk(m.generation(), c.number))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			// A server of a cluster may be behind the others: the leader knows.
			there, err := r.there(ctx, r.key, m)
			if err != nil {
				return nil, err
			}
			if there[c.number] {
				continue
			}
			if err := r.retract(ctx, nil); err != nil {
				return nil, err
			}
			return nil, fmt.Errorf("the broker has lost a part of the results of agent %d: %w", r.key.Agent, ErrSendAgain)
		}
		if err != nil {
			return nil, err
		}
		if wrong := m.check(c, message.Header, message.Data); wrong != nil {
			if err := r.remove(ctx, message.Sequence); err != nil {
				return nil, err
			}
			if err := r.retract(ctx, nil); err != nil {
				return nil, err
			}
			return nil, fmt.Errorf("a part of the results of agent %d was damaged on its way (%w): %w", r.key.Agent, wrong, ErrSendAgain)
		}
		return message.Data, nil
	}
}

// remove removes a message from the broker, so that Send sends it again.
func (r *receiver) remove(ctx context.Context, sequence uint64) error {
	return r.retry(ctx, "a damaged part of the results cannot be removed", func(ctx context.Context) error {
		err := r.stream.DeleteMsg(ctx, sequence)
		if errors.Is(err, jetstream.ErrMsgNotFound) || errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
			return nil // it is gone
		}
		return err
	})
}

// retract removes the manifest, so that Receive waits for the next one, and the chunks of m.
func (r *receiver) retract(ctx context.Context, m *manifest) error {
	subjects := []string{r.key.manifest()}
	if m != nil {
		subjects = append(subjects, r.key.chunk(m.generation(), "*"))
	}
	return r.retry(ctx, "damaged results cannot be removed", func(ctx context.Context) error {
		for _, subject := range subjects {
			if err := r.stream.Purge(ctx, jetstream.WithPurgeSubject(subject)); err != nil {
				return err
			}
		}
		return nil
	})
}
