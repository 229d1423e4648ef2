package record

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record/ends"
)

// The files of a run directory.
const (
	fileProfile     = "profile.yaml"
	fileExchanges   = "exchanges.ndjson.zst"
	fileConnections = "connections.ndjson.zst"
	fileSamples     = "samples.ndjson"
	FileLatency     = "latency.hlog"
	fileRun         = "run.json"
	filePackets     = "packets.pcapng"
	fileEvidence    = "evidence.json"
	fileBegun       = "begun.json" // the document of the beginning; run.json replaces it at the end

	filePlan         = "plan.json"         // the planned runs; beside the directories of the runs
	fileReproduction = "reproduction.json" // beside the directories of an incident's runs
	// FileIncident is the incident that was reproduced, if it was aimed at a target.
	FileIncident   = "incident.yaml"
	fileComparison = "comparison.json" // beside the directories of a comparison's runs
)

// roomForRun is how many bytes run.json may be longer than begun.json: twice the
// length of the longest lists of outcomes, statuses and warnings together with three
// failures and their packets.
const roomForRun = 192 << 10

// roomForWord is how many bytes begun.json may grow when it gets the reason why the
// record stopped.
const roomForWord = 4 << 10

// DirectoryError says that a run cannot be written to Dir, because something is there
// already. Its text advises the user what to do.
type DirectoryError struct {
	Dir   string
	Found string // the name of something in Dir, or "" if Dir is not a directory
}

func (e *DirectoryError) Error() string {
	switch e.Found {
	case "":
		return fmt.Sprintf("%s is not a directory: choose another --out", e.Dir)
	case fileRun, fileBegun, fileExchanges:
		return fmt.Sprintf("%s already holds a run: choose another --out, or remove it", e.Dir)
	case fileClaim:
		return fmt.Sprintf("%s is being taken by another kabench at this moment: choose another --out; if none is running, one was killed: remove %s", e.Dir, filepath.Join(e.Dir, fileClaim))
	case fileComparison, filePlan:
		return fmt.Sprintf("%s already holds the runs of a comparison or of incidents: choose another --out, or remove it", e.Dir)
	case fileReproduction:
		return fmt.Sprintf("%s already holds the runs of an incident: choose another --out, or remove it", e.Dir)
	default:
		return fmt.Sprintf("%s is not empty (it holds %s): choose another --out, or empty it", e.Dir, e.Found)
	}
}

// Writer writes one run directory during the run. Many goroutines may call its methods.
// Either Close or Abort ends it.
type Writer struct {
	// SuccessesOneIn makes the record keep one success in SuccessesOneIn, chosen by a
	// hash of Seq; 0 and 1 keep every success. The record always keeps exchanges that
	// are not a success or were sent again. Of connections on which no request failed, it
	// keeps the ends of as many. Set it before Begin.
	SuccessesOneIn uint64

	dir         string
	claim       *claim // ended by Create
	growing     *growing
	exchanges   *recorder[results.Exchange]
	connections *recorder[results.ConnectionEnd]
	samples     *appendFile
	latency     *hlog

	mu       sync.Mutex
	firstErr error // the first error of a sample or interval that could not be written
	ended    bool

	// Set by Begin; then only used by the recorder's flusher, and by Close when the
	// flusher has ended.
	forRun  *reserve
	forWord *reserve // nil before Begin, and after begun.json got the reason why the record stopped
}

// Create makes the run directory dir and its parents, and the files that grow during
// the run. It returns a *DirectoryError if dir contains anything, or if another process
// is claiming it.
func Create(dir string) (*Writer, error) {
	claimed, err := takeClaim(dir)
	if err != nil {
		return nil, err
	}
	w := &Writer{dir: dir, claim: claimed, growing: &growing{}}
	exchanges, err1 := createAppend(filepath.Join(dir, fileExchanges), w.growing)
	samples, err2 := createAppend(filepath.Join(dir, fileSamples), w.growing)
	latency, err3 := createAppend(filepath.Join(dir, FileLatency), w.growing)
	connections, err4 := createAppend(filepath.Join(dir, fileConnections), w.growing)
	w.samples, w.latency = samples, &hlog{file: latency}
	err = cmp.Or(err1, err2, err3, err4)
	if err == nil {
		w.exchanges, err = newRecord(exchanges, appendLine, w.leaveWord)
	}
	if err == nil {
		w.connections, err = newRecord(connections, ends.AppendLine, func() {})
	}
	if err == nil {
		err = claimed.release() // now the record shows that the directory is taken
	}
	if err != nil {
		for _, f := range []*appendFile{exchanges, samples, latency, connections} {
			if f != nil {
				f.close()
			}
		}
		w.removeTraces()
		return nil, err
	}
	return w, nil
}

// WriteProfile writes profile.yaml.
func (w *Writer) WriteProfile(yaml []byte) error {
	if err := os.WriteFile(filepath.Join(w.dir, fileProfile), yaml, 0o644); err != nil {
		return w.noRoom(fmt.Errorf("writing %s: %w", fileProfile, withoutPath(err)))
	}
	return nil
}

// Begin starts the record. run is the document as far as it is known: version,
// name, question, start, profile, host. Begin writes it beside the record, so that a
// run that is killed can still be read. Begin does not keep run.
//
// Begin takes room for run.json now: if the disk fills up during the run, the end of
// the record is lost, but not the document.
func (w *Writer) Begin(run *results.Run) error {
	doc := *run
	doc.Complete = false
	doc.Recording = results.Recording{SuccessesOneIn: max(w.SuccessesOneIn, 1)}
	var b bytes.Buffer
	err := EncodeRun(&b, &doc)
	if err == nil {
		w.forRun, err = hold(w.dir, fileRun, b.Len()+roomForRun)
	}
	if err == nil {
		w.forWord, err = hold(w.dir, fileBegun, b.Len()+roomForWord)
	}
	if err == nil {
		err = writeWhole(w.dir, fileBegun, b.Bytes())
	}
	if err != nil {
		return w.noRoom(err)
	}
	w.latency.begin(run.Start)
	w.exchanges.begin(w.SuccessesOneIn)
	w.connections.begin(w.SuccessesOneIn)
	return nil
}

// StartAt says that the run, whose document Begin has written, starts at run.Start. It is for
// a run whose start becomes known after Begin, and before its first exchange.
func (w *Writer) StartAt(run *results.Run) error {
	doc, err := w.begun(w.Recording())
	if err == nil {
		doc.Start = run.Start
		err = writeDocument(w.dir, fileBegun, doc)
	}
	if err != nil {
		return w.noRoom(err)
	}
	w.latency.begin(run.Start)
	return nil
}

// noRoom adds to err what the user can do when a run cannot begin.
func (w *Writer) noRoom(err error) error {
	return fmt.Errorf("%s: %w; free space or choose another --out", w.dir, err)
}

// leaveWord writes into begun.json why the record has stopped, if it has. The run may
// still be killed, and the document rebuilt then must say why the record stopped. The
// flusher calls leaveWord every second; after one success it does nothing more.
func (w *Writer) leaveWord() {
	r, err := w.recording()
	if err == nil || w.forWord == nil {
		return
	}
	doc, err := w.begun(r)
	if err == nil && w.forWord.become(doc) == nil {
		w.forWord = nil
	}
}

// begun is the document of the beginning, with r as its Recording.
func (w *Writer) begun(r results.Recording) (*results.Run, error) {
	doc, err := (&Dir{path: w.dir}).document(fileBegun)
	if err != nil {
		return nil, err
	}
	doc.Recording = r
	return doc, nil
}

// Observe records e, which has ended. It never waits for the disk and does not keep e.
func (w *Writer) Observe(e *results.Exchange) { observe(w.exchanges, e) }

// ObserveEnd records how a connection ended. It never waits for the disk and does not keep
// e.
func (w *Writer) ObserveEnd(e *results.ConnectionEnd) { w.connections.add(e, e.Conn, !e.Failed) }

// Sample appends s to the samples. After a failed write it only returns that error
// again.
func (w *Writer) Sample(s results.Sample) error { return w.keep(w.samples.appendJSON(s)) }

// WriteInterval appends one interval to the HdrHistogram log. h has the values, in µs,
// that were seen between start and end, which are offsets from the start of the run.
// The tag is LatencyResponse, LatencyService or LatencyLag. WriteInterval sets h's tag
// and times, and does not change its counts.
func (w *Writer) WriteInterval(tag string, start, end time.Duration, h *hdrhistogram.Histogram) error {
	return w.keep(w.latency.write(tag, start, end, h))
}

// WritePackets creates packets.pcapng and calls write to fill it. After an error the
// file does not exist.
func (w *Writer) WritePackets(write func(io.Writer) error) error {
	path := filepath.Join(w.dir, filePackets)
	f, err := os.Create(path)
	if err == nil {
		buffered := bufio.NewWriterSize(f, 1<<20)
		if err = errors.Join(write(buffered), buffered.Flush(), f.Close()); err != nil {
			_ = os.Remove(path)
		}
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", filePackets, withoutPath(err))
	}
	return nil
}

// keep remembers the first error, for recording.
func (w *Writer) keep(err error) error {
	if err != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.firstErr == nil {
			w.firstErr = err
		}
	}
	return err
}

// Recording says what the record contains so far. Exchanges of the last second may
// still be missing.
func (w *Writer) Recording() results.Recording {
	r, _ := w.recording()
	return r
}

func (w *Writer) recording() (results.Recording, error) {
	r, err := w.exchanges.recording()
	c, _ := w.connections.recording() // that they stopped is said by Lost
	r.Connections = &results.RecordedConnections{Written: c.Written, LeftOut: c.LeftOut, Lost: c.Lost}
	if err == nil {
		err = w.growing.failed()
	}
	if err == nil {
		w.mu.Lock()
		err = w.firstErr
		w.mu.Unlock()
	}
	if err != nil {
		r.Error = err.Error()
	}
	return r, err
}

// Close writes the rest of the record, sets run.Recording, and writes run as run.json,
// completely or not at all. It writes run.json even if the record stopped early. It
// returns the first error of any of the files. If it cannot write run.json, the
// directory is read as a run that was cut off.
func (w *Writer) Close(run *results.Run) error {
	if !w.end() {
		return errors.New("the run directory is closed already")
	}
	w.closeFiles()
	var err error
	run.Recording, err = w.recording()
	if docErr := w.writeRun(run); docErr != nil {
		if err == nil {
			return docErr
		}
		if doc, readErr := w.begun(run.Recording); readErr == nil {
			_ = writeDocument(w.dir, fileBegun, doc) // with the final counts; otherwise it has those of the moment when the record stopped
		}
		return fmt.Errorf("%w, after %w", docErr, err)
	}
	if rmErr := os.Remove(filepath.Join(w.dir, fileBegun)); rmErr != nil && !errors.Is(rmErr, fs.ErrNotExist) && err == nil {
		err = fmt.Errorf("removing %s: %w", fileBegun, withoutPath(rmErr))
	}
	return err
}

// writeRun writes run.json and frees the room that was held.
func (w *Writer) writeRun(run *results.Run) error {
	defer w.release()
	if w.forRun != nil && w.forRun.become(run) == nil {
		w.forRun = nil
		return nil
	}
	// The document is longer than the room, or the file system does not write in
	// place. Free the room first: the new file may need it.
	w.leaveWord()
	w.release()
	return writeDocument(w.dir, fileRun, run)
}

func (w *Writer) release() {
	for _, r := range []*reserve{w.forRun, w.forWord} {
		if r != nil {
			r.release()
		}
	}
	w.forRun, w.forWord = nil, nil
}

// Abort ends the writing without run.json. If nothing was recorded, it leaves the
// directory as it was before Create.
func (w *Writer) Abort() {
	if !w.end() {
		return
	}
	w.closeFiles()
	w.release()
	if r := w.Recording(); r.Written+r.Connections.Written == 0 && w.samples.size == 0 {
		w.removeTraces()
	}
}

// end reports whether the caller is the first to end w.
func (w *Writer) end() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	first := !w.ended
	w.ended = true
	return first
}

// closeFiles writes the rest of the growing files and closes them. recording returns
// its errors.
func (w *Writer) closeFiles() {
	w.exchanges.close()
	w.connections.close()
	w.samples.close()
	w.latency.file.close()
}

func (w *Writer) removeTraces() {
	for _, name := range []string{fileProfile, fileExchanges, fileConnections, fileSamples, FileLatency, filePackets, fileEvidence, fileTally, fileBegun} {
		_ = os.Remove(filepath.Join(w.dir, name)) // errors are ignored: the next Create names what stays
	}
	w.claim.drop()
}
