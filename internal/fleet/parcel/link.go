package parcel

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// oneTry bounds a request when the connection stays up. A whole window over a line of
	// 300 kbit/s takes about that long.
	oneTry       = 60 * time.Second
	waitAtLeast  = 50 * time.Millisecond // before the second try
	waitAtMost   = time.Second           // before later ones
	windowAtMost = 8                     // chunks under way: 4 MB
	// fast and slow: with requests faster than this the window grows, with slower ones it
	// shrinks, so that a slow line holds little, and pings and beats get through.
	fast, slow = time.Second, 3 * time.Second
)

// link is a connection to the broker that may be away for some time.
type link struct {
	nc      *nats.Conn
	js      jetstream.JetStream
	options Options
	changes chan nats.Status

	mu   sync.Mutex
	up   context.Context    // guarded by mu: ends when the connection is lost
	lost context.CancelFunc // guarded by mu: ends up
	said sync.Mutex         // held while a function of options is called
}

func newLink(nc *nats.Conn, o Options) (*link, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	l := &link{nc: nc, js: js, options: o}
	l.up, l.lost = context.WithCancel(context.Background())
	l.changes = nc.StatusChanged(nats.DISCONNECTED, nats.RECONNECTING, nats.CLOSED)
	go l.watch()
	return l, nil
}

// watch gives up all requests under way when the connection is lost: their responses cannot
// come any more.
func (l *link) watch() {
	for range l.changes { // closed by close
		l.mu.Lock()
		l.lost()
		l.up, l.lost = context.WithCancel(context.Background())
		l.mu.Unlock()
	}
}

func (l *link) close() {
	l.nc.RemoveStatusListener(l.changes)
	l.mu.Lock()
	l.lost()
	l.mu.Unlock()
}

// retry calls f until it succeeds, ctx ends, or its error is one that waiting does not mend.
// what says what cannot be done, for the error.
func (l *link) retry(ctx context.Context, what string, f func(context.Context) error) error {
	for wait := waitAtLeast; ; wait = min(2*wait, waitAtMost) {
		err := inWords(l.try(ctx, f))
		if err == nil || final(err) {
			return err
		}
		if l.nc.IsClosed() {
			return fmt.Errorf("%s: the connection to the broker was closed: %w", what, err)
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %w (the last try: %w)", what, context.Cause(ctx), err)
		}
		l.waiting(fmt.Errorf("%s yet: %w", what, err))
		select {
		case <-ctx.Done():
		case <-time.After(wait/2 + rand.N(wait)):
		}
	}
}

// try calls f with a context that ends when the connection is lost.
func (l *link) try(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, oneTry)
	defer cancel()
	l.mu.Lock()
	up := l.up
	l.mu.Unlock()
	defer context.AfterFunc(up, cancel)()
	err := f(ctx)
	if err != nil && up.Err() != nil {
		return fmt.Errorf("the connection to the broker was lost: %w", err)
	}
	return err
}

// finalError is an error that no further try mends.
type finalError struct{ error }

func (e finalError) Unwrap() error { return e.error }

func final(err error) bool {
	return errors.As(err, new(finalError)) || errors.Is(err, ErrSendAgain)
}

func (l *link) waiting(reason error) {
	if l.options.Waiting != nil {
		l.said.Lock()
		defer l.said.Unlock()
		l.options.Waiting(reason)
	}
}

func (l *link) progress(have, of int64) {
	if l.options.Progress != nil {
		l.said.Lock()
		defer l.said.Unlock()
		l.options.Progress(have, of)
	}
}

// window says how many requests may be under way: few on a slow line, more on a fast one.
type window struct {
	mu    sync.Mutex
	cond  *sync.Cond
	limit int // guarded by mu
	used  int // guarded by mu
}

func newWindow() *window {
	w := &window{limit: 2}
	w.cond = sync.NewCond(&w.mu)
	return w
}

// enter waits for a place.
func (w *window) enter() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.used >= w.limit {
		w.cond.Wait()
	}
	w.used++
}

// leave gives a place back; the request took d.
func (w *window) leave(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.used--
	switch {
	case d < fast:
		w.limit = min(w.limit+1, windowAtMost)
	case d > slow:
		w.limit = max(w.limit/2, 1)
	}
	w.cond.Broadcast()
}
