package results

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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

// SavePlan writes p to dir, which must be there, as plan.json, whole or not at
// all.
func SavePlan(dir string, p *Plan) error {
	p.Schema = PlanSchema
	var b bytes.Buffer
	if err := encode(&b, p); err != nil {
		return fmt.Errorf("writing %s: %w", filePlan, err)
	}
	return writeWhole(dir, filePlan, b.Bytes())
}

// OpenPlan reads the plan.json of dir. The error is os.ErrNotExist when there is
// none, and ErrNewerSchema when a newer kabench made it.
func OpenPlan(dir string) (*Plan, error) {
	path := filepath.Join(dir, filePlan)
	data, err := readDocument(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	p := &Plan{}
	if err == nil {
		err = checkSchema(data, PlanSchema, "plan")
	}
	if err == nil {
		err = json.Unmarshal(data, p)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, withoutPath(err))
	}
	return p, nil
}

// PlanPath is where the plan of the results in dir is.
func PlanPath(dir string) string { return filepath.Join(dir, filePlan) }
