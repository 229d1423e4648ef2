package fleet

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/kabench/kabench"
)

// The second half of a run: the agents send, and their results come in.

// hears notes what an agent says about the run. The caller holds mu.
func (s *sending) hears(b beat, now time.Time) {
	if s.state == nil {
		return
	}
	for _, seat := range s.state.Seats {
		if seat.Instance == b.Instance {
			was := seat.Lost != nil
			seat.hears(b, s.state.Run, now, s.start)
			if was && seat.Lost == nil {
				s.sayf("agent %s is back", seat.Name)
			}
		}
	}
}

// notice looks for agents that are lost. The caller holds mu.
func (s *sending) notice(now time.Time) {
	switch connected := s.bus.connected(); {
	case !connected:
		if !s.away {
			s.sayf("the broker is away; the agents go on sending")
		}
		s.away = true
	case s.away:
		s.away, s.back = false, now
		s.sayf("the broker is back")
	}
	var lost []*seat
	if !s.away {
		lost = quiet(s.state.Seats, now, s.back, s.start)
	}
	for _, seat := range s.state.Seats {
		l := s.localOf(seat)
		if l == nil || seat.over() || seat.here() {
			continue
		}
		if why, ended := l.ended(); ended {
			seat.Torn = true
			seat.lose(why, now, s.start)
			lost = append(lost, seat)
		}
	}
	for _, seat := range lost {
		s.sayf("agent %s is lost: %s", seat.Name, seat.Lost.Why)
	}
	if len(lost) > 0 && s.state.Phase == phaseStarted {
		s.save()
	}
}

// save keeps the state. The caller holds mu.
func (s *sending) save() {
	if err := s.state.write(s.job.Out); err != nil {
		s.sayf("%v", err) // the run goes on; another controller could not take it up
	}
}

// follow waits until every agent's part is over, or the agent lost.
func (s *sending) follow(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	stop, abort := s.job.Stop, ctx.Done()
	var deadline <-chan time.Time
	for {
		s.mu.Lock()
		s.notice(time.Now())
		beats := s.beats()
		over := !slices.ContainsFunc(s.state.Seats, func(seat *seat) bool { return !seat.over() })
		s.mu.Unlock()
		if s.job.Beats != nil {
			s.job.Beats(beats)
		}
		if over {
			return
		}
		select {
		case <-tick.C:
		case <-stop:
			stop = nil
			s.orderAll(order{Kind: orderStop})
		case <-abort:
			abort, stop = nil, nil
			s.orderAll(order{Kind: orderAbort})
			deadline = time.After(abortWithin)
		case <-deadline:
			return
		}
	}
}

// abortWithin is how long the agents have to give up requests and to deliver, after the user
// has stopped the run twice.
const abortWithin = 7 * time.Second

// orderAll gives every agent an order, until it is acknowledged or the run over.
func (s *sending) orderAll(o order) {
	for _, seat := range s.state.Seats {
		s.work.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			stop := context.AfterFunc(s.over, cancel)
			defer stop()
			_, _ = s.order(ctx, seat.Instance, o) // one that is lost gets none
		})
	}
}

// beats are the newest beats. Exchanges in them are given once. The caller holds mu.
func (s *sending) beats() []*kabench.Beat {
	list := make([]*kabench.Beat, len(s.state.Seats))
	for i, seat := range s.state.Seats {
		if seat.beat == nil {
			continue
		}
		list[i] = seat.beat
		if len(seat.beat.Exchanges) > 0 || seat.beat.LeftOut > 0 {
			next := *seat.beat
			next.Exchanges, next.LeftOut = nil, 0
			seat.beat = &next
		}
	}
	return list
}

// finish ends the run for the agents, and returns what each has left.
func (s *sending) finish() ([]kabench.FleetPart, error) {
	s.settle()
	s.mu.Lock()
	defer s.mu.Unlock()
	var parts []kabench.FleetPart
	whole := true
	for _, seat := range s.state.Seats {
		if !seat.here() {
			whole = false
			why := "its results were not fetched"
			if seat.Stage == stageFailed && seat.Why != "" {
				why = "it did not send: " + seat.Why
			}
			seat.lose(why, time.Now(), s.start)
		}
		part := kabench.FleetPart{Agent: seat.agent()}
		if seat.here() {
			part.Dir = s.resultsOf(seat)
		}
		parts = append(parts, part)
	}
	s.state.Phase = phaseCollected
	s.save()
	s.run = nil
	if whole {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		_ = s.carrier.remove(ctx, s.state.Run) // a stream that stays costs only room
	} else {
		s.missing = true
		s.sayf("%s. 'kabench fleet collect %s' fetches them when their agents are back", missing(s.state.Seats), s.job.Out)
	}
	return parts, nil
}

func missing(seats []*seat) string {
	return fmt.Sprintf("the results of %s are missing", someOf(without(seats, (*seat).here)))
}

// settle waits until the agents that are there know that their results have arrived. An
// agent that does not keeps them, and offers them to the next controller.
func (s *sending) settle() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		s.mu.Lock()
		open := tally(s.state.Seats, func(seat *seat) bool {
			l := s.localOf(seat)
			return seat.here() && !seat.knows && (seat.Lost == nil || l != nil && l.delivering())
		})
		s.mu.Unlock()
		if open == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// takeUp takes a run up that another controller has begun.
func (s *sending) takeUp(ctx context.Context) error {
	now := time.Now()
	s.mu.Lock()
	s.state = s.resumed
	for _, seat := range s.state.Seats {
		seat.heard = now
	}
	s.start = time.Unix(0, s.state.Start)
	s.run = s
	s.mu.Unlock()
	ahead := time.Duration(s.state.Start - s.clock.Now())
	switch {
	case s.state.Phase != phaseStarted:
		return nil
	case ahead < startMargin:
		// An agent that has not heard of the start would wait for it as long as there is a
		// controller. It learns now that it came too late; the others have begun.
		s.orderAll(order{Kind: orderStart, Start: s.state.Start})
		return nil
	}
	// Some agents may not know the start yet.
	err := s.each(ctx, ahead-startMargin, func(*seat) order { return order{Kind: orderStart, Start: s.state.Start} })
	if err != nil {
		s.giveUp()
		return fmt.Errorf("the start could not be agreed: %w. Nothing was sent", err)
	}
	return nil
}

// incoming is a parcel that is coming.
type incoming struct {
	again      bool  // what arrived was damaged
	have, size int64 // bytes
}
