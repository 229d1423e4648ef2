package fleet

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
)

// The subjects of control. There is one controller at a broker at a time.
const (
	subjectHello     = "kabench.hello"     // agent asks controller: may I take part?
	subjectClock     = "kabench.clock"     // agent asks controller: what time is it?
	subjectDelivered = "kabench.delivered" // agent asks controller: do you have this parcel?
	subjectBeat      = "kabench.beat"      // agent says where it is, once a second
	subjectRollCall  = "kabench.rollcall"  // controller, or fleet status, asks all agents to say who they are
	subjectStatus    = "kabench.status"    // fleet status asks the controller
	subjectOrder     = "kabench.order."    // and the agent's instance: controller orders an agent
)

// protocol is the version of the messages. Fields that a reader does not know are ignored.
const protocol = 1

// mostMessage is the size of the largest message, in bytes. NATS allows 1 MiB unless its
// operator changes that.
const mostMessage = 900 << 10

// identity says who an agent is. Instance is another one for each process.
type identity struct {
	Protocol int      `json:"protocol"`
	Name     string   `json:"name"`
	Instance string   `json:"instance"`
	Version  string   `json:"version"`
	Host     string   `json:"host"`
	PID      int      `json:"pid"`
	Network  string   `json:"network"` // see results.Agent.Network
	CPUs     int      `json:"cpus"`
	Allowed  []string `json:"allowed"` // what its command line allows it to send to
}

// The stages of an agent in a run.
const (
	stageIdle      = "idle"
	stagePreparing = "preparing"
	stageReady     = "ready"    // everything is prepared; it waits for the start
	stageStarting  = "starting" // it knows the start, which is ahead
	stageSending   = "sending"
	stageEnded     = "ended"     // its run is over and its results are in its directory
	stageDelivered = "delivered" // the controller has confirmed them
	stageFailed    = "failed"    // it ended before its first request; see holding.Why
)

// holding is a run that an agent has in its directory.
type holding struct {
	Run   string `json:"run"`
	Index int    `json:"index"`
	Of    int    `json:"of"`
	Stage string `json:"stage"`
	Why   string `json:"why,omitempty"` // of stageFailed, or why the run ended early
	// Torn is set if the process that sent ended before its run did.
	Torn bool `json:"torn,omitempty"`
	// Halted is set if the run ended early because somebody ended the agent.
	Halted bool          `json:"halted,omitempty"`
	Start  int64         `json:"start,omitempty"` // the agreed start, by the controller's clock, Unix nanoseconds
	Clock  results.Clock `json:"clock"`
	Sent   int           `json:"sent,omitempty"` // how many times its results were sent whole
}

// hello is what an agent asks the controller with.
type hello struct {
	identity
	Clock clockState `json:"clock"`
	Holds []holding  `json:"holds,omitempty"`
	Only  bool       `json:"only,omitempty"` // it only delivers
}

// offers reports whether the agent has said that it has a run's results.
func (h hello) offers(run string) bool {
	return slices.ContainsFunc(h.Holds, func(held holding) bool { return held.Run == run && held.Stage == stageEnded })
}

// welcome is what the controller answers a hello with.
type welcome struct {
	Controller string   `json:"controller"`        // its instance
	Refused    string   `json:"refused,omitempty"` // why the agent takes no part; it asks again later
	Final      bool     `json:"final,omitempty"`   // asking again is of no use
	Deliver    []string `json:"deliver,omitempty"` // runs whose results the controller wants
	Forget     []string `json:"forget,omitempty"`  // runs that the agent need not keep
}

// clockAnswer is the controller's answer to a question about the time.
type clockAnswer struct {
	Controller string `json:"controller"` // the instance whose clock it is
	Now        int64  `json:"now"`        // Unix nanoseconds
}

// The orders.
const (
	orderPrepare = "prepare"
	orderStart   = "start"
	orderStop    = "stop"  // no more requests; those in flight may finish
	orderAbort   = "abort" // give up those in flight too
	orderLeave   = "leave" // end the process
)

// order is what the controller orders an agent. The same order twice is as one.
type order struct {
	Protocol   int    `json:"protocol"`
	Controller string `json:"controller"`
	Kind       string `json:"kind"`
	Run        string `json:"run,omitempty"`

	// of prepare
	Index   int               `json:"index,omitempty"`
	Of      int               `json:"of,omitempty"`
	Profile string            `json:"profile,omitempty"` // YAML, with its secrets
	Files   map[string][]byte `json:"files,omitempty"`   // those that the profile names, by the name it has there
	Follow  bool              `json:"follow,omitempty"`
	Timings bool              `json:"timings,omitempty"`
	Looked  []netip.AddrPort  `json:"looked"` // see kabench.Share; null: the agent looks itself
	// Given says where fields of the pool of a real client were set.
	Given map[string]profiles.Place `json:"given,omitempty"`

	Start int64 `json:"start,omitempty"` // of start: by the controller's clock, Unix nanoseconds
}

// ack acknowledges an order.
type ack struct {
	Refused string `json:"refused,omitempty"` // why the order is not obeyed
	Stage   string `json:"stage"`
}

// beat is what an agent says once a second, and when something has changed.
type beat struct {
	identity
	Holds *holding      `json:"holds,omitempty"` // the run it is at; nil: none
	Clock clockState    `json:"clock"`
	Beat  *kabench.Beat `json:"beat,omitempty"` // while it sends
}

// delivered asks whether the controller has a parcel.
type delivered struct {
	Instance string `json:"instance"`
	holding
	Hash string `json:"hash"`
}

// The controller's words about a parcel.
const (
	parcelConfirmed = "confirmed" // it has it, with that hash; the agent's copy is no longer needed
	parcelWaiting   = "waiting"   // it is still coming
	parcelAgain     = "again"     // it arrived damaged
	parcelUnknown   = "unknown"   // it belongs to a run that this controller does not know
)

type parcelState struct {
	State string `json:"state"`
	Why   string `json:"why,omitempty"`
}

// Status is what is going on at a broker, for people.
type Status struct {
	Controller *ControllerStatus `json:"controller,omitempty"` // nil: none has answered
	Agents     []AgentStatus     `json:"agents"`
}

// ControllerStatus is what a controller says about itself.
type ControllerStatus struct {
	Host    string `json:"host"`
	PID     int    `json:"pid"`
	Version string `json:"version"`
	Run     string `json:"run,omitempty"` // "": none yet
	Dir     string `json:"dir,omitempty"`
	Phase   string `json:"phase"`
	Want    int    `json:"want"` // how many agents a run has
}

// AgentStatus is what an agent says about itself.
type AgentStatus struct {
	Name      string    `json:"name"`
	Host      string    `json:"host"`
	PID       int       `json:"pid"`
	Version   string    `json:"version"`
	CPUs      int       `json:"cpus"`
	Index     *int      `json:"index,omitempty"` // its place in the run; nil: none
	Run       string    `json:"run,omitempty"`
	Stage     string    `json:"stage"`
	Refused   string    `json:"refused,omitempty"` // why the controller does not take it
	Clock     Offset    `json:"clock"`
	Heard     time.Time `json:"heard,omitzero"`  // when it was last heard of
	Keeps     []string  `json:"keeps,omitempty"` // runs whose results it has and nobody has taken
	Allowed   []string  `json:"allowed"`
	Lost      string    `json:"lost,omitempty"` // why it is lost; "": it is not
	Delivered bool      `json:"delivered,omitempty"`
}

// Offset is how an agent's clock stands to the controller's, in seconds.
type Offset struct {
	Known    bool    `json:"known"`
	Offset   float64 `json:"offset"` // the agent's minus the controller's
	Error    float64 `json:"error"`
	Drift    float64 `json:"drift"` // seconds per second
	Measures int     `json:"measures"`
}

// encode writes a message. What is too large to be sent is an error.
func encode(v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err == nil && len(data) > mostMessage {
		err = fmt.Errorf("a message has %d bytes, and at most %d can be sent", len(data), mostMessage)
	}
	return data, err
}

// decode reads a message. One that is larger than any that encode writes is not read.
func decode[T any](data []byte) (v T, err error) {
	if len(data) > mostMessage {
		return v, fmt.Errorf("a message has %d bytes, and at most %d are read", len(data), mostMessage)
	}
	err = json.Unmarshal(data, &v)
	return v, err
}
