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
	Seen string  `json:"seen"` // what there was when the run was stopped
	At   float64 `json:"at"`   // seconds since the start of the run
}

// Schema is the name and version of the document that Run is written as.
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
	Complete    bool   `json:"complete"`              // false: cut off; what is here was read back from the record
	Interrupted bool   `json:"interrupted,omitempty"` // stopped early, by a signal or as Stopped says; complete all the same

	Stopped *Stopped `json:"stopped,omitempty"` // the condition of abort_when that stopped it; nil: none did

	Start   time.Time       `json:"start"`
	End     time.Time       `json:"end"`
	Profile json.RawMessage `json:"profile,omitempty"` // as resolved, secrets blanked
	Host    Host            `json:"host"`
	Preset  *Preset         `json:"preset,omitempty"` // the real client whose pool this was

	Before *Before `json:"before,omitempty"` // what was opened before the run; nil: nothing

	Baseline *Baseline `json:"baseline,omitempty"` // the earlier run that the expectations name

	Valid    bool     `json:"valid"`
	Invalid  []string `json:"invalid,omitempty"` // why Valid is false
	Warnings []string `json:"warnings"`          // true, odd, not fatal; phrased as advice

	Counts         Counts               `json:"counts"`
	Attempts       uint64               `json:"attempts"`        // requests put on a connection; above started−(failed before one was had) something re-sent
	Resends        Resends              `json:"resends"`         // what the policy sent again
	Statuses       map[string]uint64    `json:"statuses"`        // HTTP status -> exchanges that are ok
	ErrorAnswers   ErrorAnswers         `json:"error_answers"`   // of Statuses: 400 and above
	FailedStatuses map[string]uint64    `json:"statuses_failed"` // the same of those that failed after the head had arrived
	Outcomes       []Outcome            `json:"outcomes"`
	Latency        map[string]Quantiles `json:"latency"` // of exchanges that are ok; lag: of all started
	// Latency apart by the connection of the last attempt: new, or one that had
	// served before. Without lag.
	LatencyFresh  map[string]Quantiles `json:"latency_fresh"`
	LatencyReused map[string]Quantiles `json:"latency_reused"`
	FailedLatency map[string]Quantiles `json:"latency_failed"`    // of those that failed
	IdleAtFailure *Quantiles           `json:"idle_at_failure"`   // idle age at lease of failures on reused connections; null when there were none
	Idle          Idle                 `json:"idle"`              // how long connections were idle
	Rate          Rate                 `json:"rate"`              // per second
	Connections   Connections          `json:"connections"`       //
	Reuse         Reuse                `json:"reuse"`             // exchanges by kind of connection
	Pool          PoolPeaks            `json:"pool"`              //
	Sockets       Sockets              `json:"sockets"`           //
	Kernel        Kernel               `json:"kernel"`            // what its TCP counted
	Instrument    Instrument           `json:"instrument"`        // kabench itself
	Recording     Recording            `json:"recording"`         // what the exchange record holds
	Expect        []Expectation        `json:"expectations"`      // of the profile, each with what was seen
	Ports         *Ports               `json:"ports,omitempty"`   // nil: they were neither to run out nor did
	Packets       *Packets             `json:"packets,omitempty"` // nil: not in a private network
	Link          *LinkSeen            `json:"link,omitempty"`    // what kabench's own link before the target did; nil: there was none
	Lab           *LabSeen             `json:"lab,omitempty"`     // what kabench's own server saw, when it was the target
	Proxy         *ProxySeen           `json:"proxy,omitempty"`   // what kabench's own proxies saw; nil: there were none
	Targets       []TargetFigures      `json:"targets,omitempty"` // of each target, where there are several; not of a run that was cut off
}

// Partial reports whether a program filled run by itself, with the collectors that it used:
// it has neither Schema nor Start then. What run lacks was not measured, and nobody has judged it.
func (run *Run) Partial() bool { return run.Schema == "" && run.Start.IsZero() }

// Preset is the real client whose pool a run's policy was taken from.
type Preset struct {
	Name   string    `json:"name"`
	Client string    `json:"client"` // its family
	Cannot []string  `json:"cannot"` // what it does and the policy could not express
	Log    []LogLine `json:"log"`    // what its log would have said of the failures
	// Changed is what the profile set otherwise than the preset has it.
	Changed []PresetChange `json:"changed"`
}

// PresetChange is a field of a pool that is not as the preset has it.
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

// Before is what kabench opened to the target before the run, one connection to
// each server, to see whether it accepts them. They are in no other figure.
type Before struct {
	Connections uint64 `json:"connections"`
	TLS         uint64 `json:"tls"`   // of them, with a finished TLS handshake
	Reset       uint64 `json:"reset"` // of them, reset by the server; the others were closed by FIN
}

// Baseline says which run a run was held against.
type Baseline struct {
	Dir     string    `json:"dir"` // as it was given
	Name    string    `json:"name"`
	Version string    `json:"version"` // of the kabench that made it
	Start   time.Time `json:"start"`
	// Others are more runs that it was held against.
	Others []BaselineRun `json:"others,omitempty"`
}

// BaselineRun is one of several runs that a run was held against.
type BaselineRun struct {
	Dir   string    `json:"dir"`
	Start time.Time `json:"start"`
}

// LogLine is the words a client has for an outcome; of several one is seen.
type LogLine struct {
	Phase  Phase    `json:"phase"`
	Cause  Cause    `json:"cause"`
	Reused bool     `json:"reused"`
	Says   []string `json:"says"`
}

// Host is the machine the run was made on.
type Host struct {
	OS        string            `json:"os"`
	Arch      string            `json:"arch"`
	Kernel    string            `json:"kernel,omitempty"`
	CPUs      int               `json:"cpus"`
	GoVersion string            `json:"go"`
	OpenFiles uint64            `json:"open_files_limit,omitempty"`
	Sysctls   map[string]string `json:"sysctls,omitempty"`
}

// Expectation is one condition of a profile and what the run showed.
type Expectation struct {
	Path string `json:"path"`
	Want string `json:"want"`
	Seen string `json:"seen"`
	Met  bool   `json:"met"`
	Why  string `json:"why,omitempty"` // when it could not be checked
}

// Unmet lists the expectations that run did not meet, those that could not be checked
// among them.
func (run *Run) Unmet() []Expectation {
	var unmet []Expectation
	for _, e := range run.Expect {
		if !e.Met {
			unmet = append(unmet, e)
		}
	}
	return unmet
}

// Unfit says why c should not be shown to others as a result; "" if it may.
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

// Unfit says why run should not be shown to others as a result, to follow a word for
// it: "is invalid"; "" if it may. A run that abort_when stopped is a result.
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
