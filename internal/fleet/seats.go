package fleet

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/results"
)

// seat is an agent's place in a run, with what is known about the agent. The exported fields are
// kept in fleet.json.
type seat struct {
	Index    int    `json:"index"`
	Name     string `json:"name"`
	Instance string `json:"instance"`
	Version  string `json:"version"`
	Host     string `json:"host"`
	PID      int    `json:"pid"`
	Network  string `json:"network"`
	// Dir is the directory of an agent on this machine that the controller has started.
	Dir string `json:"dir,omitempty"`

	Stage string        `json:"stage"`
	Why   string        `json:"why,omitempty"`
	Clock results.Clock `json:"clock"`
	// Lost is set while the agent is lost. An agent that is heard of again is not.
	Lost *results.AgentLost `json:"lost,omitempty"`
	// Torn is set if the process that sent ended before its run did.
	Torn bool   `json:"torn,omitempty"`
	Hash string `json:"hash,omitempty"` // of its results, which are here; "": they are not
	Sent int    `json:"sent,omitempty"` // how many times the agent sent them

	heard time.Time
	knows bool // the agent knows that its results are here
	clock clockState
	beat  *kabench.Beat
}

// newSeats gives agents their places, in their order.
func newSeats(members []*member, now time.Time) []*seat {
	var list []*seat
	for i, m := range members {
		list = append(list, &seat{
			Index: i, Name: m.Name, Instance: m.Instance, Version: m.Version, Host: m.Host, PID: m.PID, Network: m.Network,
			Stage: stageIdle, heard: now, clock: m.clock,
		})
	}
	return list
}

// hears notes what an agent says about the run. One that was lost is found again. start is the
// run's, by the same clock; zero before it.
func (s *seat) hears(b beat, run string, now, start time.Time) {
	s.clock = b.Clock
	if b.Holds == nil || b.Holds.Run != run {
		if s.underWay() && s.Stage != stageIdle {
			// It had the run, and says now that it has none, or another one. That it lives
			// gives no hope of results: it is not heard of in this run.
			s.lose("it does not have the run any more", now, start)
			return
		}
		s.heard = now
		return
	}
	s.heard = now
	s.Stage, s.Why = b.Holds.Stage, b.Holds.Why
	if b.Holds.Clock.Measures > 0 {
		s.Clock = b.Holds.Clock
	}
	s.Sent = max(s.Sent, b.Holds.Sent)
	if b.Beat != nil {
		s.beat = after(s.beat, b.Beat)
	}
	if !s.Torn {
		s.Lost = nil
	}
}

// mostFollowing is how many bytes of exchanges wait to be shown; older ones are left out.
const mostFollowing = 2 << 20

// after returns the newer beat with the exchanges of the older one that nobody was given yet.
func after(older, newer *kabench.Beat) *kabench.Beat {
	if older == nil || len(older.Exchanges) == 0 && older.LeftOut == 0 {
		return newer
	}
	both := *newer
	both.LeftOut += older.LeftOut
	if len(older.Exchanges)+len(newer.Exchanges) > mostFollowing {
		both.LeftOut += uint64(bytes.Count(older.Exchanges, []byte("\n")))
	} else {
		both.Exchanges = slices.Concat(older.Exchanges, newer.Exchanges)
	}
	return &both
}

// underWay reports whether the agent's part of the run is not over yet.
func (s *seat) underWay() bool {
	switch s.Stage {
	case stageEnded, stageDelivered, stageFailed:
		return false
	}
	return true
}

// over reports whether the controller waits for nothing more from the agent: it has ended, or is
// lost.
func (s *seat) over() bool { return !s.underWay() || s.Lost != nil }

// here reports whether the agent's results are in the run's directory.
func (s *seat) here() bool { return s.Hash != "" }

// lose marks the agent as lost. start is the run's, by the same clock; zero before it.
func (s *seat) lose(why string, now, start time.Time) {
	if s.Lost != nil {
		return
	}
	at := 0.0
	if !start.IsZero() {
		at = max(0, min(s.heard.Sub(start), now.Sub(start)).Seconds())
	}
	s.Lost = &results.AgentLost{Why: why, At: at}
}

// quiet loses the agents that are silent. While the controller had no broker it heard
// nobody, so the silence begins at the earliest when the broker was back.
func quiet(seats []*seat, now, back, start time.Time) (lost []*seat) {
	for _, s := range seats {
		if s.over() || s.here() {
			continue
		}
		since := s.heard
		if back.After(since) {
			since = back
		}
		if silent := now.Sub(since); silent > silence {
			s.lose(fmt.Sprintf("nothing was heard from it for %v", silence), now, start)
			lost = append(lost, s)
		}
	}
	return lost
}

// worstError is the largest error of a clock that a start can be agreed with.
const worstError = 50 * time.Millisecond

// clocks says whether a start can be agreed: every clock must be known, and well enough.
func clocks(seats []*seat) (known bool, err error) {
	known = true
	for _, s := range seats {
		switch {
		case !s.clock.Known:
			known = false
		case s.clock.Error > worstError.Seconds():
			err = fmt.Errorf("the clock of agent %s is known to %.0f ms only, and a start needs %.0f ms: the round trip to it takes too long. Put the controller nearer to its agents", s.Name, s.clock.Error*1000, worstError.Seconds()*1000)
		}
	}
	return known, err
}

// tally counts seats for a line of progress.
func tally(seats []*seat, is func(*seat) bool) (n int) {
	for _, s := range seats {
		if is(s) {
			n++
		}
	}
	return n
}

// without lists the names of the agents that something is not true for.
func without(seats []*seat, is func(*seat) bool) []string {
	var list []string
	for _, s := range seats {
		if !is(s) {
			list = append(list, s.Name)
		}
	}
	return list
}

// agent is what the run says about the seat's agent.
func (s *seat) agent() results.Agent {
	a := results.Agent{Index: s.Index, Name: s.Name, Version: s.Version, Network: s.Network, Clock: s.Clock, Lost: s.Lost, Again: max(0, s.Sent-1)}
	return a
}
