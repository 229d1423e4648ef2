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
)

// The files of a run directory.
const (
	fileProfile   = "profile.yaml"
	fileExchanges = "exchanges.ndjson.zst"
	fileSamples   = "samples.ndjson"
	FileLatency   = "latency.hlog"
	fileRun       = "run.json"
	filePackets   = "packets.pcapng"
	fileEvidence  = "evidence.json"
	fileBegun     = "begun.json" // what was known at the beginning; replaced by run.json at the end

	filePlan         = "plan.json"         // what is to be run, beside the directories of the runs
	fileReproduction = "reproduction.json" // beside the directories of an incident's runs
	fileComparison   = "comparison.json"   // beside the directories of a comparison's runs
)

// roomForRun is what run.json may be longer than begun.json, in bytes: twice
// what the longest list of outcomes, statuses and warnings, and three failures with
// their packets, come to.
const roomForRun = 192 << 10

// roomForWord is what begun.json may grow by when it says why the record
// stopped, in bytes.
const roomForWord = 4 << 10

// DirectoryError says that a run cannot be written to Dir, because something
// is there already. Its text tells what to do about it.
type DirectoryError struct {
	Dir   string
	Found string // the name of something that is in it, or "" if Dir is not a directory
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

// Writer writes one run directory while the run goes on. All its methods may
// be called from many goroutines; exactly one of Close and Abort ends it.
type Writer struct {
	// SuccessesOneIn makes the record keep one success in so many, chosen by a
	// hash of Seq; 0 and 1 keep every one. Everything that is not a success, or
	// was sent again, is always kept. Set it before Begin.
	SuccessesOneIn uint64

	dir       string
	claim     *claim // ended by Create
	growing   *growing
	exchanges *recorder
	samples   *appendFile
	latency   *hlog

	mu       sync.Mutex
	firstErr error // of a sample or interval that could not be encoded
	ended    bool

	// Set by Begin; then owned by the record's flusher, and by Close after it.
	forRun  *reserve
	forWord *reserve // nil before Begin, and when begun.json says why the record stopped
}

// Create makes the run directory dir, its parents too, and the files that are
// written as the run goes. A dir that holds anything, or that another process is
// taking at the same moment, is refused with a *DirectoryError.
func Create(dir string) (*Writer, error) {
	claimed, err := takeClaim(dir)
	if err != nil {
		return nil, err
	}
	w := &Writer{dir: dir, claim: claimed, growing: &growing{}}
	exchanges, err1 := createAppend(filepath.Join(dir, fileExchanges), w.growing)
	samples, err2 := createAppend(filepath.Join(dir, fileSamples), w.growing)
	latency, err3 := createAppend(filepath.Join(dir, FileLatency), w.growing)
	w.samples, w.latency = samples, &hlog{file: latency}
	err = cmp.Or(err1, err2, err3)
	if err == nil {
		w.exchanges, err = newRecord(exchanges, w.leaveWord)
	}
	if err == nil {
		err = claimed.release() // from here on the record says that there is a run
	}
	if err != nil {
		for _, f := range []*appendFile{exchanges, samples, latency} {
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
// name, question, start, profile, host. It is kept beside the record, so that
// a run that is killed can be read all the same. Begin does not keep run.
//
// Room for run.json is taken now, so that a disk that fills up in the course
// of the run costs the end of the record and not the document.
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
	return nil
}

// noRoom says what to do when a run cannot be begun.
func (w *Writer) noRoom(err error) error {
	return fmt.Errorf("%s: %w; free space or choose another --out", w.dir, err)
}

// leaveWord writes into begun.json that the record has stopped, once it has:
// the run may yet be killed, and what is rebuilt then must say so. It is
// called every second, until that is written.
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

// begun is the document as known at the beginning, with r as its recording.
func (w *Writer) begun(r results.Recording) (*results.Run, error) {
	doc, err := (&Dir{path: w.dir}).document(fileBegun)
	if err != nil {
		return nil, err
	}
	doc.Recording = r
	return doc, nil
}

// Observe records e, which is over. It never blocks on the disk and does not
// keep e.
func (w *Writer) Observe(e *results.Exchange) { w.exchanges.observe(e) }

// Sample appends s to the samples. After a first failure it does nothing but
// return that failure again.
func (w *Writer) Sample(s results.Sample) error { return w.keep(w.samples.appendJSON(s)) }

// WriteInterval appends one interval to the HdrHistogram log: h, with values
// in µs, is what was seen between start and end, offsets from the start of the
// run. The tag is LatencyResponse, LatencyService or LatencyLag. It sets h's
// tag and times, and leaves its counts alone.
func (w *Writer) WriteInterval(tag string, start, end time.Duration, h *hdrhistogram.Histogram) error {
	return w.keep(w.latency.write(tag, start, end, h))
}

// WritePackets makes packets.pcapng of what write writes. After an error there
// is none.
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

// Recording says what the record holds so far: what was observed in the last
// second may still be missing from it.
func (w *Writer) Recording() results.Recording {
	r, _ := w.recording()
	return r
}

func (w *Writer) recording() (results.Recording, error) {
	r, err := w.exchanges.recording()
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

// Close writes what is left of the record, sets run.Recording, and writes run
// as run.json, whole or not at all. The error is the first that befell any of
// the files; run.json is written even if the record stopped early. If it cannot
// be, the directory reads as a run that was cut off.
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
			_ = writeDocument(w.dir, fileBegun, doc) // with all that was lost; else it says what was until the record stopped
		}
		return fmt.Errorf("%w, after %w", docErr, err)
	}
	if rmErr := os.Remove(filepath.Join(w.dir, fileBegun)); rmErr != nil && !errors.Is(rmErr, fs.ErrNotExist) && err == nil {
		err = fmt.Errorf("removing %s: %w", fileBegun, withoutPath(rmErr))
	}
	return err
}

// writeRun writes run.json and gives back the room that was held.
func (w *Writer) writeRun(run *results.Run) error {
	defer w.release()
	if w.forRun != nil && w.forRun.become(run) == nil {
		w.forRun = nil
		return nil
	}
	// It is longer than the room held, or the file system writes nothing in
	// place: what is given back may be what it lacks.
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

// Abort ends the writing without run.json. A directory in which nothing was
// recorded is left as it was before Create.
func (w *Writer) Abort() {
	if !w.end() {
		return
	}
	w.closeFiles()
	w.release()
	if r, _ := w.exchanges.recording(); r.Written == 0 && w.samples.size == 0 {
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

// closeFiles writes what is left and closes what grows. Its errors are in
// recording.
func (w *Writer) closeFiles() {
	w.exchanges.close()
	w.samples.close()
	w.latency.file.close()
}

func (w *Writer) removeTraces() {
	for _, name := range []string{fileProfile, fileExchanges, fileSamples, FileLatency, filePackets, fileEvidence, fileBegun} {
		_ = os.Remove(filepath.Join(w.dir, name)) // best effort; what stays is named by the next Create
	}
	w.claim.drop()
}
