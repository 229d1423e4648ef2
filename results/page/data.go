// Package page makes the HTML report: one file that needs no network, with what
// a run, an incident with its remedies, or a comparison showed.
//
// Gather reads run directories as a stream into Data, whose size does not grow
// with the length of a run; Write puts Data and the program that draws it into
// a page.
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
)

// Data is everything that a page shows. It is embedded as JSON: the program in
// the page draws it, and computes nothing but positions.
type Data struct {
	Kind       string              `json:"kind"`
	Title      string              `json:"title"`
	Question   string              `json:"question"`
	Headline   text.Headline       `json:"headline"`
	Notes      []string            `json:"notes"` // what could not be read, and what that leaves out
	Runs       []Run               `json:"runs"`  // incident first, then remedies; a comparison's by arm
	Comparison *results.Comparison `json:"comparison,omitempty"`
	Measures   [][2]string         `json:"measures,omitempty"` // of the comparison, in the order of a report: name and label
	Live       bool                `json:"live,omitempty"`     // the run goes on, and newer Data can be had
}

// Run is one run. Times are in seconds since its start unless a field says
// otherwise.
type Run struct {
	Name      string       `json:"name"` // "incident", the remedy's, the arm's
	Doc       *results.Run `json:"doc"`  // run.json; its profile left out
	WarmUp    float64      `json:"warm_up"`
	Flow      Flow         `json:"flow"`
	Response  []Point      `json:"response"` // of exchanges that are ok
	Service   []Point      `json:"service"`
	Heat      Heat         `json:"heat"`
	Pool      Pool         `json:"pool"`
	Sockets   Sockets      `json:"sockets"`
	Lifelines Lifelines    `json:"lifelines"`
	NoTimer   string       `json:"no_timer,omitempty"` // that no connection was idle long enough for an idle timer to run out
}

// Flow is what was due, started and answered, and how exchanges failed, in each
// of equal spans of time.
type Flow struct {
	Step    float64             `json:"step"` // length of a span
	Due     []uint32            `json:"due"`
	Started []uint32            `json:"started"`
	OK      []uint32            `json:"ok"`     // by when they were done
	Failed  map[string][]uint32 `json:"failed"` // "before_response / fin" -> by when they ended
	OneIn   uint64              `json:"one_in"` // successes are recorded one in so many, and counted as so many
}

// Point is a percentile, 0 to 100, and the time at it.
type Point struct {
	Percentile float64 `json:"p"`
	Seconds    float64 `json:"s"`
}

// Heat counts exchanges by when they were due and how long they took from then.
type Heat struct {
	Step  float64    `json:"step"`  // length of a column
	Rows  []float64  `json:"rows"`  // upper edges of the rows, seconds, ascending
	Cells [][3]int64 `json:"cells"` // column, row, count; of those that are not 0
}

// Pool is the pool's gauges over time, thinned so that peaks stay.
type Pool struct {
	T          []float64 `json:"t"`
	Leased     []int     `json:"leased"`
	Idle       []int     `json:"idle"`
	Dialing    []int     `json:"dialing"`
	Pending    []int     `json:"pending"`
	InFlight   []int     `json:"in_flight"`
	MaxConns   int       `json:"max_conns"`   // -1, and in earlier versions 0: no cap
	PendingMax int       `json:"pending_max"` // -1: no bound
}

// Sockets is what the kernel said over time.
type Sockets struct {
	T              []float64 `json:"t"`
	Established    []int     `json:"established"`
	TimeWait       []int     `json:"time_wait"`
	TimeWaitServer []int     `json:"time_wait_server"` // empty: its side was not seen
	PortsUsed      []int     `json:"ports_used"`
	PortsAvailable int       `json:"ports_available"` // 0: not known
	Predicted      float64   `json:"predicted"`       // when ports run out by prediction; 0: never
}

// Lifelines are the lives of some connections: those on which exchanges failed
// first, then others, as many as there is room for.
type Lifelines struct {
	Lanes       []Lane  `json:"lanes"`
	Connections uint64  `json:"connections"`  // of the run: how many there were to choose from
	LeftOut     uint64  `json:"left_out"`     // of them, those not here
	Failing     uint64  `json:"failing"`      // of those here: something failed on them
	IdleTimeout float64 `json:"idle_timeout"` // the server's keep-alive timer, if it is known; 0: not
	OneIn       uint64  `json:"one_in"`       // successes are recorded one in so many: gaps may be exchanges not recorded
}

// Lane is the life of one connection.
type Lane struct {
	Conn      uint64  `json:"conn"`      // 0: exchanges that failed before they had one
	Opened    float64 `json:"opened"`    // -1: not known
	Ended     float64 `json:"ended"`     // the last thing known of it
	How       string  `json:"how"`       // how it ended, in words: "ended by the peer's FIN in the phase before_response"
	Exchanges []Stay  `json:"exchanges"` // the last ones, and those that failed; Use says what is missing before
}

// Stay is one exchange's time on a connection.
type Stay struct {
	Seq     uint64  `json:"seq"`
	Use     int     `json:"use"`
	Leased  float64 `json:"leased"`
	Done    float64 `json:"done"`
	Idle    float64 `json:"idle"` // of the connection, when leased
	Failed  bool    `json:"failed,omitempty"`
	Outcome string  `json:"outcome,omitempty"` // "before_response / fin"; "" when ok
	// Ladder is the connection's last packets and stamps, a line each; Facts what
	// else the record has of the failure. Both of failures only, and only of some.
	Ladder  []string `json:"ladder,omitempty"`
	Packets bool     `json:"packets,omitempty"` // the ladder has packets, not stamps alone
	Facts   []string `json:"facts,omitempty"`
}
