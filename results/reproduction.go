package results

// Reproduction is the document printed by `kabench reproduce --json`.
type Reproduction struct {
	Schema      string      `json:"schema"` // "kabench.reproduction/v1"
	Incident    string      `json:"incident"`
	Question    string      `json:"question"`
	Reproduced  bool        `json:"reproduced"` // the signature was met, and every remedy met its own
	IncidentRun *Run        `json:"incident_run"`
	RemedyRuns  []RemedyRun `json:"remedy_runs"`
	Verdict     string      `json:"verdict"` // what happened, and what to set, in words
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
