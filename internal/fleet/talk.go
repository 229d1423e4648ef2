package fleet

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// What an agent says to its controller without being asked.

// hello asks the controller to take part, again and again: it may have been started again,
// and then knows nobody.
func (c *crew) hello() {
	if c.impatient() {
		c.end(ErrNoController)
		return
	}
	c.mu.Lock()
	h := hello{identity: c.identity, Clock: c.offsets.state(c.clock.Now()), Only: c.DeliverOnly}
	for _, kept := range c.kept {
		h.Holds = append(h.Holds, kept)
	}
	if c.share != nil {
		h.Holds = append(h.Holds, c.share.holding)
	}
	c.mu.Unlock()
	data, err := encode(h)
	if err != nil {
		c.sayf("%v", err)
		return
	}
	ctx, cancel := context.WithTimeout(c.ctx, 2*time.Second)
	defer cancel()
	answer, err := c.bus.request(ctx, subjectHello, data)
	if err != nil {
		return // there is no controller now
	}
	w, err := decode[welcome](answer)
	if err != nil {
		return
	}
	c.heard()
	c.welcomed(h, w)
}

// welcomed does what the controller has answered to h.
func (c *crew) welcomed(h hello, w welcome) {
	c.mu.Lock()
	said, taken := c.refused, c.taken
	c.refused, c.taken = w.Refused, w.Refused == ""
	var deliver []func()
	for _, kept := range slices.Clone(c.kept) {
		switch {
		case slices.Contains(w.Deliver, kept.Run) && c.giving[kept.Run] == nil:
			giving := c.give(kept.Run)
			deliver = append(deliver, func() { c.deliver(giving, kept, true) })
		case slices.Contains(w.Forget, kept.Run):
			c.keep.remove(kept)
			c.kept = slices.DeleteFunc(c.kept, func(h holding) bool { return h.Run == kept.Run })
		}
	}
	if s := c.share; s != nil && slices.Contains(w.Forget, s.Run) && (s.Stage == stagePreparing || s.Stage == stageReady) {
		s.stopped = true // its controller has ended before the start
		s.halt()
		s.cancel()
	}
	if s := c.share; s != nil && s.Stage == stageEnded && h.offers(s.Run) && !slices.Contains(w.Deliver, s.Run) && !slices.Contains(w.Forget, s.Run) {
		// It is a controller that does not know the run, and its broker may have no stream for
		// the results: the agent keeps them, and is free.
		if end := c.giving[s.Run]; end != nil {
			end()
		}
	}
	idle := len(c.kept) == 0 && len(c.giving) == 0
	waits := c.DeliverOnly && len(deliver) == 0 && len(c.giving) == 0
	c.mu.Unlock()
	switch {
	case w.Refused != "" && w.Refused != said:
		c.sayf("the controller does not take this agent, which goes on asking: %s", w.Refused)
	case w.Refused == "" && !taken && !c.DeliverOnly:
		c.sayf("%s is in the fleet and waits for a run", c.identity.Name)
	}
	for _, one := range deliver {
		c.work.Go(one)
	}
	switch {
	case c.DeliverOnly && idle:
		c.end(errDone)
	case waits:
		c.end(fmt.Errorf("the controller does not want the results in %s; they stay there", c.Dir))
	}
}

// beat says where the agent is.
func (c *crew) beat() {
	c.mu.Lock()
	if !c.taken || c.DeliverOnly {
		c.mu.Unlock()
		return
	}
	b := beat{identity: c.identity, Clock: c.offsets.state(c.clock.Now())}
	if c.share != nil {
		h := c.share.holding
		b.Holds, b.Beat = &h, c.share.beat
		if b.Beat != nil { // exchanges are said once
			next := *b.Beat
			next.Exchanges, next.LeftOut = nil, 0
			c.share.beat = &next
		}
	}
	c.mu.Unlock()
	data, err := encode(b)
	if err != nil && b.Beat != nil { // how far the run is can be left out; the agent's life cannot
		b.Beat = nil
		data, err = encode(b)
	}
	if err == nil {
		err = c.bus.publish(subjectBeat, data)
	}
	if err != nil {
		slog.Debug("a beat was not sent", "error", err) // the next one is a second away
	}
}

// measureClock measures the clock of the agent, every ten seconds and at first at once.
func (c *crew) measureClock() {
	for {
		wait := measureEvery
		if !c.measureOnce() {
			wait = 500 * time.Millisecond
		}
		if !sleep(c.ctx, wait) {
			return
		}
	}
}

// measureOnce asks the controller for the time, some times at once. It is false if there is
// no controller.
func (c *crew) measureOnce() bool {
	var round []question
	controller := ""
	for range inRound {
		ctx, cancel := context.WithTimeout(c.ctx, time.Second)
		q := question{asked: c.clock.Now()}
		answer, err := c.bus.request(ctx, subjectClock, []byte("{}"))
		q.answered = c.clock.Now()
		cancel()
		if err != nil {
			break
		}
		a, err := decode[clockAnswer](answer)
		if err != nil {
			break
		}
		if controller != a.Controller {
			controller, round = a.Controller, nil
		}
		q.theirs = a.Now
		round = append(round, q)
	}
	q, ok := best(round)
	if !ok {
		return false
	}
	c.heard()
	c.mu.Lock()
	c.offsets.add(controller, q)
	c.mu.Unlock()
	return true
}
