package results

import (
	"fmt"
	"slices"
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

// DriverSeen is a real client that performed the exchanges of a run in a process of its
// own, a driver, and what was seen of it. What happened on the connections is not taken
// from the driver where somebody else could look: see Looked.
type DriverSeen struct {
	Name     string         `json:"name"`     // as it was asked for: a name of the catalogue, or the command
	Driver   string         `json:"driver"`   // as it calls itself
	Client   string         `json:"client"`   // the client that it drives
	Version  string         `json:"version"`  // the client's
	Runtime  string         `json:"runtime"`  // such as Java 17.0.17
	Settings map[string]any `json:"settings"` // as sent to it; durations in milliseconds, null is "off"
	Gauges   []string       `json:"gauges"`   // the names of the gauges that it reports

	// Available are the settings that the client has, and Lacks the fields of the profile's
	// pool that were to be set and that it has no setting for, as pool.lease_order. Its own
	// behaviour stands there.
	Available []DriverSetting `json:"available"`
	Lacks     []string        `json:"lacks"`

	WarmUp *DriverWarmUp `json:"warm_up,omitempty"` // nil: it was not warmed up

	// Seconds. Late is what delayed the load, so it can make the run invalid. Its parts are
	// Pickup, until the driver had read the request, and Lag, from then to the client's call.
	// Lag is by the driver's own clock; the others are exact to ClockError.
	Late       Quantiles `json:"late"` // from handing a request over to the client's call
	Pickup     Quantiles `json:"pickup"`
	Lag        Quantiles `json:"lag"`
	ClockError float64   `json:"clock_error"` // seconds: how far its clock, set beside ours, may be off

	Dispatched uint64 `json:"dispatched"` // requests handed to it
	Answered   uint64 `json:"answered"`   // of these, those that it said were over
	// Looked says whether what happened on the connections was seen without the driver.
	// If not, phases and causes are read from the client's error texts.
	Looked bool `json:"looked"`
	// Counted says whether its connections were counted. If not, run.Connections and the
	// idle times are empty because they are not known.
	Counted bool   `json:"counted"`
	Arrived uint64 `json:"arrived"` // how often a request was put on a connection, if Looked
	Resends uint64 `json:"resends"` // of Arrived, those after the first of the same exchange

	Faults []DriverFault `json:"faults"` // what it did that no driver may do; any makes the run invalid
	// Disagreements counts the exchanges where what the client said, as kabench
	// understands its words, is not what was seen. It is a fault of kabench's table of
	// words, or of the client.
	Disagreements uint64        `json:"disagreements"`
	Errors        []DriverError `json:"errors"` // what the client said, the most frequent first
	Ended         string        `json:"ended"`  // why it was ended during the run, or ended by itself; "": it was not
}

// DriverTimes are Late, Pickup and Lag of a DriverSeen in a form that can be added.
type DriverTimes struct {
	Late   *Durations `json:"late"`
	Pickup *Durations `json:"pickup"`
	Lag    *Durations `json:"lag"`
}

// Merge adds the times of o.
func (t *DriverTimes) Merge(o *DriverTimes) {
	for _, of := range [...]struct{ to, from **Durations }{{&t.Late, &o.Late}, {&t.Pickup, &o.Pickup}, {&t.Lag, &o.Lag}} {
		if *of.to == nil {
			*of.to = &Durations{}
		}
		if *of.from != nil {
			(*of.to).Merge(*of.from)
		}
	}
}

// Fill sets the times of d.
func (t *DriverTimes) Fill(d *DriverSeen) {
	d.Late, d.Pickup, d.Lag = t.Late.Quantiles(), t.Pickup.Quantiles(), t.Lag.Quantiles()
}

// DriverWarmUp is what a driver did before the run, so that its code was compiled.
type DriverWarmUp struct {
	Requests uint64  `json:"requests"` // against a server of kabench's own
	Failed   uint64  `json:"failed"`   // of them
	Seconds  float64 `json:"seconds"`
}

// DriverFault is something that a driver did and no driver may do.
type DriverFault struct {
	Name    string `json:"name"` // such as "answers twice"; docs/drivers.md lists them
	Count   uint64 `json:"count"`
	Example string `json:"example"`
}

// DriverError is an error as a client gave it to its caller, beside what was seen.
type DriverError struct {
	Class  string              `json:"class"`
	Text   string              `json:"text"`
	Causes []DriverErrorCause  `json:"causes"` // outermost first
	Count  uint64              `json:"count"`
	Seq    uint64              `json:"seq"`              // of the first of these exchanges
	Wire   *DriverErrorOutcome `json:"wire,omitempty"`   // as seen; nil: nobody could look, or nothing was on a connection
	Words  *DriverErrorOutcome `json:"words,omitempty"`  // as kabench understands the text; nil: it does not know it
	Agree  bool                `json:"agree"`            // false only if what was said and what was seen differ
	Differ string              `json:"differ,omitempty"` // how, in words
}

// DriverErrorCause is one link of a client's chain of causes.
type DriverErrorCause struct {
	Class string `json:"class"`
	Text  string `json:"text"`
}

// DriverErrorOutcome is where and why an exchange ended.
type DriverErrorOutcome struct {
	Phase Phase `json:"phase"`
	Cause Cause `json:"cause"`
}

// DriverSetting is something that can be set on a real client.
type DriverSetting struct {
	Name    string `json:"name"` // as the client spells it
	Kind    string `json:"kind"` // duration, count, bool or text
	Default any    `json:"default"`
	// Pool is the field of a profile's pool that means the same, as idle_timeout; "": there
	// is none.
	Pool   string            `json:"pool,omitempty"`
	Values []string          `json:"values,omitempty"` // of a text, the allowed ones; none: any
	Words  map[string]string `json:"words,omitempty"`  // from the pool's words to the client's
}

// Tells reports whether the run tells a gauge of its pool: active, idle or pending. A real
// client does if it reports that gauge, or, except for pending, if its connections were counted.
func (run *Run) Tells(gauge string) bool {
	d := run.Driver
	return d == nil || d.Counted && gauge != "pending" || slices.Contains(d.Gauges, gauge)
}

// CountsConnections reports whether run.Connections and run.Idle are known.
func (run *Run) CountsConnections() bool { return run.Driver == nil || run.Driver.Counted }
