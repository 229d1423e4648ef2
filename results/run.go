package results

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Stopped is the condition of abort_when that stopped a run.
type Stopped struct {
	Path string  `json:"path"`
	When string  `json:"when"` // the condition, as written
	Seen string  `json:"seen"` // the value seen when the run was stopped
	At   float64 `json:"at"`   // seconds since the start of the run
}

// Schema is the name and version of Run's document.
const Schema = "kabench.run/v1"

// Run is everything one run measured and everything needed to run it again. It
// is run.json: a contract, described field by field in docs/results.md.
//
// Counts, outcomes, latencies, statuses, attempts and rates leave the warm-up
// out. Connections, pool and sockets cover the whole run, because a connection
// opened in the warm-up serves the measured part too.
type Run struct {
	Schema      string `json:"schema"`
	Version     string `json:"version"` // of kabench
	Name        string `json:"name"`
	Question    string `json:"question,omitempty"`
	Command     string `json:"command,omitempty"`     // the command line that made the run, secrets blanked; "": a program made it
	Complete    bool   `json:"complete"`              // false: the run was cut off, and this document was rebuilt from its record
	Interrupted bool   `json:"interrupted,omitempty"` // stopped early, by a signal or by the condition in Stopped. Such a run is still complete

	Stopped *Stopped `json:"stopped,omitempty"` // the condition of abort_when that stopped the run; nil: none did

	Start   time.Time       `json:"start"`
	End     time.Time       `json:"end"`
	Profile json.RawMessage `json:"profile,omitempty"` // as resolved, secrets blanked
	Host    Host            `json:"host"`
	Preset  *Preset         `json:"preset,omitempty"` // the real client whose pool this was

	Driver *DriverSeen `json:"driver,omitempty"` // the real client that performed the exchanges; nil: kabench's own did

	Agents []Agent `json:"agents,omitempty"` // the processes that sent the requests, if there were several; nil: this one did

	Forecast *Simulation `json:"forecast,omitempty"` // the run was made on virtual time, and no request was sent; nil: it is real

	Before *Before `json:"before,omitempty"` // what was opened before the run; nil: nothing

	Baseline *Baseline `json:"baseline,omitempty"` // the earlier run that the expectations name

	Valid    bool     `json:"valid"`
	Invalid  []string `json:"invalid,omitempty"` // why Valid is false
	Warnings []string `json:"warnings"`          // unusual facts that do not make the run invalid; phrased as advice

	Counts         Counts               `json:"counts"`
	Attempts       uint64               `json:"attempts"`        // how often a request was put on a connection. More than the exchanges that got one: something sent requests again
	Resends        Resends              `json:"resends"`         // what the policy sent again
	Statuses       map[string]uint64    `json:"statuses"`        // HTTP status -> exchanges that are ok
	ErrorAnswers   ErrorAnswers         `json:"error_answers"`   // of Statuses: 400 and above
	FailedStatuses map[string]uint64    `json:"statuses_failed"` // HTTP status -> exchanges that failed after the head had arrived
	Outcomes       []Outcome            `json:"outcomes"`
	Latency        map[string]Quantiles `json:"latency"` // of exchanges that are ok; lag is of all that were started
	// LatencyFresh and LatencyReused are Latency split by the connection of the last
	// attempt: new, or used before. They have no lag.
	LatencyFresh  map[string]Quantiles `json:"latency_fresh"`
	LatencyReused map[string]Quantiles `json:"latency_reused"`
	FailedLatency map[string]Quantiles `json:"latency_failed"`    // of exchanges that failed
	IdleAtFailure *Quantiles           `json:"idle_at_failure"`   // for failures on reused connections: how long the connection was idle when leased; null: no such failure
	Idle          Idle                 `json:"idle"`              // how long connections were idle
	Rate          Rate                 `json:"rate"`              // per second
	Connections   Connections          `json:"connections"`       //
	Reuse         Reuse                `json:"reuse"`             // exchanges by kind of connection
	Pool          PoolPeaks            `json:"pool"`              //
	Limit         *LimitSeen           `json:"limit,omitempty"`   // what an adaptive load.limit was, warm-up included; nil: it is fixed, or the run was cut off
	Sockets       Sockets              `json:"sockets"`           //
	Kernel        Kernel               `json:"kernel"`            // what the kernel's TCP counted
	Instrument    Instrument           `json:"instrument"`        // kabench itself
	Recording     Recording            `json:"recording"`         // what the exchange record holds
	Expect        []Expectation        `json:"expectations"`      // the profile's, each with the value seen
	Ports         *Ports               `json:"ports,omitempty"`   // nil: ports were not expected to run out and did not
	Times         *Times               `json:"times,omitempty"`   // nil: the run was cut off
	Packets       *Packets             `json:"packets,omitempty"` // nil: not in a private network
	Link          *LinkSeen            `json:"link,omitempty"`    // what kabench's own link in front of the target did; nil: there was none
	Lab           *LabSeen             `json:"lab,omitempty"`     // what kabench's own server saw, when it was the target
	Proxy         *ProxySeen           `json:"proxy,omitempty"`   // what kabench's own proxies saw; nil: there were none
	Targets       []TargetFigures      `json:"targets,omitempty"` // of each target if there are several; nil in a run that was cut off
}

// Partial reports whether a program filled run itself, with the collectors of its
// choice. Such a run has neither Schema nor Start. Its empty fields were not measured,
// and its validity was not judged.
func (run *Run) Partial() bool { return run.Schema == "" && run.Start.IsZero() }

// Preset is the real client whose pool a run's policy was taken from.
type Preset struct {
	Name   string    `json:"name"`
	Client string    `json:"client"` // the client's family
	Cannot []string  `json:"cannot"` // what the client does but the policy cannot express
	Log    []LogLine `json:"log"`    // the lines that the client would have logged for the failures
	// Changed lists the fields that the profile sets differently from the preset.
	Changed []PresetChange `json:"changed"`
}

// PresetChange is a field of a pool that differs from the preset.
type PresetChange struct {
	Path   string `json:"path"`   // in the profile: pool.idle_timeout
	Preset string `json:"preset"` // the preset's value
	Run    string `json:"run"`    // the run's
}

// String names the preset and every change: "reactor-netty, but idle_timeout 15s
// (preset: 0s)".
func (p *Preset) String() string {
	text := p.Name
	for i, c := range p.Changed {
		join := ", but "
		if i > 0 {
			join = ", "
		}
		text += fmt.Sprintf("%s%s %s (preset: %s)", join, strings.TrimPrefix(c.Path, "pool."), c.Run, c.Preset)
	}
	return text
}

// Before counts the connections that kabench opened before the run, one to each
// server, to check that the server accepts them. No other figure counts them.
type Before struct {
	Connections uint64 `json:"connections"`
	TLS         uint64 `json:"tls"`   // of them, with a finished TLS handshake
	Reset       uint64 `json:"reset"` // of them, reset by the server; the others were closed by FIN
}

// Baseline names the earlier run that a run was compared with.
type Baseline struct {
	Dir     string    `json:"dir"` // as it was given
	Name    string    `json:"name"`
	Version string    `json:"version"` // of the kabench that made it
	Start   time.Time `json:"start"`
	// Others are further runs that it was compared with.
	Others []BaselineRun `json:"others,omitempty"`
}

// BaselineRun is one of several earlier runs that a run was compared with.
type BaselineRun struct {
	Dir   string    `json:"dir"`
	Start time.Time `json:"start"`
}

// LogLine is what a client logs for an outcome. If Says has several texts, the client
// logs one of them.
type LogLine struct {
	Phase  Phase    `json:"phase"`
	Cause  Cause    `json:"cause"`
	Reused bool     `json:"reused"`
	Says   []string `json:"says"`
}

// Host is the machine on which the run was made.
type Host struct {
	OS        string            `json:"os"`
	Arch      string            `json:"arch"`
	Kernel    string            `json:"kernel,omitempty"`
	CPUs      int               `json:"cpus"`
	GoVersion string            `json:"go"`
	OpenFiles uint64            `json:"open_files_limit,omitempty"`
	Sysctls   map[string]string `json:"sysctls,omitempty"`
	Commit    string            `json:"commit,omitempty"` // of the checkout on which a CI job made the run, in hexadecimal
}

// Expectation is one condition of a profile and what the run showed.
type Expectation struct {
	Path string `json:"path"`
	Want string `json:"want"`
	Seen string `json:"seen"`
	Met  bool   `json:"met"`
	Why  string `json:"why,omitempty"` // when it could not be checked
	// Unknown says that it is about the inside of kabench's own pool, and that a real client
	// does not tell it. It is neither met nor missed.
	Unknown bool `json:"unknown,omitempty"`
}

// Unmet lists the expectations that run did not meet, including those that could not
// be checked, but not those that no run of its client can tell.
func (run *Run) Unmet() []Expectation {
	var unmet []Expectation
	for _, e := range run.Expect {
		if !e.Met && !e.Unknown {
			unmet = append(unmet, e)
		}
	}
	return unmet
}

// Unjudged lists the expectations that no run of this client can tell.
func (run *Run) Unjudged() []Expectation {
	var list []Expectation
	for _, e := range run.Expect {
		if e.Unknown {
			list = append(list, e)
		}
	}
	return list
}

// Unfit says why c should not be shown to others as a result; "" if it can be.
func (c *Comparison) Unfit() string {
	if c.Interrupted {
		return "it was interrupted"
	}
	for _, arm := range c.Arms {
		if arm.Runs == 0 {
			return fmt.Sprintf("%q has no valid run", arm.Name)
		}
	}
	return ""
}

// Unfit says why run should not be shown to others as a result; "" if it can be. The
// text continues a sentence about the run: "is invalid". A run that abort_when
// stopped is a result.
func (run *Run) Unfit() string {
	switch {
	case run == nil:
		return "was not made"
	case !run.Complete:
		return "was cut off"
	case run.Interrupted && run.Stopped == nil:
		return "was interrupted"
	case !run.Valid:
		return "is invalid"
	}
	return ""
}
