package results

import (
	"fmt"
	"time"
)

// Agent is one of the processes that sent the requests of a run together, each its share.
// Its figures are those of its own run; the run's are of all agents.
type Agent struct {
	Index   int    `json:"index"` // it sent the arrivals Index, Index+n, … of the schedule, n agents in all
	Name    string `json:"name"`
	Version string `json:"version"` // of its kabench
	Host    Host   `json:"host"`
	// Network is the same for agents that share their network namespace. They share its
	// ports too, and see each other's sockets.
	Network string `json:"network,omitempty"`

	Start    time.Time `json:"start"` // by its own clock
	Valid    bool      `json:"valid"`
	Invalid  []string  `json:"invalid,omitempty"` // why Valid is false
	Warnings []string  `json:"warnings"`

	Counts      Counts      `json:"counts"`
	Lag         Quantiles   `json:"lag"`
	Connections Connections `json:"connections"`
	Pool        PoolPeaks   `json:"pool"`
	Instrument  Instrument  `json:"instrument"`
	Recording   Recording   `json:"recording"`

	Clock Clock      `json:"clock"`
	Lost  *AgentLost `json:"lost,omitempty"` // nil: it sent its whole share
	// Again is how many times its results were sent before the controller had them whole.
	Again int `json:"again,omitempty"`
}

// AgentLost says that an agent ended, or was not heard of any more, before its share was
// sent. Its arrivals that no surviving record has are dropped, with the cause agent_lost.
type AgentLost struct {
	Why      string  `json:"why"`
	At       float64 `json:"at"`       // seconds since the start of the run: when it was heard of last
	Arrivals uint64  `json:"arrivals"` // that were dropped for it, warm-up included
	Share    float64 `json:"share"`    // Arrivals by all that were due, 0 to 1
}

// Clock is how an agent's clock stood to the controller's.
type Clock struct {
	Offset   float64 `json:"offset"`     // seconds: the agent's minus the controller's, when the run began
	Error    float64 `json:"error"`      // seconds: half of the least round trip by which it was measured
	Drift    float64 `json:"drift"`      // seconds per second: by how much the offset grew
	Measures int     `json:"measures"`   // how many times it was measured
	Skew     float64 `json:"start_skew"` // seconds: when the agent began its schedule, minus the agreed moment
}

// LostArrivals is how many of the requests that were due, without the warm-up, were
// dropped because their agent was lost.
func (run *Run) LostArrivals() (n uint64) {
	for _, o := range run.Outcomes {
		if o.Cause == CauseAgentLost {
			n += o.Count
		}
	}
	return n
}

// mostLost is the share of the requests due that may be lost with agents in a run that is
// what the profile asks for: one in a hundred, as kabench itself may drop.
const mostLost = 0.01

// Degraded says that more of the requests were lost with their agents than a run may lack
// whose figures stand for the load of its profile; "" if not. Such a run is valid: what it
// measured was measured well.
func (run *Run) Degraded() string {
	lost := run.LostArrivals()
	if lost == 0 || float64(lost) <= mostLost*float64(run.Counts.Due) {
		return ""
	}
	return fmt.Sprintf("%s of its requests were lost with agents", FormatPercent(float64(lost)/float64(max(run.Counts.Due, 1))))
}
