package results

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
)

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

// SaveReproduction writes r to dir, which must be there, as reproduction.json,
// whole or not at all.
func SaveReproduction(dir string, r *Reproduction) error {
	var b bytes.Buffer
	if err := EncodeReproduction(&b, r); err != nil {
		return fmt.Errorf("writing %s: %w", fileReproduction, err)
	}
	return writeWhole(dir, fileReproduction, b.Bytes())
}

// OpenReproduction reads the reproduction.json of dir. The error is
// os.ErrNotExist when there is none, and ErrNewerSchema when a newer kabench
// made it; one that is there and cannot be read names the runs beside it, which
// may be read all the same.
func OpenReproduction(dir string) (*Reproduction, error) {
	return openBeside(dir, fileReproduction, decodeReproduction)
}

// openBeside reads the document called name in dir, which stands beside the
// directories of runs. When it is there and cannot be read the error names them.
func openBeside[T any](dir, name string, decode func([]byte) (*T, error)) (*T, error) {
	path := filepath.Join(dir, name)
	data, err := readDocument(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if errors.Is(err, syscall.ENOTDIR) {
		return nil, fmt.Errorf("%s: not a directory; name the directory that --out made", dir)
	}
	var doc *T
	if err == nil {
		doc, err = decode(data)
	}
	if err == nil {
		return doc, nil
	}
	err = fmt.Errorf("%s: %w", path, withoutPath(err))
	if runs := RunsIn(dir); len(runs) > 0 {
		err = fmt.Errorf("%w; its runs can be read one by one: %s", err, strings.Join(runs, ", "))
	}
	return nil, err
}
