// Package check says which of the protocol's rules a driver keeps, for people who write
// one: it speaks to the driver as a run does, in front of a server of its own on loopback.
package check

import (
	"context"
	"fmt"
	"time"

	"github.com/kabench/kabench/dialers/external"
)

// Options bound what a check measures. The zero value means the documented defaults.
type Options struct {
	// LagFor is for how long 400 requests a second are sent; 0: 3 s. Below 0, nothing is
	// measured.
	LagFor time.Duration
	// Requests is how many are sent at 5,000 a second; 0: 10,000.
	Requests int
	// Slow says that the lag fails nothing: this machine may be busy.
	Slow bool
}

// Rule is one rule of the protocol, and whether the driver keeps it.
type Rule struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Says   string `json:"says,omitempty"`   // what was seen
	Change string `json:"change,omitempty"` // what to change, if it is not ok
}

// Report is what a check has found.
type Report struct {
	Driver   string `json:"driver"` // as it was asked for
	Client   string `json:"client"`
	Version  string `json:"version"`
	Runtime  string `json:"runtime"`
	Settings int    `json:"settings"`
	Rules    []Rule `json:"rules"`
	OK       bool   `json:"ok"` // all of them

	LagP99      float64 `json:"lag_p99"`       // seconds, received to called, at 400/s
	LateP99     float64 `json:"late_p99"`      // seconds, handed over to called, at 400/s
	FastAsked   float64 `json:"fast_asked"`    // requests a second that were sent
	FastHeld    float64 `json:"fast_held"`     // that were called on time
	FastLateP99 float64 `json:"fast_late_p99"` // seconds
}

// checking is a check under way.
type checking struct {
	ctx     context.Context
	command external.Command
	options Options
	server  *server
	report  *Report
	tell    func(Rule)

	driver *external.Driver
	talk   *external.Conversation // nil: between two
	seq    uint64
	faults map[string]string
}

// replyTime is how long a driver may take for a request to a server that responds at
// once. No test of speed: it only ends the wait.
const replyTime = 10 * time.Second

// Run checks the driver that a command starts. tell, if not nil, is called for each rule
// when it is decided. The error says why no rule could be checked at all.
func Run(ctx context.Context, c external.Command, o Options, tell func(Rule)) (*Report, error) {
	if tell == nil {
		tell = func(Rule) {}
	}
	s, err := newServer()
	if err != nil {
		return nil, fmt.Errorf("the server for the check: %w", err)
	}
	defer s.close()
	k := &checking{ctx: ctx, command: c, options: o, server: s, tell: tell, faults: map[string]string{}, report: &Report{Driver: c.String(), OK: true}}
	if started, err := k.hello(); !started {
		return k.report, err
	}
	defer func() { _ = k.driver.Close() }()
	if k.configured() {
		k.settings()
		k.requests()
		k.loads()
	}
	k.wrote()
	k.endings()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return k.report, nil
}

// rule notes a rule: err is what is wrong, nil if it is kept.
func (k *checking) rule(name string, err error, change, says string) bool {
	if k.ctx.Err() != nil {
		return false // somebody stopped the check: nothing is known about the driver
	}
	r := Rule{Name: name, OK: err == nil, Says: says}
	if err != nil {
		r.Says, r.Change = err.Error(), change
		if k.died() {
			r.Change = "do not end before bye or the end of stdin: an error of the client belongs in the done of its request"
		}
		k.report.OK = false
	}
	k.report.Rules = append(k.report.Rules, r)
	k.tell(r)
	return err == nil
}

// died reports whether the driver's process ended although nobody asked it to.
func (k *checking) died() bool {
	if k.driver == nil {
		return false
	}
	_, died := k.driver.Faults()[string(external.FaultDied)]
	return died
}

// begin configures the driver, and begins a conversation.
func (k *checking) begin(c external.Config) error {
	k.end()
	if c.Timeout == 0 {
		c.Timeout = replyTime
	}
	if c.Origins == nil {
		c.Origins = []string{k.server.url}
	}
	if err := k.driver.Configure(k.ctx, c); err != nil {
		return err
	}
	k.talk = k.driver.Converse()
	return nil
}

// end ends the conversation, if there is one.
func (k *checking) end() {
	if k.talk != nil {
		k.talk.End()
		k.talk = nil
	}
}

// next is the number of the next request.
func (k *checking) next() uint64 {
	k.seq++
	return k.seq
}

// noteFault keeps what is wrong with an answer, for the rules about all answers.
func (k *checking) noteFault(a external.Answer) {
	if a.Fault != "" {
		k.faults[string(a.Fault)] = fmt.Sprintf("number %d: %s", a.Seq, a.Why)
	}
}
