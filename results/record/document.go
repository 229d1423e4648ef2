package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/kabench/kabench/results"
)

// maxDocument is the longest document that is read, in bytes. A run's document has
// about ten KiB; targets inside the profile can make it larger.
const maxDocument = 64 << 20

var errLongDocument = fmt.Errorf("it is larger than %d MiB", maxDocument>>20)

// EncodeRun writes run as the document run.json, indented. Lists and maps that
// have no entries are written as [] and {}, never null.
func EncodeRun(w io.Writer, run *results.Run) error { return encode(w, filledRun(run)) }

// EncodeReproduction writes r as the document of `kabench reproduce --json`,
// under the same rules as EncodeRun.
func EncodeReproduction(w io.Writer, r *results.Reproduction) error {
	return encode(w, filledReproduction(r))
}

// filledReproduction copies r and fills the copy as filledRun does.
func filledReproduction(r *results.Reproduction) *results.Reproduction {
	doc := *r
	doc.Schema = results.ReproductionSchema
	if doc.IncidentRun != nil {
		doc.IncidentRun = filledRun(doc.IncidentRun)
	}
	doc.RemedyRuns = make([]results.RemedyRun, len(r.RemedyRuns))
	for i, remedy := range r.RemedyRuns {
		if remedy.Run != nil {
			remedy.Run = filledRun(remedy.Run)
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

// filledRun copies run, sets the copy's schema, and replaces each nil list or map that
// the format promises by an empty one.
func filledRun(run *results.Run) *results.Run {
	doc := *run
	doc.Schema = results.Schema
	doc.Warnings = filledList(doc.Warnings)
	doc.Outcomes = filledList(doc.Outcomes)
	doc.Expect = filledList(doc.Expect)
	doc.Resends.Causes = filledList(doc.Resends.Causes)
	doc.Statuses = filledMap(doc.Statuses)
	doc.FailedStatuses = filledMap(doc.FailedStatuses)
	doc.ErrorAnswers = results.CountErrorAnswers(doc.Statuses) // documents of earlier versions do not have it
	doc.Latency = filledMap(doc.Latency)
	doc.LatencyFresh, doc.LatencyReused = filledMap(doc.LatencyFresh), filledMap(doc.LatencyReused)
	doc.FailedLatency = filledMap(doc.FailedLatency)
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

// checkSchema checks that data is a document of the schema wanted. If it is not, the
// error names kind, the kind of document that it should be.
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

// DecodeRun reads the document run.json. It ignores fields that it does not know,
// because later versions may add fields to v1.
func DecodeRun(data []byte) (*results.Run, error) {
	if err := checkSchema(data, results.Schema, "run"); err != nil {
		return nil, err
	}
	run := &results.Run{}
	if err := json.Unmarshal(data, run); err != nil {
		return nil, fmt.Errorf("not a valid run document: %w", err)
	}
	return filledRun(run), nil
}

// DecodeReproduction reads the document reproduction.json, as DecodeRun does.
func DecodeReproduction(data []byte) (*results.Reproduction, error) {
	if err := checkSchema(data, results.ReproductionSchema, "reproduction"); err != nil {
		return nil, err
	}
	r := &results.Reproduction{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("not a valid reproduction document: %w", err)
	}
	if r.IncidentRun == nil {
		return nil, errors.New("not a valid reproduction document: it has no incident_run")
	}
	return filledReproduction(r), nil
}

// readDocument reads the file at path. It fails if the file is longer than maxDocument.
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

// SaveReproduction writes r to dir, which must exist, as reproduction.json, completely
// or not at all.
func SaveReproduction(dir string, r *results.Reproduction) error {
	var b bytes.Buffer
	if err := EncodeReproduction(&b, r); err != nil {
		return fmt.Errorf("writing %s: %w", fileReproduction, err)
	}
	return writeWhole(dir, fileReproduction, b.Bytes())
}

// SaveIncident writes an incident that was aimed at a target to dir, which must exist,
// as incident.yaml. 'kabench reproduce' runs it again.
func SaveIncident(dir string, yaml []byte) error { return writeWhole(dir, FileIncident, yaml) }

// OpenReproduction reads the reproduction.json of dir. The error is os.ErrNotExist
// when there is none, and ErrNewerSchema when a newer kabench made it. If the document
// exists but cannot be read, the error names the runs beside it, which can still be
// read.
func OpenReproduction(dir string) (*results.Reproduction, error) {
	return openBeside(dir, fileReproduction, DecodeReproduction)
}

// openBeside reads the document called name in dir, where the directories of its runs
// are too. If the document exists but cannot be read, the error names these runs.
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

// Evidence reads evidence.json: the first failures of a run in a private network,
// packet by packet. The list is empty if the run was not in a private network or was
// cut off.
func (d *Dir) Evidence() ([]results.Evidence, error) {
	data, err := readDocument(d.file(fileEvidence))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var all []results.Evidence
	if err == nil {
		err = json.Unmarshal(data, &all)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.file(fileEvidence), withoutPath(err))
	}
	return all, nil
}

// WriteEvidence writes evidence.json: the packets and stamps of the first failures.
func (w *Writer) WriteEvidence(all []results.Evidence) error {
	text, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		return err
	}
	return writeWhole(w.dir, fileEvidence, append(text, '\n'))
}
