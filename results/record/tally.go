package record

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/kabench/kabench/results"
)

const (
	fileTally   = "tally.json"
	tallySchema = "kabench.tally/v1"
)

// Sums are figures of a run in a form in which those of several runs can be added
// without loss: with histograms instead of percentiles. They are tally.json, which an
// agent writes beside its run.json.
type Sums struct {
	Schema      string             `json:"schema"` // set by WriteTally
	Tally       *results.Tally     `json:"tally"`
	Targets     *results.ByTarget  `json:"targets"`       // nil: there is one target
	AtPeerClose *results.Durations `json:"at_peer_close"` // how long connections had been idle when the peer ended them; nil: kabench could not see it
	// Driver has the times of the real client's driver; nil: kabench's own client sent.
	Driver  *results.DriverTimes `json:"driver,omitempty"`
	Seconds results.Seconds      `json:"seconds"` // how well the schedule was kept; none: nobody watched
}

// WriteTally writes sums as tally.json, completely or not at all. Call it after the last
// Observe, before Close: a run without run.json is read as one that was cut off, and
// its tally.json is not used.
func (w *Writer) WriteTally(sums Sums) error {
	sums.Schema = tallySchema
	text, err := json.Marshal(sums)
	if err != nil {
		return fmt.Errorf("writing %s: %w", fileTally, err)
	}
	return writeWhole(w.dir, fileTally, append(text, '\n'))
}

// sums reads tally.json.
func (d *Dir) sums() (*Sums, error) {
	data, err := readDocument(d.file(fileTally))
	if err != nil {
		return nil, err
	}
	var s Sums
	if err = checkSchema(data, tallySchema, "tally"); err == nil {
		err = json.Unmarshal(data, &s)
	}
	if err == nil && s.Tally == nil {
		err = errors.New("it has no tally")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.file(fileTally), withoutPath(err))
	}
	return &s, nil
}
