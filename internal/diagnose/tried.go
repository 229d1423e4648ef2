package diagnose

import "github.com/kabench/kabench/results"

// Sends is what a step would send.
type Sends struct {
	Step        string  `json:"step"`
	What        string  `json:"what"`        // in words
	Connections int     `json:"connections"` // at most
	Requests    int     `json:"requests"`    // at most
	Seconds     float64 `json:"seconds"`     // at most
}

// Tried is an incident that was tried, or the reason why it was not.
type Tried struct {
	Try
	Not          string                `json:"not,omitempty"`   // why no request was sent
	Takes        string                `json:"takes,omitempty"` // what it would take
	Reproduction *results.Reproduction `json:"reproduction,omitempty"`
}
