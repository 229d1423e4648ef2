package fleet

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/kabench/kabench/internal/fleet/parcel"
	"github.com/kabench/kabench/results"
)

// resultsOf is where the results of an agent are put.
func (s *sending) resultsOf(seat *seat) string {
	return filepath.Join(s.job.Out, dirAgents, strconv.Itoa(seat.Index))
}

// offered says which of the runs that an agent has are wanted. The caller holds mu.
func (s *sending) offered(h hello, now time.Time) (deliver, forget []string) {
	if s.state == nil {
		return nil, nil
	}
	for _, kept := range h.Holds {
		if kept.Run != s.state.Run || kept.Index < 0 || kept.Index >= len(s.state.Seats) {
			continue
		}
		seat := s.state.Seats[kept.Index]
		switch {
		case seat.here():
			if kept.Stage == stageEnded {
				forget = append(forget, kept.Run)
			}
		case kept.Stage == stageEnded:
			s.takes(seat, kept, now)
			deliver = append(deliver, kept.Run)
		}
	}
	return deliver, forget
}

// takes notes that an agent's results can come. The caller holds mu.
func (s *sending) takes(seat *seat, kept holding, now time.Time) {
	if kept.Torn && !seat.Torn {
		seat.Torn = true
		if was := seat.Lost; was != nil {
			seat.Lost = &results.AgentLost{Why: kept.Why, At: was.At} // it ended then, and not when it came back
		} else {
			seat.lose(kept.Why, now, s.start)
		}
	}
	seat.Stage, seat.Why, seat.Sent, seat.heard = stageEnded, kept.Why, max(seat.Sent, kept.Sent), now
	if kept.Clock.Measures > 0 {
		seat.Clock = kept.Clock
	}
	switch {
	case kept.Halted:
		seat.lose("it was ended on its machine: "+kept.Why, now, s.start)
	case !kept.Torn:
		seat.Lost = nil
	}
	s.receive(seat)
}

// has answers an agent that asks whether its results have arrived. The caller holds mu.
func (s *sending) has(d delivered) parcelState {
	if s.state == nil || d.Run != s.state.Run || d.Index < 0 || d.Index >= len(s.state.Seats) {
		return parcelState{State: parcelUnknown}
	}
	seat := s.state.Seats[d.Index]
	if seat.here() {
		if seat.Hash != d.Hash {
			return parcelState{State: parcelUnknown, Why: "other results of this agent are here"}
		}
		seat.knows = true
		seat.Sent = max(seat.Sent, d.Sent)
		return parcelState{State: parcelConfirmed}
	}
	s.takes(seat, d.holding, time.Now())
	if in := s.incoming[d.Index]; in.again {
		in.again = false
		return parcelState{State: parcelAgain}
	}
	return parcelState{State: parcelWaiting}
}

// receive begins to receive an agent's results, once. The caller holds mu.
func (s *sending) receive(seat *seat) {
	if s.incoming == nil {
		s.incoming = map[int]*incoming{}
	}
	if s.incoming[seat.Index] != nil || seat.here() || s.over.Err() != nil {
		return
	}
	in := &incoming{}
	s.incoming[seat.Index] = in
	s.work.Go(func() { s.receiveAll(seat, in) })
}

func (s *sending) receiveAll(seat *seat, in *incoming) {
	dir := s.resultsOf(seat)
	key := parcel.Key{Run: s.state.Run, Agent: seat.Index}
	for s.over.Err() == nil {
		hash, err := s.carrier.receive(s.over, key, dir, func(have, size int64) {
			s.mu.Lock()
			in.have, in.size = have, size
			s.mu.Unlock()
			wake(s.changed)
		})
		s.mu.Lock()
		if err == nil {
			seat.Hash = hash
			s.save()
			s.mu.Unlock()
			wake(s.changed)
			return
		}
		if s.over.Err() == nil {
			in.again = errors.Is(err, parcel.ErrSendAgain)
			s.sayf("the results of %s have not arrived: %v", seat.Name, err)
		}
		s.mu.Unlock()
		sleep(s.over, between)
	}
}

// collect waits for the results of all agents, as long as there is hope.
func (s *sending) collect(ctx context.Context) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	abort := ctx.Done()
	var deadline <-chan time.Time
	var shown time.Time
	began := time.Now()
	for {
		s.mu.Lock()
		now := time.Now()
		s.notice(now)
		s.fetchLocal()
		seats := s.state.Seats
		here := tally(seats, (*seat).here)
		done := !slices.ContainsFunc(seats, func(seat *seat) bool { return !seat.here() && s.hope(seat, now) })
		line := s.arrived(here, now.Sub(began))
		s.mu.Unlock()
		if done {
			return
		}
		if now.Sub(shown) >= time.Second {
			shown = now
			s.show("%s", line)
		}
		select {
		case <-tick.C:
		case <-s.changed:
		case <-abort:
			abort = nil
			s.orderAll(order{Kind: orderAbort})
			deadline = time.After(abortWithin)
		case <-deadline:
			return
		}
	}
}

// hope reports whether results that are not here may come soon. The caller holds mu.
func (s *sending) hope(seat *seat, now time.Time) bool {
	if l := s.localOf(seat); l != nil && seat.Lost != nil {
		if _, ended := l.ended(); ended {
			return l.delivering()
		}
	}
	if seat.Stage == stageFailed {
		return false // after the start: it has no results
	}
	if s.away || seat.Lost == nil || s.incoming[seat.Index] != nil && now.Sub(seat.heard) <= silence {
		return true
	}
	// A lost agent may have lost only its way to the broker, and send to the end.
	// Who stops the run does not wait for that.
	end := s.start.Add(time.Duration(s.state.Lasts * float64(time.Second)))
	if s.stopped(s.over) {
		if s.stop.IsZero() {
			s.stop = now
		}
		if s.stop.Before(end) {
			end = s.stop
		}
	}
	from := latest(seat.heard, s.back, end, s.began)
	return now.Sub(from) <= 2*silence
}

func latest(list ...time.Time) (last time.Time) {
	for _, t := range list {
		if t.After(last) {
			last = t
		}
	}
	return last
}

// arrived says how far the collection has come in that time. The caller holds mu.
func (s *sending) arrived(here int, took time.Duration) string {
	var bytes, size int64
	sized := true // the sizes of all results are known
	for _, in := range s.incoming {
		bytes, size = bytes+in.have, size+in.size
		sized = sized && in.size > 0
	}
	text := fmt.Sprintf("collecting %d of %d, %s", here, len(s.state.Seats), megabytes(bytes))
	if s.away {
		return text + " (the broker is away)"
	}
	if left := size - bytes; sized && len(s.incoming) == len(s.state.Seats) && left > 0 && bytes > 0 && took >= measurable {
		text += fmt.Sprintf(", about %d s left", int(took.Seconds()*float64(left)/float64(bytes))+1)
	}
	if rest := without(s.state.Seats, (*seat).here); len(rest) > 0 && len(rest) < len(s.state.Seats) {
		text += " (waiting for " + someOf(rest) + ")"
	}
	return text
}

// measurable is how long the collection must have gone on before its speed is known.
const measurable = 2 * time.Second

func megabytes(n int64) string {
	if n > 0 && n < 1e6 {
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%d MB", n/1e6)
}
