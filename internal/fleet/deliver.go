package fleet

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"time"

	"github.com/kabench/kabench/internal/fleet/parcel"
)

// between is the time between two attempts of something that others have to answer.
const between = 500 * time.Millisecond

// give notes that a run is being delivered. The context ends when the agent ends, or a
// controller does not know the run. The caller holds c.mu.
func (c *crew) give(run string) context.Context {
	ctx, cancel := context.WithCancel(c.ctx)
	c.giving[run] = cancel
	return ctx
}

// deliver sends the results of a run until the controller has confirmed them. A broker or a
// controller that is not there may come back.
func (c *crew) deliver(ctx context.Context, h holding, left bool) {
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.giving[h.Run]()
		delete(c.giving, h.Run)
	}()
	dir := filepath.Join(c.keep.of(h.Run, h.Index), dirRun)
	key := parcel.Key{Run: h.Run, Agent: h.Index}
	said := ""
	for ctx.Err() == nil {
		hash, err := c.carrier.send(ctx, key, dir, nil)
		if err == nil {
			h.Sent++
			var confirmed bool
			if confirmed, err = c.confirmed(ctx, h, hash); confirmed {
				c.isDelivered(h, left)
				return
			}
		}
		if err != nil && ctx.Err() == nil && err.Error() != said {
			said = err.Error()
			c.sayf("run %s: its results are not delivered yet: %v", h.Run, err)
		}
		c.note(h)
		if errors.Is(err, errUnknownRun) {
			break
		}
		sleep(ctx, between)
	}
	if unknown := errUnknownRun.Error(); c.ctx.Err() == nil && said != unknown {
		c.sayf("run %s: %s", h.Run, unknown)
	}
	c.setAside(h, left)
}

// errUnknownRun is the error of a delivery that the controller does not know.
var errUnknownRun = errors.New("the controller does not know this run; the results are kept")

// errAgain is the error of a delivery that arrived damaged.
var errAgain = errors.New("the results did not arrive whole and are sent again")

// confirmed asks the controller until it says whether it has the parcel with that hash.
func (c *crew) confirmed(ctx context.Context, h holding, hash string) (bool, error) {
	data, err := encode(delivered{Instance: c.Instance, holding: h, Hash: hash})
	if err != nil {
		return false, err
	}
	for {
		once, cancel := context.WithTimeout(ctx, 5*time.Second)
		answer, err := c.bus.request(once, subjectDelivered, data)
		cancel()
		if err == nil {
			state, _ := decode[parcelState](answer)
			c.heard()
			switch state.State {
			case parcelConfirmed:
				return true, nil
			case parcelAgain:
				return false, errAgain
			case parcelUnknown:
				return false, errUnknownRun
			}
		}
		if !sleep(ctx, between) {
			return false, ctx.Err()
		}
	}
}

// note keeps how many times the results were sent.
func (c *crew) note(h holding) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.share != nil && c.share.Run == h.Run {
		c.share.Sent = h.Sent
		h = c.share.holding
	}
	_ = c.keep.write(h) // the count is for the report; the results do not depend on it
}

// isDelivered removes the agent's copy, which is no longer needed.
func (c *crew) isDelivered(h holding, left bool) {
	c.mu.Lock()
	h.Stage = stageDelivered
	if c.Keep {
		_ = c.keep.write(h) // else the results would be offered again, and refused
	} else {
		c.keep.remove(h)
	}
	c.forgetKept(h)
	if c.share != nil && c.share.Run == h.Run {
		c.share = nil
	}
	rest, leaving := len(c.kept), c.leaving
	c.mu.Unlock()
	c.sayf("run %s: the controller has its results", h.Run)
	wake(c.beating)
	if leaving || c.Once && !left || c.DeliverOnly && rest == 0 {
		c.end(errDone)
	}
}

// setAside keeps results that the present controller does not want.
func (c *crew) setAside(h holding, left bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if left {
		return
	}
	if c.share != nil && c.share.Run == h.Run {
		c.share = nil
	}
	c.forgetKept(h)
	c.kept = append(c.kept, h)
}

// forgetKept takes a run from the list of those that are kept. The caller holds c.mu.
func (c *crew) forgetKept(h holding) {
	c.kept = slices.DeleteFunc(c.kept, func(kept holding) bool { return kept.Run == h.Run && kept.Index == h.Index })
}
