package fleet

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/profiles"
)

// sending is one run on the agents.
type sending struct {
	*Controller
	job   kabench.FleetJob
	work  sync.WaitGroup
	state *state // guarded by mu; nil: the agents have no places yet

	moments
	halted   context.Context   // ends when the user stops the run
	over     context.Context   // ends when the run has been collected
	shown    string            // the last line of progress
	incoming map[int]*incoming // guarded by mu: by index
}

// moments are the times that losses are counted from.
type moments struct {
	back  time.Time // when the broker was last reached again
	away  bool      // the broker is away
	start time.Time // of the run; zero: it is not agreed
	began time.Time // when this controller began with the run
	stop  time.Time // when collect saw that the user has stopped the run; zero: it has not
}

// send makes the run. The error is one that the user can mend, or ErrInterrupted, and nothing
// was sent.
func (s *sending) send(ctx context.Context) ([]kabench.FleetPart, error) {
	halted, cancel := context.WithCancel(ctx)
	s.halted = halted
	s.work.Go(func() {
		select {
		case <-s.job.Stop:
			cancel()
		case <-halted.Done():
		}
	})
	over, end := context.WithCancel(context.WithoutCancel(ctx))
	s.over = over
	defer s.work.Wait()
	defer cancel()
	defer end()
	if err := s.openRun(ctx); err != nil {
		return nil, err
	}
	if s.resumed == nil {
		for _, stage := range []func(context.Context) error{s.gather, s.prepare, s.agree} {
			if err := stage(ctx); err != nil {
				s.giveUp()
				return nil, err
			}
		}
	} else if err := s.takeUp(ctx); err != nil {
		return nil, err
	}
	if s.job.Begun != nil {
		s.job.Begun(s.start)
	}
	s.follow(ctx)
	s.collect(ctx)
	return s.finish()
}

// openRun locks the directory of the run and opens the broker.
func (s *sending) openRun(ctx context.Context) (err error) {
	if s.lock == nil || filepath.Dir(s.lock.Path()) != filepath.Clean(s.job.Out) {
		if s.lock != nil {
			s.unlock()
		}
		if s.lock, err = own(s.job.Out); err != nil {
			return err
		}
	}
	first := !s.opened
	if err := s.open(ctx, s.job.Out); err != nil {
		return err
	}
	if first && s.broker != nil && !s.Config.Local {
		s.sayf("agents can join: kabench agent --join %s", s.reached())
	}
	return nil
}

// stopped reports whether the user has stopped the run.
func (s *sending) stopped(ctx context.Context) bool {
	select {
	case <-s.job.Stop:
		return s.job.Stop != nil
	default:
		return ctx.Err() != nil
	}
}

// until waits until done is true. It calls done, holding mu, when something has happened, and
// at least every 200 ms. The error is done's, or ErrInterrupted.
func (s *sending) until(ctx context.Context, done func(now time.Time) (bool, error)) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		if s.stopped(ctx) {
			return kabench.ErrInterrupted
		}
		s.mu.Lock()
		over, err := done(time.Now())
		s.mu.Unlock()
		if over || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-s.changed:
		case <-ctx.Done():
		}
	}
}

// show shows a line of progress, if it is another one.
func (s *sending) show(format string, args ...any) {
	if line := fmt.Sprintf(format, args...); line != s.shown {
		s.shown = line
		s.job.Preparing(line)
	}
}

// gather waits until there are enough agents, and gives them their places.
func (s *sending) gather(ctx context.Context) error {
	if err := s.startLocals(s.job.Out); err != nil {
		return err
	}
	began := time.Now()
	err := s.until(ctx, func(now time.Time) (bool, error) {
		s.roster.away(now)
		free := s.roster.free()
		if len(free) >= s.Agents {
			return true, s.place(free[:s.Agents])
		}
		if err := s.localsLive(); err != nil {
			return false, err
		}
		if now.Sub(began) > s.Wait {
			return false, s.roster.tooFew(s.Wait)
		}
		s.show("waiting for agents: %s", s.roster.waiting())
		return false, nil
	})
	return err
}

// place gives the members their places and keeps them. The caller holds mu.
func (s *sending) place(members []*member) error {
	redacted := profiles.Redact(*s.job.Profile)
	text, err := profiles.Marshal(&redacted)
	if err != nil {
		return err
	}
	st := &state{
		Schema: schemaName, Run: strings.ToLower(rand.Text()[:12]), Version: s.Version, Phase: phasePreparing,
		Broker: withoutUser(s.url), Credentials: s.CredentialsPath, Local: s.Config.Local,
		Lasts: s.job.Profile.Sending().Seconds(), Profile: string(text), Seats: newSeats(members, time.Now()),
	}
	if s.broker != nil {
		st.Listen = s.listensAt()
	}
	for _, l := range s.locals {
		for _, seat := range st.Seats {
			if seat.PID == l.pid() {
				seat.Dir = l.dir
			}
		}
	}
	if err := st.write(s.job.Out); err != nil {
		return err
	}
	s.state, s.run = st, s
	return nil
}

// each orders all agents the same, at once, until each has acknowledged. The error names the
// first agent that did not.
func (s *sending) each(ctx context.Context, within time.Duration, of func(*seat) order) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	var all sync.WaitGroup
	errs := make([]error, len(s.state.Seats))
	for i, seat := range s.state.Seats {
		all.Go(func() {
			a, err := s.order(ctx, seat.Instance, of(seat))
			switch {
			case err != nil:
				errs[i] = fmt.Errorf("agent %s did not acknowledge an order within %v", seat.Name, within)
			case a.Refused != "":
				errs[i] = fmt.Errorf("agent %s on %s cannot take part: %s", seat.Name, seat.Host, a.Refused)
			}
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// order orders an agent, again and again until it has acknowledged or ctx ends.
func (s *sending) order(ctx context.Context, instance string, o order) (ack, error) {
	o.Protocol, o.Controller, o.Run = protocol, s.Controller.instance, s.state.Run
	data, err := encode(o)
	if err != nil {
		return ack{Refused: err.Error()}, nil
	}
	for {
		once, cancel := context.WithTimeout(ctx, 2*time.Second)
		answer, err := s.bus.request(once, subjectOrder+instance, data)
		cancel()
		if err == nil {
			if a, err := decode[ack](answer); err == nil {
				return a, nil
			}
		}
		if !sleep(ctx, 100*time.Millisecond) {
			return ack{}, ctx.Err()
		}
	}
}

// prepareWithin is how long an agent has to accept a share; preparing it may take longer.
const prepareWithin = 15 * time.Second

// prepare has the agents prepare their shares, and waits until all are ready.
func (s *sending) prepare(ctx context.Context) error {
	text, files, err := withFiles(s.job.Profile)
	if err != nil {
		return err
	}
	opening, cancel := context.WithTimeout(ctx, prepareWithin)
	defer cancel()
	if err := s.carrier.open(opening, s.state.Run); err != nil {
		return fmt.Errorf("the broker cannot keep the results: %w", err)
	}
	err = s.each(s.halted, prepareWithin, func(seat *seat) order {
		return order{Kind: orderPrepare, Index: seat.Index, Of: s.Agents, Profile: text, Files: files, Given: s.job.Profile.Given, Follow: s.job.Follow, Timings: s.job.Timings, Looked: s.job.Looked}
	})
	if s.stopped(ctx) {
		return kabench.ErrInterrupted
	}
	if err != nil {
		return err
	}
	return s.until(ctx, func(now time.Time) (bool, error) {
		if err := s.unfit(now); err != nil {
			return false, err
		}
		ready := func(seat *seat) bool { return seat.Stage == stageReady }
		if missing := without(s.state.Seats, ready); len(missing) > 0 {
			s.show("preparing: %d of %d agents are ready (not yet %s)", s.Agents-len(missing), s.Agents, someOf(missing))
			return false, nil
		}
		return true, nil
	})
}

// unfit is why the run cannot start: an agent has failed, or is lost. The caller holds mu.
func (s *sending) unfit(now time.Time) error {
	s.notice(now)
	for _, seat := range s.state.Seats {
		switch {
		case seat.Stage == stageFailed:
			return fmt.Errorf("agent %s on %s cannot take part: %s", seat.Name, seat.Host, seat.Why)
		case seat.Lost != nil:
			return fmt.Errorf("agent %s on %s was lost before the start: %s. Nothing was sent", seat.Name, seat.Host, seat.Lost.Why)
		}
	}
	return nil
}

const (
	// startAhead is how far ahead the start is when it is agreed, and startMargin how long
	// before it all agents must have acknowledged it. In between the rest can be aborted.
	startAhead  = 3 * time.Second
	startMargin = time.Second
	// measureWithin is how long the first measure of a clock may take.
	measureWithin = 15 * time.Second
)

// agree agrees on the start with all agents.
func (s *sending) agree(ctx context.Context) error {
	began := time.Now()
	err := s.until(ctx, func(now time.Time) (bool, error) {
		if err := s.unfit(now); err != nil {
			return false, err
		}
		known, err := clocks(s.state.Seats)
		if err == nil && !known && now.Sub(began) > measureWithin {
			err = errors.New("the clocks of the agents could not be measured; see whether the network loses messages")
		}
		return known, err
	})
	if err != nil {
		return err
	}
	start := s.clock.Now() + int64(startAhead)
	s.mu.Lock()
	s.state.Start, s.state.Phase = start, phaseStarted
	err = s.state.write(s.job.Out)
	s.mu.Unlock()
	if err != nil {
		return err
	}
	s.show("all %d agents are ready, and start in %v", s.Agents, startAhead)
	err = s.each(s.halted, startAhead-startMargin, func(*seat) order { return order{Kind: orderStart, Start: start} })
	if s.stopped(ctx) {
		return kabench.ErrInterrupted
	}
	if err != nil {
		return fmt.Errorf("the start could not be agreed: %w. Nothing was sent", err)
	}
	s.mu.Lock()
	s.start = s.clock.Moment(start)
	s.mu.Unlock()
	return nil
}

// giveUp keeps that a run has not begun, so that nobody takes it up, and has the agents
// forget it. It keeps that first: this process may end before the agents have heard.
func (s *sending) giveUp() {
	if s.state == nil {
		return
	}
	s.mu.Lock()
	agreed := s.state.Start != 0
	s.state.Phase, s.state.Start = phasePreparing, 0
	s.save()
	s.mu.Unlock()
	unheard := s.each(context.Background(), 3*time.Second, func(*seat) order { return order{Kind: orderAbort} })
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	_ = s.carrier.remove(ctx, s.state.Run) // the stream is empty
	s.mu.Lock()
	defer s.mu.Unlock()
	if unheard != nil && agreed {
		s.sayf("the run is given up, and %v: if that agent lives, it sends its share, which is in no result", unheard)
	}
	s.run = nil
}

// clear removes what a run that sent nothing has left in its directory.
func (s *sending) clear() {
	if s.resumed != nil || !isEmpty(filepath.Join(s.job.Out, dirAgents)) {
		return
	}
	_ = os.Remove(filepath.Join(s.job.Out, fileState))
	_ = os.Remove(filepath.Join(s.job.Out, dirAgents))
}
