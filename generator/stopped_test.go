package generator

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/kabench/kabench/results"
)

// halting is an Engine whose first Wait stops the run, and then says that what
// had been started is over.
type halting struct {
	epoch   time.Time
	halt    func()
	over    func(*results.Exchange)
	started []*results.Exchange
	halted  bool
}

func (h *halting) Begin(_ context.Context, epoch time.Time, over func(*results.Exchange)) {
	h.epoch, h.over = epoch, over
}
func (h *halting) Start(e *results.Exchange) { h.started = append(h.started, e) }
func (h *halting) Wake()                     {}

func (h *halting) Wait(time.Duration) {
	if len(h.started) < 1 {
		return
	}
	if !h.halted {
		h.halted = true
		return // let the second be offered
	}
	h.halt()
	for i := 0; i < len(h.started); i++ {
		e := h.started[i]
		e.Phase, e.Cause, e.Done = results.PhaseBeforeResponse, results.CauseAborted, time.Since(h.epoch)
		h.over(e)
	}
	h.started = nil
}

// What an abort ends makes no room for what waits in the buffer.
func TestOpenAbortStartsNothingFromTheBuffer(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	h := &halting{halt: cancel}
	b := &book{}
	o := &Open{Schedule: slices.Values([]time.Duration{0, 0}), Engine: h, Observer: b, Load: Load{MaxInFlight: 1, Buffer: 1}}
	o.Run(ctx, time.Now(), nil)
	if c := b.counts(t); c.Due != 2 || c.Started != 1 || c.Dropped != 1 {
		t.Errorf("%d due, %d started, %d dropped; want the second dropped", c.Due, c.Started, c.Dropped)
	}
}
