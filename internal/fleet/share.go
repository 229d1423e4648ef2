package fleet

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
)

// share is the run that an agent is at. Its fields are guarded by crew.mu.
type share struct {
	holding
	beat *kabench.Beat
	// stopped is set when the controller has stopped the run.
	stopped bool
	halt    func()        // no more requests
	cancel  func()        // nor those in flight
	start   chan struct{} // closed when the start is known
	over    chan struct{} // closed when the run has ended
}

// underWay reports whether the run is not over yet.
func (s *share) underWay() bool {
	switch s.Stage {
	case stagePreparing, stageReady, stageStarting, stageSending:
		return true
	}
	return false
}

// serve begins to obey orders.
func (c *crew) serve() error {
	if c.DeliverOnly {
		return nil
	}
	err := c.bus.serve(subjectOrder+c.Instance, func(data []byte) []byte {
		o, err := decode[order](data)
		a := ack{Refused: "the order cannot be read"}
		if err == nil {
			c.heard()
			a = c.obey(o)
		}
		answer, _ := encode(a)
		return answer
	})
	if err != nil {
		return err
	}
	return c.bus.serve(subjectRollCall, func([]byte) []byte {
		wake(c.asking)
		answer, _ := encode(c.status())
		return answer
	})
}

// status is what the agent says about itself to people.
func (c *crew) status() AgentStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.offsets.state(c.clock.Now())
	s := AgentStatus{
		Name: c.identity.Name, Host: c.Host, PID: c.PID, Version: c.identity.Version, CPUs: c.CPUs, Stage: stageIdle,
		Refused: c.refused, Clock: Offset(now), Heard: time.Now(), Allowed: c.identity.Allowed,
	}
	for _, kept := range c.kept {
		s.Keeps = append(s.Keeps, kept.Run)
	}
	if c.share != nil {
		s.Run, s.Stage, s.Index = c.share.Run, c.share.Stage, new(c.share.Index)
	}
	return s
}

// obey obeys an order. The same order twice is as one.
func (c *crew) obey(o order) ack {
	if o.Protocol != protocol {
		return ack{Refused: fmt.Sprintf("it speaks protocol %d, and the controller %d", protocol, o.Protocol)}
	}
	if o.Kind == orderPrepare {
		return c.prepare(o)
	}
	defer wake(c.beating)
	c.mu.Lock()
	defer c.mu.Unlock()
	if o.Kind == orderLeave {
		if c.share != nil && c.share.underWay() {
			return ack{Refused: "it is at a run", Stage: c.share.Stage}
		}
		go func() { // the answer first
			sleep(c.ctx, 50*time.Millisecond)
			c.end(errDone)
		}()
		return ack{Stage: stageIdle}
	}
	s := c.share
	if s == nil || s.Run != o.Run {
		if o.Kind == orderAbort || o.Kind == orderStop {
			return ack{Stage: stageIdle}
		}
		return ack{Refused: "it does not have the run", Stage: stageIdle}
	}
	switch o.Kind {
	case orderStart:
		return c.begin(s, o.Start)
	case orderStop:
		s.stopped = true
		s.halt()
	case orderAbort:
		s.stopped = true
		s.halt()
		s.cancel()
	default:
		return ack{Refused: "the order is of no known kind", Stage: s.Stage}
	}
	return ack{Stage: s.Stage}
}

// soonest is how far ahead a start must be: what a run needs, and a little more.
const soonest = 100 * time.Millisecond

// begin takes the agreed start. The caller holds c.mu.
func (c *crew) begin(s *share, start int64) ack {
	if s.Start == start && s.Stage != stageReady {
		return ack{Stage: s.Stage}
	}
	if s.Stage != stageReady {
		return ack{Refused: "it is not ready", Stage: s.Stage}
	}
	mine, _, ok := c.offsets.mine(start)
	if !ok {
		return ack{Refused: "its clock has not been measured", Stage: s.Stage}
	}
	if time.Duration(mine-c.clock.Now()) < soonest {
		s.Why = "the start came too late"
		s.halt() // the others begin, or nobody does: this share is over
		return ack{Refused: s.Why, Stage: s.Stage}
	}
	s.Start, s.Stage = start, stageStarting
	if err := c.keep.write(s.holding); err != nil {
		s.Stage = stageReady
		return ack{Refused: fmt.Sprintf("its directory cannot be written: %v", err), Stage: s.Stage}
	}
	close(s.start)
	return ack{Stage: s.Stage}
}

// prepare begins to prepare a share of a run.
func (c *crew) prepare(o order) ack {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leaving {
		return ack{Refused: "it is ending", Stage: stageIdle}
	}
	if s := c.share; s != nil {
		if s.Run == o.Run {
			return ack{Stage: s.Stage}
		}
		if s.Stage == stageEnded {
			// Its results wait to be taken by a controller that is not there any more.
			c.kept = append(c.kept, s.holding)
		} else if s.Stage != stageFailed && s.Stage != stageDelivered {
			return ack{Refused: "it is at another run", Stage: s.Stage}
		}
		c.share = nil
	}
	refuse := func(format string, args ...any) ack {
		return ack{Refused: fmt.Sprintf(format, args...), Stage: stageIdle}
	}
	if o.Run == "" || CheckName(o.Run) != nil || o.Of < 1 || o.Index < 0 || o.Index >= o.Of {
		return refuse("the order to prepare has no run, or no place in it")
	}
	p, err := profiles.LoadSent("the controller's profile", []byte(o.Profile))
	if err != nil {
		return refuse("the profile cannot be read: %v", err)
	}
	p.Given = o.Given
	h := holding{Run: o.Run, Index: o.Index, Of: o.Of, Stage: stagePreparing}
	paths, err := c.keep.files(h, o.Files)
	if err == nil {
		err = usePaths(p, paths)
	}
	if err == nil {
		err = c.mayRun(p)
	}
	if err == nil {
		err = c.Agent.Allowed.Check(p)
	}
	if err != nil {
		c.keep.remove(h)
		return refuse("%v", err)
	}
	if err := c.keep.write(h); err != nil {
		return refuse("its directory cannot be written: %v", err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(c.ctx))
	stop := make(chan struct{})
	s := &share{holding: h, halt: sync.OnceFunc(func() { close(stop) }), cancel: cancel, start: make(chan struct{}), over: make(chan struct{})}
	c.share = s
	c.sayf("run %s: preparing share %d of %d of %s", o.Run, o.Index+1, o.Of, p.Name)
	c.work.Go(func() { c.run(ctx, s, p, stop, o) })
	return ack{Stage: h.Stage}
}

// run makes the agent's share of a run, and delivers its results.
func (c *crew) run(ctx context.Context, s *share, p *profiles.Profile, stop <-chan struct{}, o order) {
	defer s.cancel()
	out := filepath.Join(c.keep.of(s.Run, s.Index), dirRun)
	makeRun := c.MakeRun
	if makeRun == nil {
		makeRun = kabench.Run
	}
	doc, err := makeRun(ctx, p, kabench.Options{
		Out: out, Version: c.identity.Version, Stop: stop,
		Share: &kabench.Share{
			Index: s.Index, Of: s.Of, Follow: o.Follow, Timings: o.Timings, Looked: o.Looked,
			Await: func(ctx context.Context) (time.Time, error) { return c.await(ctx, s, stop) },
			Beat: func(b kabench.Beat) {
				b.Network = c.Network
				c.mu.Lock()
				s.beat = after(s.beat, &b)
				c.mu.Unlock()
				wake(c.beating)
			},
		},
	})
	if doc != nil {
		c.measureOnce() // else a short run has no measure after its start, and its skew would be 0 always
	}
	c.ended(s, doc, err)
	close(s.over)
	wake(c.beating)
	if doc != nil {
		c.mu.Lock()
		giving := c.give(s.Run)
		h := s.holding
		c.mu.Unlock()
		c.deliver(giving, h, false)
	}
}

// ended notes how the run has ended.
func (c *crew) ended(s *share, doc *results.Run, err error) {
	c.keep.withoutSecrets(s.holding)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil && s.Why == "" {
		s.Why = err.Error()
	}
	if doc == nil {
		s.Stage = stageFailed
		c.keep.remove(s.holding)
		c.sayf("run %s: not begun: %v", s.Run, err)
		if s.stopped {
			c.share = nil // the controller knows why
		}
		if c.leaving {
			c.end(errDone)
		}
		return
	}
	s.Stage = stageEnded
	began := c.began(doc.Start)
	s.Clock = c.offsets.document(s.Start, began)
	if err := c.keep.write(s.holding); err != nil {
		c.sayf("run %s: its state could not be kept: %v", s.Run, err)
	}
	c.sayf("run %s: ended, delivering its results", s.Run)
}

// began is when a run began by the agent's own clock. The run has the process's time.
func (c *crew) began(start time.Time) int64 {
	now, at := time.Now(), c.clock.Now()
	ago := now.Sub(start)
	// A skewed clock runs at another pace: look for the moment that it shows start at.
	guess := at - int64(ago)
	for range 3 {
		guess += int64(start.Sub(c.clock.Moment(guess)))
	}
	return guess
}

// await is called by the run when everything is prepared. It returns the moment of the start.
func (c *crew) await(ctx context.Context, s *share, stop <-chan struct{}) (time.Time, error) {
	c.mu.Lock()
	s.Stage = stageReady
	err := c.keep.write(s.holding)
	c.mu.Unlock()
	if err != nil {
		return time.Time{}, fmt.Errorf("the agent's directory cannot be written: %w", err)
	}
	wake(c.beating)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return time.Time{}, ctx.Err()
		case <-stop:
			return time.Time{}, kabench.ErrInterrupted
		case <-tick.C:
			c.mu.Lock()
			silent := time.Since(c.contact)
			c.mu.Unlock()
			if silent > orphaned {
				return time.Time{}, errors.New("the controller was not heard of for a minute, so nothing was sent")
			}
		case <-s.start:
			return c.started(s)
		}
	}
}

// started turns the agreed start into a moment of this process.
func (c *crew) started(s *share) (time.Time, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	mine, _, ok := c.offsets.mine(s.Start)
	if !ok {
		return time.Time{}, errors.New("the agent's clock has not been measured")
	}
	s.Stage = stageSending
	s.Clock = c.offsets.document(0, 0)
	if err := c.keep.write(s.holding); err != nil {
		return time.Time{}, fmt.Errorf("the agent's directory cannot be written: %w", err)
	}
	return c.clock.Moment(mine), nil
}

// abandon ends the run that the agent is at, when the agent ends: what it has recorded stays.
func (c *crew) abandon() {
	c.mu.Lock()
	c.leaving = true
	s := c.share
	c.mu.Unlock()
	if s == nil {
		return
	}
	s.halt()
	select {
	case <-s.over:
	case <-time.After(giveUpAfter):
		s.cancel()
	}
}

// giveUpAfter is how long requests in flight have when the agent must end.
const giveUpAfter = 10 * time.Second
