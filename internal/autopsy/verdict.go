package autopsy

import (
	"time"

	"github.com/kabench/kabench/internal/applog"
	"github.com/kabench/kabench/internal/evidence"
)

// Schema names the format of a Verdict as JSON.
const Schema = "kabench.autopsy/v1"

// Verdict is what captures show. Times are in seconds since Begin.
type Verdict struct {
	Schema   string   `json:"schema"`
	Headline string   `json:"headline"`           // what happened, in one sentence
	Incident string   `json:"incident,omitempty"` // of the catalogue, that shows the same; "": none
	Found    bool     `json:"found"`              // requests met the end of their connection
	Says     []string `json:"says,omitempty"`     // further sentences, the most important first
	Cannot   []string `json:"cannot,omitempty"`   // what the captures cannot say, and which further capture would

	Files    []string          `json:"files"`
	Begin    time.Time         `json:"begin"`
	Length   float64           `json:"length"`
	Packets  int               `json:"packets"`
	Segments int               `json:"segments"`
	FINs     int               `json:"fins"`             // segments with FIN, copies included
	RSTs     int               `json:"rsts"`             // segments with RST, copies included
	Copies   int               `json:"copies,omitempty"` // segments that were seen twice
	Places   []Place           `json:"places"`
	Logs     []*applog.Summary `json:"logs,omitempty"`
	Notes    []string          `json:"notes,omitempty"`  // what was not read
	Closes   []applog.Quote    `json:"closes,omitempty"` // lines of a log that show closes of idle connections, the first few

	Connections int            `json:"connections"`
	Other       int            `json:"other_protocols,omitempty"` // connections that carry neither HTTP/1 nor TLS, and are not judged
	Requests    int            `json:"requests"`
	Met         map[string]int `json:"met"` // requests without a whole response, by how they met the end
	Failures    []Failure      `json:"failures"`
	Left        int            `json:"failures_left_out,omitempty"` // further failures, which are only counted
	Servers     []Server       `json:"servers"`
	ServersLeft int            `json:"servers_left_out,omitempty"` // further servers, which are only counted
	Clients     []Client       `json:"clients,omitempty"`
	Connects    Connects       `json:"connects"`
	Slow        Slow           `json:"slow"`
	Resets      map[string]int `json:"resets,omitempty"`    // RSTs by who made them
	TimeWait    map[string]int `json:"time_wait,omitempty"` // connections by the end that keeps the ports

	logged map[string]Gathered // what logs say, by server
}

// Place is where segments were captured.
type Place struct {
	Files     []string      `json:"files"`
	Interface string        `json:"interface,omitempty"`
	Segments  int           `json:"segments"`
	Near      evidence.Side `json:"near"` // the end at which it is
	Clock     float64       `json:"clock,omitempty"`
	Shakes    int           `json:"clock_from,omitempty"` // handshakes that Clock follows from; Clock is how far this clock is ahead of the first place's
}

// Failure is a request without a whole response.
type Failure struct {
	evidence.Unanswered
	Client, Server string
	TLS            bool
	Close          evidence.Close
	Lines          []applog.Quote // of a log, that show it
	logged         bool           // it is known from a log only
	early          bool           // the end was no reaction to the request
	Behind         string         // the server to which this one, a proxy, passed it on; "": none
	WhyBehind      string         // what it met there
	Strayed        string         // the server that got it, and had not got the connection's SYN; "": none

	place int
	leg   int // of the connection, in the order of the list
}

// Server is one server with what its clients' requests met there.
type Server struct {
	Address    string               `json:"address"`
	Sentence   string               `json:"sentence"` // how it treats idle connections; the server is its subject
	Facts      evidence.Server      `json:"facts"`
	Statements []evidence.Statement `json:"statements,omitempty"`
	Requests   int                  `json:"requests"`
	Met        map[string]int       `json:"met,omitempty"`
}

// Client is what the connections of one client to one server show about its pool.
type Client struct {
	Address     string  `json:"address"`
	Server      string  `json:"server"`
	Connections int     `json:"connections"`
	IdleTimeout *Range  `json:"idle_timeout,omitempty"` // after which it closes idle connections itself
	Closed      int     `json:"closed_idle"`            // idle connections that it closed
	LongestIdle float64 `json:"longest_idle"`           // after which it used a connection again
	LeaseOrder  string  `json:"lease_order,omitempty"`  // a guess: lifo, fifo or other
	Choices     int     `json:"choices,omitempty"`      // requests that LeaseOrder follows from
	Agree       float64 `json:"agree,omitempty"`        // the share of them that agrees
	Failed      int     `json:"failed,omitempty"`       // requests that met the end of their connection
	Resent      int     `json:"resent,omitempty"`       // of them, those after which the same request soon came on another connection
	ByChance    float64 `json:"by_chance,omitempty"`    // how many of them would be expected anyway
}

// Range is the median of some times and the middle half of them, in seconds.
type Range struct {
	Count  int     `json:"count"`
	Low    float64 `json:"low"`
	Median float64 `json:"median"`
	High   float64 `json:"high"`
}

// Connects counts what happened to SYNs.
type Connects struct {
	Retried    int     `json:"retried"`    // connections whose SYN was sent again
	Refused    int     `json:"refused"`    // SYNs answered by RST
	Unanswered int     `json:"unanswered"` // connections whose SYNs got no answer
	Slowest    float64 `json:"slowest"`    // from the first SYN to the established connection
}

// Slow counts responses that took longer than a second.
type Slow struct {
	Responses int     `json:"responses"`
	Fresh     int     `json:"fresh"` // as the first of their connection
	Longest   float64 `json:"longest"`
}
