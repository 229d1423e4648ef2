package results

import (
	"time"
)

// PlanSchema is the name and version of Plan's document.
const PlanSchema = "kabench.plan/v1"

// Plan is what several runs are to be made of, written as plan.json before the
// first of them: with it, results that were cut off can be read and a comparison
// can go on.
type Plan struct {
	Schema    string    `json:"schema"` // PlanSchema
	Version   string    `json:"version"`
	Kind      string    `json:"kind"` // comparison, incident or catalogue
	Name      string    `json:"name"`
	Question  string    `json:"question,omitempty"`
	Start     time.Time `json:"start"`
	Seed      uint64    `json:"seed,omitempty"`      // of the order of runs and of the arrivals
	Repeats   int       `json:"repeats,omitempty"`   // of each setting
	CoolDown  float64   `json:"cool_down,omitempty"` // the most to wait before a run for TIME_WAIT sockets, in seconds
	Axes      []Axis    `json:"axes,omitempty"`
	Settings  []Setting `json:"settings,omitempty"`  // of a comparison, in their order
	Secrets   bool      `json:"secrets,omitempty"`   // the profiles of Settings had secrets, which are blanked
	Incidents []string  `json:"incidents,omitempty"` // of a catalogue, in their order
}

// Setting is one of the configurations of a comparison.
type Setting struct {
	Name    string            `json:"name"`
	Change  map[string]string `json:"change"`  // profile path -> value
	Profile string            `json:"profile"` // YAML, as resolved, secrets blanked
}

// KindCatalogue is Plan's for directories of several incidents.
const KindCatalogue = "catalogue"

// Reproduction is the document printed by `kabench reproduce --json`,
// and kept as reproduction.json beside the directories of its runs.
type Reproduction struct {
	Schema      string      `json:"schema"` // "kabench.reproduction/v1"
	Incident    string      `json:"incident"`
	Question    string      `json:"question"`
	Reproduced  bool        `json:"reproduced"` // the signature was met, and every remedy met its own
	IncidentRun *Run        `json:"incident_run"`
	RemedyRuns  []RemedyRun `json:"remedy_runs"`
	MadeAgain   []MadeAgain `json:"made_again,omitempty"`
	Verdict     string      `json:"verdict"` // what happened, and what to set, in words
}

// MadeAgain is an invalid run that was made again. Its own results are not kept,
// and nothing is judged from them.
type MadeAgain struct {
	Run     string   `json:"run"`     // "incident", or the remedy's name
	Try     int      `json:"try"`     // which of its tries this was, from 1
	Invalid []string `json:"invalid"` // why it was invalid
}

// ReproductionSchema is the name and version of Reproduction's document.
const ReproductionSchema = "kabench.reproduction/v1"

// RemedyRun is the run under one remedy: a run document with three fields more.
type RemedyRun struct {
	Remedy  string            `json:"remedy"`  // its name in the incident's profile
	Change  map[string]string `json:"change"`  // profile path -> value: what the remedy sets
	Cleared bool              `json:"cleared"` // it met its expectations
	*Run
}
