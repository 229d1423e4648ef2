package results

import (
	"time"
)

// PlanSchema is the name and version of Plan's document.
const PlanSchema = "kabench.plan/v1"

// Plan describes several runs before they are made. kabench writes it as plan.json
// before the first run. With it, kabench can read results that were cut off and can
// resume a comparison.
type Plan struct {
	Schema    string    `json:"schema"` // PlanSchema
	Version   string    `json:"version"`
	Kind      string    `json:"kind"` // comparison, incident or catalogue
	Name      string    `json:"name"`
	Question  string    `json:"question,omitempty"`
	Start     time.Time `json:"start"`
	Seed      uint64    `json:"seed,omitempty"`      // decides the order of runs and the arrivals
	Repeats   int       `json:"repeats,omitempty"`   // of each setting
	CoolDown  float64   `json:"cool_down,omitempty"` // longest wait before a run until TIME_WAIT sockets are gone, in seconds
	Axes      []Axis    `json:"axes,omitempty"`
	Settings  []Setting `json:"settings,omitempty"`  // of a comparison, in their order
	Secrets   bool      `json:"secrets,omitempty"`   // the profiles in Settings had secrets, which are blanked
	Incidents []string  `json:"incidents,omitempty"` // of a catalogue, in their order
}

// Setting is one of the configurations of a comparison.
type Setting struct {
	Name    string            `json:"name"`
	Change  map[string]string `json:"change"`  // profile path -> value
	Profile string            `json:"profile"` // YAML, as resolved, secrets blanked
}

// KindCatalogue is the Kind of a Plan for directories of several incidents.
const KindCatalogue = "catalogue"

// Reproduction is the document printed by `kabench reproduce --json`,
// and kept as reproduction.json beside the directories of its runs.
type Reproduction struct {
	Schema      string      `json:"schema"` // "kabench.reproduction/v1"
	Incident    string      `json:"incident"`
	Question    string      `json:"question"`
	Reproduced  bool        `json:"reproduced"` // the incident run met its expectations, and so did every remedy's run
	IncidentRun *Run        `json:"incident_run"`
	RemedyRuns  []RemedyRun `json:"remedy_runs"`
	// NotAvailable are the remedies that cannot be set on the real client that made the
	// incident's run. They were not run, and say nothing about whether it was reproduced.
	NotAvailable []NotAvailable `json:"not_available,omitempty"`
	MadeAgain    []MadeAgain    `json:"made_again,omitempty"`
	// Forecast is what was expected of the incident's run; nil if nothing was.
	Forecast *Forecast `json:"forecast,omitempty"`
	Verdict  string    `json:"verdict"` // what happened, and what to set, in words
}

// NotAvailable is a remedy that cannot be set on a real client.
type NotAvailable struct {
	Remedy string            `json:"remedy"`
	Change map[string]string `json:"change"` // profile path -> value: what the remedy sets
	Why    string            `json:"why"`    // what the client lacks
}

// MadeAgain is an invalid run that was repeated. Its results are not kept and do not
// affect the verdict.
type MadeAgain struct {
	Run     string   `json:"run"`     // "incident", or the remedy's name
	Try     int      `json:"try"`     // 1: the first run, 2: its first repetition, and so on
	Invalid []string `json:"invalid"` // why it was invalid
}

// ReproductionSchema is the name and version of Reproduction's document.
const ReproductionSchema = "kabench.reproduction/v1"

// RemedyRun is the run under one remedy: a run document with more fields.
type RemedyRun struct {
	Remedy  string            `json:"remedy"`  // its name in the incident's profile
	Change  map[string]string `json:"change"`  // profile path -> value: what the remedy sets
	Cleared bool              `json:"cleared"` // it met its expectations
	// Settings are the pool's part of Change in the words of real clients: of the client
	// whose preset the pool began with, or of several if it began with none.
	Settings []ClientSetting `json:"settings,omitempty"`
	*Run
}

// ClientSetting is a value of the pool in the words of a real client: what its user writes,
// and where. It has either a Text or the reason why there is none, Instead.
type ClientSetting struct {
	Client string `json:"client"`         // the pool's preset, as --pool takes it
	Path   string `json:"path"`           // the field in a profile: pool.idle_timeout
	Value  string `json:"value"`          // the value that the client then has; a time may be shorter than asked for
	In     string `json:"in"`             // where it is written: Java, nginx.conf, ...
	Text   string `json:"text,omitempty"` // the line, property or option
	// Instead says why the client cannot be set so, and what its users do.
	Instead   string `json:"instead,omitempty"`
	Note      string `json:"note,omitempty"` // what else the setting does
	Versions  string `json:"versions"`       // the client's versions that have it
	Source    string `json:"source"`         // the file or page that says so
	Unchecked bool   `json:"unchecked,omitempty"`
}
