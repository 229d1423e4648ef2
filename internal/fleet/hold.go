package fleet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A broker that is another program may serve one controller at a time: agents belong to it.
// The controller holds a key in a bucket whose entries expire.
const (
	bucketHold = "kabench"
	keyHold    = "controller"
	holdFor    = 15 * time.Second // after its last word a controller is gone
)

// claim is what the key holds.
type claim struct {
	Instance string `json:"instance"`
	Host     string `json:"host"`
	PID      int    `json:"pid"`
	Run      string `json:"run,omitempty"` // that it takes up
}

func (c *Controller) claim() claim {
	host, _ := os.Hostname()
	own := claim{Instance: c.instance, Host: host, PID: os.Getpid()}
	if c.resumed != nil {
		own.Run = c.resumed.Run
	}
	return own
}

// holdBroker is a broker that this controller holds.
type holdBroker struct {
	kv     jetstream.KeyValue
	own    []byte
	cancel context.CancelFunc
	work   sync.WaitGroup
	last   uint64 // the revision
	lasts  time.Duration
	taken  func() // is called if another controller has the key
}

// takeBroker holds the broker for a controller. A controller that takes a run up waits until
// the key of the one before it has expired; another one is refused. taken is called if another
// controller has taken the place meanwhile, because this one was silent for too long.
func takeBroker(ctx context.Context, nc *nats.Conn, own claim, lasts time.Duration, taken func()) (*holdBroker, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	making, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	kv, err := js.CreateOrUpdateKeyValue(making, jetstream.KeyValueConfig{Bucket: bucketHold, TTL: lasts, History: 1, Description: "the controller of kabench's agents"})
	if err != nil {
		return nil, fmt.Errorf("the broker lets no controller keep its place (JetStream bucket %s): %w", bucketHold, err)
	}
	h := &holdBroker{kv: kv, lasts: lasts, taken: taken}
	if h.own, err = json.Marshal(own); err != nil {
		return nil, err
	}
	until := time.Now().Add(lasts + lasts/2)
	for {
		h.last, err = kv.Create(ctx, keyHold, h.own)
		if err == nil {
			break
		}
		if away := errors.Is(err, nats.ErrReconnectBufExceeded) || errors.Is(err, nats.ErrConnectionClosed); away && !time.Now().After(until) {
			if !sleep(ctx, 500*time.Millisecond) { // the broker has ended, and may come back
				return nil, ctx.Err()
			}
			continue
		}
		if !errors.Is(err, jetstream.ErrKeyExists) {
			return nil, fmt.Errorf("the broker lets no controller keep its place (JetStream bucket %s): %w", bucketHold, err)
		}
		if own.Run == "" || time.Now().After(until) {
			return nil, h.refused(ctx)
		}
		if !sleep(ctx, lasts/30) {
			return nil, ctx.Err()
		}
	}
	staying, stop := context.WithCancel(context.WithoutCancel(ctx))
	h.cancel = stop
	h.work.Go(func() { h.stay(staying) })
	return h, nil
}

func (h *holdBroker) refused(ctx context.Context) error {
	var other claim
	if entry, err := h.kv.Get(ctx, keyHold); err == nil {
		_ = json.Unmarshal(entry.Value(), &other)
	}
	return fmt.Errorf("another controller uses this broker (process %d on %s); wait for it, or use another broker. One that has ended is forgotten after %v", other.PID, other.Host, h.lasts)
}

// stay renews the key.
func (h *holdBroker) stay(ctx context.Context) {
	for sleep(ctx, h.lasts/3) {
		last, err := h.kv.Update(ctx, keyHold, h.own, h.last)
		if err == nil {
			h.last = last
			continue
		}
		last, err = h.kv.Create(ctx, keyHold, h.own)
		switch {
		case err == nil: // the broker was away for longer than it keeps the key
			h.last = last
		case errors.Is(err, jetstream.ErrKeyExists) && !h.holds(ctx):
			h.taken()
			return
		}
	}
}

// holds reports whether the key is still this controller's, as far as it is known: the answer to
// an update may have been lost.
func (h *holdBroker) holds(ctx context.Context) bool {
	entry, err := h.kv.Get(ctx, keyHold)
	if err != nil {
		return true
	}
	if !bytes.Equal(entry.Value(), h.own) {
		return false
	}
	h.last = entry.Revision()
	return true
}

func (h *holdBroker) release() {
	h.cancel()
	h.work.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_ = h.kv.Purge(ctx, keyHold, jetstream.LastRevision(h.last)) // else it expires
}
