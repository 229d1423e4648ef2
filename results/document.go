package results

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// EncodeRun writes run as the document run.json, indented. Lists and maps that
// have no entries are written as [] and {}, never null.
func EncodeRun(w io.Writer, run *Run) error { return encode(w, run.filled()) }

// EncodeReproduction writes r as the document of `kabench reproduce --json`,
// under the same rules as EncodeRun.
func EncodeReproduction(w io.Writer, r *Reproduction) error {
	doc := *r
	doc.Schema = ReproductionSchema
	if doc.IncidentRun != nil {
		doc.IncidentRun = doc.IncidentRun.filled()
	}
	doc.RemedyRuns = make([]RemedyRun, len(r.RemedyRuns))
	for i, remedy := range r.RemedyRuns {
		if remedy.Run != nil {
			remedy.Run = remedy.Run.filled()
		}
		remedy.Change = filledMap(remedy.Change)
		doc.RemedyRuns[i] = remedy
	}
	return encode(w, &doc)
}

func encode(w io.Writer, doc any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(doc)
}

// filled is a copy of run with its schema set and nothing nil that the
// contract promises to be there.
func (run *Run) filled() *Run {
	doc := *run
	doc.Schema = Schema
	doc.Warnings = filledList(doc.Warnings)
	doc.Outcomes = filledList(doc.Outcomes)
	doc.Expect = filledList(doc.Expect)
	doc.Statuses = filledMap(doc.Statuses)
	doc.Latency = filledMap(doc.Latency)
	doc.LatencyFail = filledMap(doc.LatencyFail)
	doc.Connections.Evictions = filledMap(doc.Connections.Evictions)
	return &doc
}

func filledList[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func filledMap[V any](m map[string]V) map[string]V {
	if m == nil {
		return map[string]V{}
	}
	return m
}

// ErrNewerSchema means that a document was made by a newer kabench.
var ErrNewerSchema = errors.New("made by a newer kabench")

// decodeRun reads the document run.json. Fields it does not know are ignored:
// v1 may gain some.
func decodeRun(data []byte) (*Run, error) {
	var head struct {
		Schema string `json:"schema"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, fmt.Errorf("not valid JSON: %w", err)
	}
	if head.Schema != Schema {
		name, version, _ := strings.Cut(head.Schema, "/v")
		if n, err := strconv.Atoi(version); name == "kabench.run" && err == nil && n > 1 {
			return nil, fmt.Errorf("schema %s: %w; this one reads %s", head.Schema, ErrNewerSchema, Schema)
		}
		return nil, fmt.Errorf("not a run document: its schema is %q, not %q", head.Schema, Schema)
	}
	run := &Run{}
	if err := json.Unmarshal(data, run); err != nil {
		return nil, fmt.Errorf("not a valid run document: %w", err)
	}
	return run.filled(), nil
}
