// Package page makes the HTML report of a run, an incident with its remedies, or a
// comparison: one file that needs no network.
//
// Gather reads run directories as a stream into Data, whose size does not grow with
// the length of a run. Write puts Data, and the program that draws it, into a page.
package page

import (
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/text"
)

// Kinds of report.
const (
	KindRun          = "run"
	KindReproduction = "reproduction"
	KindComparison   = "comparison"
	KindForecast     = "forecast" // a run on virtual time
)

// Data is everything that a page shows. It is embedded as JSON: the program in the
// page draws it, and computes only positions.
type Data struct {
	Kind       string              `json:"kind"`
	Title      string              `json:"title"`
	Question   string              `json:"question"`
	Headline   text.Headline       `json:"headline"`
	Picture    *Picture            `json:"picture,omitempty"` // shows the answer; nil: there is nothing to show
	Asked      []text.Fact         `json:"asked,omitempty"`   // what was run
	Notes      []string            `json:"notes"`             // files that could not be read, and what is missing because of that
	Runs       []Run               `json:"runs"`              // the incident first, then remedies; in a comparison by arm
	Comparison *results.Comparison `json:"comparison,omitempty"`
	Measures   [][2]string         `json:"measures,omitempty"` // name and label of the comparison's measures, in the order of a report
	Arms       []string            `json:"arms,omitempty"`     // short names of the comparison's arms, in their order
	Summary    []string            `json:"summary,omitempty"`  // of the comparison: by which factors its arms differ
	Spelled    []Spelled           `json:"spelled,omitempty"`  // of an incident: what its remedies set, in the words of clients
	Live       bool                `json:"live,omitempty"`     // the run continues, and newer Data is available
}

// Spelled is what a remedy sets, in the words of real clients.
type Spelled struct {
	Remedy   string                  `json:"remedy"`
	Settings []results.ClientSetting `json:"settings"`
}

// Run is one run. Times are in seconds since its start unless a field says
// otherwise.
type Run struct {
	Name      string       `json:"name"` // "incident", the remedy's, the arm's
	Doc       *results.Run `json:"doc"`  // run.json without its profile and its agents
	WarmUp    float64      `json:"warm_up"`
	Flow      Flow         `json:"flow"`
	Response  []Point      `json:"response"` // of exchanges that are ok
	Service   []Point      `json:"service"`
	Heat      Heat         `json:"heat"`
	Errors    Errors       `json:"errors"`
	Pool      Pool         `json:"pool"`
	Sockets   Sockets      `json:"sockets"`
	Lifelines Lifelines    `json:"lifelines"`
	NoTimer   string       `json:"no_timer,omitempty"` // sentence that no idle timer was reached; "": one was
	Driver    *Driver      `json:"driver,omitempty"`   // the real client; nil: kabench's own
	Agents    *Agents      `json:"agents,omitempty"`   // nil: one process sent the requests
	Forecast  *Forecast    `json:"forecast,omitempty"` // nil: it was measured

	asked []text.Fact // of this run; Doc has no profile any more
}

// Forecast is what was played on virtual time, for people.
type Forecast struct {
	Head    []string   `json:"head"`
	Rows    [][]string `json:"rows"` // counts with their intervals
	First   string     `json:"first"`
	LeftOut []string   `json:"left_out"`
}

// Agents are the processes that sent the requests of a run, for people.
type Agents struct {
	Head []string   `json:"head"`
	Rows [][]string `json:"rows"`
	More int        `json:"more,omitempty"` // agents that are not in Rows
	Note string     `json:"note"`           // what several agents mean for the limits of the profile
}

// Driver is a real client that made a run, for people.
type Driver struct {
	Client string        `json:"client"`
	Line   string        `json:"line"`   // its version, its driver, and what was set
	Rows   [][2]string   `json:"rows"`   // figures with their labels
	Errors []DriverError `json:"errors"` // what it said
}

// DriverError is an error as the client gave it to its caller.
type DriverError struct {
	Count uint64   `json:"count"`
	Text  string   `json:"text"`
	More  []string `json:"more"` // its causes, and what was seen
}

// Flow counts the requests due, started, ok and failed in equal spans of time.
type Flow struct {
	Step    float64             `json:"step"` // length of a span
	Due     []uint32            `json:"due"`
	Started []uint32            `json:"started"`
	OK      []uint32            `json:"ok"`     // by the time they were done
	Failed  map[string][]uint32 `json:"failed"` // "before_response / fin" -> by the time they ended
	OneIn   uint64              `json:"one_in"` // one in OneIn successes is recorded, and counts for OneIn
}

// Point is a percentile, 0 to 100, and its time.
type Point struct {
	Percentile float64 `json:"p"`
	Seconds    float64 `json:"s"`
}

// Heat counts exchanges by due time and response time, and has the percentiles of the
// response times of those that are ok, in equal spans of time (columns).
type Heat struct {
	Step   float64    `json:"step"`   // length of a column
	Rows   []float64  `json:"rows"`   // upper edges of the rows, seconds, ascending
	Cells  [][3]int64 `json:"cells"`  // column, row, count of exchanges that are ok; only cells above 0
	Failed [][3]int64 `json:"failed"` // the same of those that failed
	Lines  Lines      `json:"lines"`
}

// Lines are percentiles for each column of a Heat, in seconds; 0: nothing was ok. They
// are within 1.2 % of the true ones; Max is exact.
type Lines struct {
	P50 []float64 `json:"p50"`
	P90 []float64 `json:"p90"`
	P99 []float64 `json:"p99"`
	Max []float64 `json:"max"`
}

// Errors are the failures of a run by phase, cause and text, without the warm-up.
type Errors struct {
	Rows   []ErrorRow `json:"rows"`              // the most frequent first
	Texts  int        `json:"texts,omitempty"`   // how many texts have a row of their own, if there were more
	WarmUp uint64     `json:"warm_up,omitempty"` // failures of the warm-up, which are in no row
}

// ErrorRow counts the failures with the same phase, cause and text.
type ErrorRow struct {
	Phase  results.Phase `json:"phase"`
	Cause  results.Cause `json:"cause"`
	Text   string        `json:"text"` // of the error; a client's port in it is "*"
	Count  uint64        `json:"count"`
	Fresh  uint64        `json:"fresh"`  // of Count: on a new connection
	Reused uint64        `json:"reused"` // of Count: on a connection used before. The others had no connection
	First  float64       `json:"first"`  // when the first one ended; -1: not recorded
	Last   float64       `json:"last"`
	Rest   string        `json:"rest,omitempty"` // why Text is none of these: "other texts", "not recorded"
}

// Pool is the pool's gauges over time, thinned so that peaks stay.
type Pool struct {
	T          []float64 `json:"t"`
	Leased     []int     `json:"leased"`
	Idle       []int     `json:"idle"`
	Dialing    []int     `json:"dialing"`
	Pending    []int     `json:"pending"`
	InFlight   []int     `json:"in_flight"`
	Limit      []int     `json:"limit,omitempty"` // what an adaptive load.limit allowed in flight; nil: it is fixed
	MaxConns   int       `json:"max_conns"`       // -1, and 0 in earlier versions: no cap
	PendingMax int       `json:"pending_max"`     // -1: no cap
}

// Sockets is the kernel's view of the sockets over time.
type Sockets struct {
	T              []float64 `json:"t"`
	Established    []int     `json:"established"`
	TimeWait       []int     `json:"time_wait"`
	TimeWaitServer []int     `json:"time_wait_server"` // empty: the server's side was not seen
	PortsUsed      []int     `json:"ports_used"`
	PortsAvailable int       `json:"ports_available"` // 0: unknown
	Predicted      float64   `json:"predicted"`       // predicted time at which no port is left; 0: never
}

// Lifelines are the lives of some connections: first connections with failures, then
// others, as many as fit.
type Lifelines struct {
	Lanes       []Lane  `json:"lanes"`
	Connections uint64  `json:"connections"`  // number of connections of the run
	LeftOut     uint64  `json:"left_out"`     // connections of the run that are not in Lanes
	Failing     uint64  `json:"failing"`      // connections in Lanes with a failure
	IdleTimeout float64 `json:"idle_timeout"` // the server's keep-alive timer; 0: unknown
	OneIn       uint64  `json:"one_in"`       // one in OneIn successes is recorded: gaps may contain exchanges that are not
}

// Lane is the life of one connection.
type Lane struct {
	Conn      uint64   `json:"conn"`          // 0: exchanges that failed before they had a connection
	Opened    float64  `json:"opened"`        // -1: unknown
	Ended     float64  `json:"ended"`         // time of the last known event
	How       string   `json:"how"`           // how it ended, or why that is not known
	End       *LaneEnd `json:"end,omitempty"` // nil: not known
	Exchanges []Stay   `json:"exchanges"`     // the last exchanges, and failed ones; a gap in Use shows missing exchanges
}

// Stay is one exchange's time on a connection.
type Stay struct {
	Seq     uint64  `json:"seq"`
	Use     int     `json:"use"`
	Leased  float64 `json:"leased"`
	Done    float64 `json:"done"`
	Idle    float64 `json:"idle"` // how long the connection had been idle when leased
	Failed  bool    `json:"failed,omitempty"`
	Outcome string  `json:"outcome,omitempty"` // "before_response / fin"; "" when ok
	// Ladder has the connection's last packets and stamps, one per line; Facts has the
	// other facts that the record holds about the failure. Only some failures have them.
	Ladder  []string `json:"ladder,omitempty"`
	Packets bool     `json:"packets,omitempty"` // the ladder has packets, not only stamps
	Race    string   `json:"race,omitempty"`    // the failure drawn to scale, as SVG: from its packets, or from its stamps
	Facts   []string `json:"facts,omitempty"`
}
