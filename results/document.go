package results

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// maxDocument bounds a document when reading, in bytes. That of a run is some
// ten KiB; targets inlined in the profile can make it larger.
const maxDocument = 64 << 20

var errLongDocument = fmt.Errorf("it is larger than %d MiB", maxDocument>>20)

// EncodeRun writes run as the document run.json, indented. Lists and maps that
// have no entries are written as [] and {}, never null.
func EncodeRun(w io.Writer, run *Run) error { return encode(w, run.filled()) }

// EncodeReproduction writes r as the document of `kabench reproduce --json`,
// under the same rules as EncodeRun.
func EncodeReproduction(w io.Writer, r *Reproduction) error { return encode(w, r.filled()) }

// filled is a copy of r as Run's is.
func (r *Reproduction) filled() *Reproduction {
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
	return &doc
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
	doc.Resends.Causes = filledList(doc.Resends.Causes)
	doc.Statuses = filledMap(doc.Statuses)
	doc.StatusFail = filledMap(doc.StatusFail)
	doc.ErrorAnswers = errorAnswers(doc.Statuses) // which documents of earlier versions have not
	doc.Latency = filledMap(doc.Latency)
	doc.LatencyFresh, doc.LatencyReused = filledMap(doc.LatencyFresh), filledMap(doc.LatencyReused)
	doc.LatencyFail = filledMap(doc.LatencyFail)
	doc.Kernel.Counters = filledMap(doc.Kernel.Counters)
	doc.Connections.Evictions = filledMap(doc.Connections.Evictions)
	if doc.Packets != nil {
		packets := *doc.Packets
		packets.Fates, packets.Struck = filledMap(packets.Fates), filledMap(packets.Struck)
		packets.Closed, packets.Failures = filledList(packets.Closed), filledList(packets.Failures)
		doc.Packets = &packets
	}
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

// checkSchema checks that data is a document of the schema wanted, and says
// what kind of document it should be if it is not.
func checkSchema(data []byte, wanted, kind string) error {
	var head struct {
		Schema string `json:"schema"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return fmt.Errorf("not valid JSON: %w", err)
	}
	if head.Schema == wanted {
		return nil
	}
	ours, _, _ := strings.Cut(wanted, "/v")
	name, version, _ := strings.Cut(head.Schema, "/v")
	if n, err := strconv.Atoi(version); name == ours && err == nil && n > 1 {
		return fmt.Errorf("schema %s: %w; this one reads %s", head.Schema, ErrNewerSchema, wanted)
	}
	return fmt.Errorf("not a %s document: its schema is %q, not %q", kind, head.Schema, wanted)
}

// decodeRun reads the document run.json. Fields it does not know are ignored:
// v1 may gain some.
func decodeRun(data []byte) (*Run, error) {
	if err := checkSchema(data, Schema, "run"); err != nil {
		return nil, err
	}
	run := &Run{}
	if err := json.Unmarshal(data, run); err != nil {
		return nil, fmt.Errorf("not a valid run document: %w", err)
	}
	return run.filled(), nil
}

// decodeReproduction reads the document reproduction.json, as decodeRun does.
func decodeReproduction(data []byte) (*Reproduction, error) {
	if err := checkSchema(data, ReproductionSchema, "reproduction"); err != nil {
		return nil, err
	}
	r := &Reproduction{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("not a valid reproduction document: %w", err)
	}
	if r.IncidentRun == nil {
		return nil, errors.New("not a valid reproduction document: it has no incident_run")
	}
	return r.filled(), nil
}

// readDocument reads the file at path, which may not be longer than a document
// can be.
func readDocument(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxDocument+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxDocument {
		return nil, &fs.PathError{Op: "read", Path: path, Err: errLongDocument}
	}
	return data, nil
}
