package autopsy

import (
	"encoding/json"
	"time"

	"github.com/kabench/kabench/internal/applog"
	"github.com/kabench/kabench/internal/evidence"
)

// failureForm is a Failure as JSON. Times are in seconds since Verdict.Begin.
type failureForm struct {
	Client    string           `json:"client"`
	Server    string           `json:"server"`
	TLS       bool             `json:"tls,omitempty"`
	Request   string           `json:"request,omitempty"` // the method and the target
	Packet    int64            `json:"packet,omitempty"`  // in which the request begins
	Nth       int              `json:"nth"`               // request of its connection, of those seen
	Begun     *float64         `json:"begun,omitempty"`
	Sent      *float64         `json:"sent,omitempty"`
	Whole     bool             `json:"whole"` // the whole request was captured
	FirstByte *float64         `json:"first_byte,omitempty"`
	Idle      *float64         `json:"idle,omitempty"` // before the request
	Reused    bool             `json:"reused"`
	Met       evidence.Meeting `json:"met"`
	Basis     evidence.Basis   `json:"basis"`
	Why       string           `json:"why"`
	Apart     *float64         `json:"apart,omitempty"` // from the request to the close; negative: the close was seen first
	Retries   int              `json:"retries,omitempty"`
	Closed    evidence.Side    `json:"closed_by"`
	How       evidence.Kind    `json:"closed_how"`
	ClosedAt  *float64         `json:"closed_at,omitempty"`
	CloseWhy  string           `json:"closed_why,omitempty"`
	Behind    string           `json:"behind,omitempty"` // the server to which this one, a proxy, passed it on
	WhyBehind string           `json:"why_behind,omitempty"`
	Lines     []applog.Quote   `json:"lines,omitempty"`   // of a log, that show it
	Strayed   string           `json:"strayed,omitempty"` // the server that got it, and had not got the connection's SYN
}

// MarshalJSON writes times in seconds, and leaves out those that were not seen.
func (f Failure) MarshalJSON() ([]byte, error) {
	var apart *float64
	if f.Sent != evidence.NotSeen && f.Close.At != evidence.NotSeen {
		apart = new(f.Apart.Seconds())
	}
	return json.Marshal(failureForm{
		Client: f.Client, Server: f.Server, TLS: f.TLS, Request: f.Line, Packet: f.Number, Nth: f.Nth,
		Begun: at(f.Begun), Sent: at(f.Sent), Whole: f.Whole, FirstByte: at(f.First), Idle: at(f.Idle), Reused: f.Reused,
		Met: f.Met, Basis: f.Basis, Why: f.Why, Apart: apart, Retries: f.Retries,
		Closed: f.Close.By, How: f.Close.How, ClosedAt: at(f.Close.At), CloseWhy: f.Close.Why,
		Behind: f.Behind, WhyBehind: f.WhyBehind, Strayed: f.Strayed, Lines: f.Lines,
	})
}

// at returns a time in seconds; nil: it was not seen.
func at(d time.Duration) *float64 {
	if d == evidence.NotSeen {
		return nil
	}
	return new(d.Seconds())
}
