package fleet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/fleet/parcel"
)

// hub is a broker in memory, for stories in a synctest bubble. Each way between
// it and a party takes the party's delay, and a party that is cut off gets and sends nothing.
type hub struct {
	mu      sync.Mutex
	parties map[string]*party
	parcels map[parcel.Key]map[string][]byte
	done    chan struct{}
	work    sync.WaitGroup
}

func newHub() *hub {
	return &hub{parties: map[string]*party{}, parcels: map[parcel.Key]map[string][]byte{}, done: make(chan struct{})}
}

// party is an agent's or a controller's way to the hub.
type party struct {
	*hub
	name   string
	delay  time.Duration
	off    bool // guarded by hub.mu
	closed bool // guarded by hub.mu
	serves map[string]chan message
}

type message struct {
	at     time.Time
	data   []byte
	answer func([]byte)
}

func (h *hub) party(name string, delay time.Duration) func(context.Context) (bus, carrier, error) {
	return func(context.Context) (bus, carrier, error) {
		p := &party{hub: h, name: name, delay: delay, serves: map[string]chan message{}}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.parties[name] = p
		return p, p, nil
	}
}

// cut cuts parties off, or connects them again.
func (h *hub) cut(off bool, names ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, name := range names {
		if p := h.parties[name]; p != nil {
			p.off = off
		}
	}
}

// end ends what serves.
func (h *hub) end() {
	close(h.done)
	h.work.Wait()
}

func (p *party) connected() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.off && !p.closed
}

func (p *party) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
}

var errAway = errors.New("the broker is away")

// send brings a message to all who serve the subject.
func (p *party) deliverTo(subject string, data []byte, answer func(*party, []byte)) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.off || p.closed {
		return errAway
	}
	for _, other := range p.parties {
		to := other.serves[subject]
		if to == nil || other.off || other.closed {
			continue
		}
		m := message{at: time.Now().Add(p.delay + other.delay), data: data}
		if answer != nil {
			m.answer = func(data []byte) { answer(other, data) }
		}
		to <- m
	}
	return nil
}

func (p *party) publish(subject string, data []byte) error { return p.deliverTo(subject, data, nil) }

func (p *party) request(ctx context.Context, subject string, data []byte) ([]byte, error) {
	got := make(chan []byte, 100)
	err := p.deliverTo(subject, data, func(from *party, data []byte) {
		time.Sleep(from.delay + p.delay)
		if from.connected() && p.connected() {
			got <- data
		}
	})
	if err != nil {
		return nil, err
	}
	select {
	case data := <-got:
		return data, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *party) ask(ctx context.Context, subject string, data []byte) ([][]byte, error) {
	got := make(chan []byte, 100)
	err := p.deliverTo(subject, data, func(from *party, data []byte) { got <- data })
	var all [][]byte
	for err == nil {
		select {
		case data := <-got:
			all = append(all, data)
		case <-ctx.Done():
			return all, nil
		}
	}
	return all, err
}

func (p *party) serve(subject string, f func([]byte) []byte) error {
	in := make(chan message, 10_000)
	p.mu.Lock()
	p.serves[subject] = in
	p.mu.Unlock()
	p.work.Go(func() {
		for {
			select {
			case m := <-in:
				time.Sleep(time.Until(m.at))
				if !p.connected() {
					continue
				}
				if answer := f(m.data); answer != nil && m.answer != nil {
					p.work.Go(func() { m.answer(answer) })
				}
			case <-p.done:
				return
			}
		}
	})
	return nil
}

// The party carries parcels, too.

func (p *party) open(context.Context, string) error   { return nil }
func (p *party) remove(context.Context, string) error { return nil }

func (p *party) send(ctx context.Context, key parcel.Key, dir string, _ func(have, of int64)) (string, error) {
	if err := p.wait(ctx, p.connected); err != nil {
		return "", err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	files := map[string][]byte{}
	for _, e := range entries {
		if files[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			return "", err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.parcels[key] = files
	return fmt.Sprint(len(files), files), nil
}

func (p *party) receive(ctx context.Context, key parcel.Key, dir string, progress func(have, of int64)) (string, error) {
	var files map[string][]byte
	err := p.wait(ctx, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		files = p.parcels[key]
		return files != nil && !p.off
	})
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return "", err
		}
		progress(int64(len(data)), int64(len(data)))
	}
	return fmt.Sprint(len(files), files), nil
}

func (p *party) wait(ctx context.Context, done func() bool) error {
	for !done() {
		if !sleep(ctx, 100*time.Millisecond) {
			return ctx.Err()
		}
	}
	return nil
}

var _ interface {
	bus
	carrier
} = (*party)(nil)

// in is an agent of a story.
func (h *hub) in(t *testing.T, name string, delay time.Duration, m *made, change ...func(*Agent)) (end func() error) {
	a := &Agent{Name: name, Version: "v1", MakeRun: m.run, Allowed: Allowed{Any: true}, dial: h.party(name, delay)}
	for _, f := range change {
		f(a)
	}
	return join(t, a)
}

// lead is the controller of a story.
func (h *hub) lead(t *testing.T, n int, change ...func(*Config)) *Controller {
	c := Config{Agents: n, Listen: "127.0.0.1:0", Version: "v1", InRun: true, dial: h.party("controller", 0)}
	for _, f := range change {
		f(&c)
	}
	return controller(t, c)
}
